"""Copies that work on topics: made twice, failed half-way, left behind, removed twice; the topics go with them, always.

Everything above the adapters is the shipped Provisioner; what is outside is a table that the test reads.
"""

from dataclasses import dataclass, field
from typing import Any

import pytest

from services.provisioner.__main__ import Adapters, Service, build
from services.provisioner.adapters import memory
from services.provisioner.domain.load import LoadFound, LoadOrder, LoadStep, Posts, TopicFeed
from services.provisioner.domain.pipeline import TopicPlan, seats_of, topics_of
from services.provisioner.domain.runs import StackOutcome
from services.provisioner.operations.translation import assignment, pipeline_intent
from services.provisioner.settings import ProvisionerSettings
from shared.contracts.admission import LeaseModel
from shared.contracts.objects import Transform
from shared.contracts.provisioning import Artifact, GroupStackInput
from shared.contracts.rating import AddCopyInput, CalledModel, DriveInput, Loading, RatingStep
from shared.domain.activity import ActivityKind
from shared.domain.errors import Conflict, NotFound, Refused, Unavailable
from shared.domain.names import GroupName
from tests.provisioner.clocks import CountingIds, StillClock
from tests.provisioner.cloud import DictMirror, TableMachines, members
from tests.provisioner.examples import fleet, intent
from tests.provisioner.test_rehearsal import KAFKA, PIPELINE, SINK
from tests.sim.world import cloud as clouds


@dataclass
class Broker:
    """`Topics`, by name; `fails` names a verb that fails once."""

    there: set[str] = field(default_factory=set)
    fails: str = ""

    def _may_fail(self, verb: str) -> None:
        if self.fails == verb:
            self.fails = ""
            raise Unavailable("kafka: away")

    async def ensure(self, topics: Any) -> None:
        made: list[TopicPlan] = list(topics)
        self.there |= {t.name for t in made[: len(made) // 2 if self.fails == "ensure" else None]}
        self._may_fail("ensure")

    async def remove(self, names: Any) -> None:
        self.there -= set(names)

    async def remove_below(self, prefix: str) -> None:
        self._may_fail("remove_below")
        self.there = {t for t in self.there if not t.startswith(prefix)}


class Engine:
    """`Stacks` and `Processes`: what is planned is so."""

    def __init__(self) -> None:
        self.fleets: dict[str, tuple[str, ...]] = {}

    async def up(self, plan: Any, on_process: Any, *, refresh: bool) -> StackOutcome:
        self.fleets[plan.group] = tuple(f.fleet for f in plan.fleets)
        return StackOutcome(created=1)

    async def destroy(self, plan: Any, on_process: Any) -> StackOutcome:
        self.fleets.pop(plan.group, None)
        return StackOutcome(deleted=1)


@dataclass
class Driver:
    """`LoadDriver`: what was ordered."""

    orders: list[LoadOrder] = field(default_factory=list)
    found: LoadFound | None = None

    async def drive(self, order: LoadOrder) -> LoadStep | LoadFound:
        self.orders.append(order)
        return self.found or LoadStep(100, 100, 100, 0.1, 0.0, held=True)


class World:
    def __init__(self) -> None:
        self.broker, self.engine, self.driver = Broker(), Engine(), Driver()
        self.machines, self.clock, self.bundles = TableMachines(), StillClock(), clouds.SimBundles()
        self.tokens, self.token = clouds.SimTokens(), 0
        engine: Any = self.engine
        unused: Any = None
        fences = memory.MemoryFences()
        adapters = Adapters(
            groups=memory.MemoryGroups(fences), fences=fences, pipelines=memory.MemoryPipelines(),
            environments=memory.MemoryEnvironments(), runs=memory.MemoryStacks(), drift=memory.MemoryDrift(),
            routes=memory.MemoryRoutes(), nodes=memory.MemoryNodes(), stacks=engine, processes=engine,
            machines=self.machines, sites=clouds.SimSites(), bundles=self.bundles, tokens=self.tokens,
            prices=clouds.NoPrices(), topics=self.broker, dead_letters=unused, driver=self.driver, mirror=DictMirror(),
            authority=clouds.SimAuthority(), builds=clouds.SimBuilds(), leases=None, clock=self.clock, ids=CountingIds(),
        )  # fmt: skip
        self.groups = adapters.groups
        self.pipelines = adapters.pipelines
        self.service: Service = build(ProvisionerSettings(rating_sink=SINK), adapters)
        self.sample = Artifact(url="", sha256="")

    async def given(self) -> "World":
        """A pipeline with its groups and topics, all of revision 1."""
        for stage in PIPELINE.stages:
            kind = {"ingest": "ingest"}.get(stage.work.type, "stage")
            await self.groups.register(intent(stage.group, kind=kind))
            await self.groups.put_fleet(fleet(stage.group, weight=100))
        await self.groups.register(intent("risk"))
        await self.groups.put_fleet(fleet("risk", revision=3, weight=100))
        piped = pipeline_intent(PIPELINE, 1)
        await self.pipelines.register(piped)
        await self.groups.seat(piped.name, seats_of(piped))
        await self.broker.ensure(topics_of(piped))
        kept = await self.bundles.put_text("samples", '{"id": "1", "event_time": 1}\n')
        self.sample = Artifact(url=kept.url, sha256=kept.sha256)
        return self

    def lease(self, group: str, activity: str = "act-1") -> LeaseModel:
        self.token += 1
        deadline = self.clock.now().timestamp() + 600
        scope = f"group/{group}"
        kind = ActivityKind.PROVISION
        return LeaseModel(activity_id=activity, token=self.token, kind=kind, scope=scope, deadline_s=deadline)

    def adding(self, group: str, **how: Any) -> AddCopyInput:
        return AddCopyInput(group=group, sample=self.sample, loading=Loading(**how), lease=self.lease(group))

    async def remove(self, group: str) -> None:
        for copied in (f"rating-{group}", f"called-by-rating-{group}"):
            await self.service.groups.remove(GroupStackInput(group=copied, lease=self.lease(group)))

    def own(self) -> set[str]:
        return {t for t in self.broker.there if t.startswith("headrace-rating.")}

    async def copies(self) -> tuple[str, ...]:
        return (await self.service.sweeping.sweep()).copies


@pytest.fixture
async def world() -> World:
    return await World().given()


async def test_a_copy_of_a_stage_is_made_twice_alike_driven_by_its_own_topic_and_goes_without_trace(
    world: World,
) -> None:
    live = set(world.broker.there)
    made = await world.service.copies.add(world.adding("sender"))
    topics = world.own()
    assert await world.service.copies.add(world.adding("sender")) == made
    assert (world.own(), world.engine.fleets) == (topics, {"rating-sender": ("rating-sender-r1",)})
    published = await world.service.routing.published(GroupName("rating-sender"))
    told = assignment(published.group, published.routes.fleets[0], published.pipeline, KAFKA)
    assert (told.topic_in, published.routes.fleets[0].weight > 0) == (made.way.topic, True)
    assert {told.topic_in, told.topic_dead} <= topics
    world.machines.fleets = (members("rating-sender", 1, "10.0.0.8"),)
    step = (await world.service.copies.drive(DriveInput(copied=made))).step
    assert step is not None
    assert step.held
    assert world.driver.orders[0].way == TopicFeed(
        told.topic_in, told.topic_dead, "headrace-rating.rating-sender.act-1", SINK
    )
    for _ in range(2):
        await world.remove("sender")
    assert (world.broker.there, world.engine.fleets, await world.copies()) == (live, {}, ())


async def test_an_ingest_node_is_driven_by_requests_no_larger_than_it_takes(world: World) -> None:
    made = await world.service.copies.add(world.adding("edge"))
    world.machines.fleets = (members("rating-edge", 1, "10.0.0.8"),)
    await world.service.copies.drive(DriveInput(copied=made))
    assert world.driver.orders[0].way == Posts("10.0.0.8:7400", "events", 50)


@pytest.mark.parametrize("group", ["edge", "splitter", "scorer", "sender"])
async def test_whatever_fails_on_the_way_in_a_sweep_finds_the_copy_and_its_topics_go(world: World, group: str) -> None:
    live = set(world.broker.there)
    world.broker.fails = "ensure"
    with pytest.raises(Unavailable):
        await world.service.copies.add(world.adding(group))
    assert await world.copies() == (group,)  # from here on the Provisioner may be killed
    await world.remove(group)
    assert (world.broker.there, await world.copies()) == (live, ())


async def test_a_copy_stays_known_until_its_topics_are_gone(world: World) -> None:
    await world.service.copies.add(world.adding("splitter"))
    world.broker.fails = "remove_below"
    with pytest.raises(Unavailable):
        await world.remove("splitter")
    assert (await world.copies(), world.own() != set()) == (("splitter",), True)
    await world.remove("splitter")
    assert (await world.copies(), world.own()) == ((), set())


async def test_what_a_rating_of_another_revision_left_goes_first_with_its_topics(world: World) -> None:
    await world.service.copies.add(world.adding("splitter"))
    world.broker.there.add("headrace-rating.rating-splitter.out.gone-since")
    await world.groups.put_fleet(fleet("splitter", revision=2, weight=100))
    await world.groups.set_weights(GroupName("splitter"), {fleet("splitter").id: 0}, world.token)
    made = await world.service.copies.add(world.adding("splitter"))
    assert (made.fleet, world.engine.fleets["rating-splitter"]) == ("rating-splitter-r2", ("rating-splitter-r2",))
    assert "headrace-rating.rating-splitter.out.gone-since" not in world.own()
    assert made.way.topic in world.own()


async def test_behind_the_copy_of_a_group_that_calls_another_stand_nodes_for_it_to_call(world: World) -> None:
    live = set(world.broker.there)
    made = await world.service.copies.add(world.adding("scorer", called_nodes=2))
    called = CalledModel(
        group="risk", copy_group="called-by-rating-scorer", fleet="called-by-rating-scorer-r3", revision=3, nodes=2
    )
    assert made.called == called
    assert await world.service.copies.add(world.adding("scorer", called_nodes=2)) == made
    assert world.engine.fleets == {"rating-scorer": ("rating-scorer-r1",), called.copy_group: (called.fleet,)}
    behind = await world.groups.get(GroupName(called.copy_group))
    assert behind is not None
    assert (behind.scope, behind.intent.nodes_min, behind.intent.nodes_max) == ("group/scorer", 2, 2)
    assert [g.spec.name for g in await world.service.groups.all() if g.spec.name.startswith("called")] == []
    assert await world.copies() == ("scorer",)  # once, whatever stands there
    published = await world.service.routing.published(GroupName("rating-scorer"))
    told = assignment(published.group, published.routes.fleets[0], published.pipeline, KAFKA)
    assert told.stage is not None
    assert isinstance(told.stage.work, Transform)
    assert told.stage.work.group == called.copy_group
    world.machines.fleets = (members("rating-scorer", 1, "10.0.0.8"),)
    with pytest.raises(Unavailable, match="copy called-by-rating-scorer-r3: none of its nodes"):
        await world.service.copies.drive(DriveInput(copied=made))
    world.machines.fleets += (members(called.copy_group, 3, "10.0.0.9", "10.0.0.10"),)
    await world.service.copies.drive(DriveInput(copied=made))
    assert world.driver.orders[-1].called == ("10.0.0.9:7400", "10.0.0.10:7400")
    for _ in range(2):
        await world.remove("scorer")
    assert (world.broker.there, world.engine.fleets, await world.copies()) == (live, {}, ())


async def test_a_group_whose_called_group_is_being_deployed_or_gone_is_refused_before_anything_is_made(
    world: World,
) -> None:
    live = set(world.broker.there)
    await world.groups.put_fleet(fleet("risk", revision=4, weight=10))
    with pytest.raises(Refused, match="group risk: two revisions share its traffic"):
        await world.service.copies.add(world.adding("scorer"))
    await world.groups.remove(GroupName("risk"))
    with pytest.raises(NotFound, match="group risk"):
        await world.service.copies.add(world.adding("scorer"))
    assert (world.broker.there, world.engine.fleets, await world.copies()) == (live, {}, ())


async def test_another_revision_of_the_called_group_makes_room_and_a_name_that_is_taken_is_told(world: World) -> None:
    await world.service.copies.add(world.adding("scorer"))
    await world.groups.put_fleet(fleet("risk", revision=4, weight=100))
    await world.groups.set_weights(GroupName("risk"), {fleet("risk", 3).id: 0}, world.token)
    made = await world.service.copies.add(world.adding("scorer"))
    assert made.called is not None
    assert (made.called.revision, world.engine.fleets[made.called.copy_group]) == (4, (made.called.fleet,))
    await world.remove("scorer")
    await world.groups.register(intent("called-by-rating-scorer"))
    with pytest.raises(Conflict, match="group scorer: its copy would be named called-by-rating-scorer"):
        await world.service.copies.add(world.adding("scorer"))


async def test_what_the_called_nodes_held_back_is_a_lower_bound(world: World) -> None:
    made = await world.service.copies.add(world.adding("scorer"))
    assert made.called is not None
    world.machines.fleets = (members("rating-scorer", 1, "10.0.0.8"), members(made.called.copy_group, 3, "10.0.0.9"))
    world.driver.found = LoadFound(110, 105, 120, "")
    text = "a lower bound: 1 node of risk, which it called, was"
    for busy, away, note in ((0.97, 0.0, f"{text} 97 % busy"), (0.2, 0.1, f"{text} 20 % busy"), (0.6, 0.01, "")):
        broke = RatingStep(
            wanted=160,
            offered=160,
            answered=120,
            latency_p95_s=9,
            errors=0,
            held=False,
            called_busy=busy,
            called_refusals=away,
        )
        found = (await world.service.copies.drive(DriveInput(copied=made, steps=(broke,)))).found
        assert found is not None
        assert (found.rate, found.note.startswith(note), bool(found.note)) == (110, True, bool(note))
