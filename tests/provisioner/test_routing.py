"""Routes follow the facts; unknown is not empty; watchers hear every change and resume."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from services.provisioner.adapters.memory import MemoryFences, MemoryGroups, MemoryPipelines, MemoryRoutes
from services.provisioner.domain.group import Group
from services.provisioner.domain.pipeline import seats_of
from services.provisioner.operations.lease_guard import LeaseGuard
from services.provisioner.operations.routing import Published, Routing
from services.provisioner.operations.translation import pipeline_intent
from shared.contracts.admission import LeaseModel
from shared.contracts.provisioning import SetRampInput, SetWeightsInput
from shared.domain.activity import ActivityKind
from shared.domain.errors import Refused, StaleLease, Unavailable
from shared.domain.names import GroupName, PipelineName
from tests.provisioner.clocks import StillClock
from tests.provisioner.cloud import DictMirror, TableMachines, members
from tests.provisioner.examples import departures, fleet, intent

WAIT_S = 30.0
DELAYS = GroupName("delays")


class OvertakenGroups(MemoryGroups):
    """Once `by` is set, a newer holder's write comes between each read and the write that follows it."""

    by: int | None = None

    async def get(self, name: GroupName) -> Group | None:
        if self.by is not None:
            await self._fences.check(f"group/{name}", self.by)
        return await super().get(name)


class World:
    def __init__(self) -> None:
        self.clock = StillClock()
        self.fences = MemoryFences()
        self.groups, self.pipelines, self.store = OvertakenGroups(self.fences), MemoryPipelines(), MemoryRoutes()
        self.machines, self.mirror = TableMachines(), DictMirror()
        guard = LeaseGuard(self.fences, None, self.clock)
        self.routing = Routing(self.groups, self.pipelines, self.store, self.machines, self.mirror, guard)

    def lease(self, scope: str = "group/delays", token: int = 1) -> LeaseModel:
        deadline = self.clock.now().timestamp() + 60
        return LeaseModel(activity_id="a", token=token, kind=ActivityKind.DEPLOY, scope=scope, deadline_s=deadline)

    async def weights(self, token: int = 1, **weights: int) -> None:
        wanted = {f"delays-{k}": v for k, v in weights.items()}
        await self.routing.set_weights(SetWeightsInput(group="delays", weights=wanted, lease=self.lease(token=token)))

    async def endpoints(self) -> dict[str, tuple[str, ...]]:
        routes = (await self.routing.published(DELAYS)).routes
        return {f.fleet: f.endpoints for f in routes.fleets}


@pytest.fixture
async def world() -> World:
    world = World()
    await world.groups.register(intent())
    await world.groups.put_fleet(fleet(revision=1, weight=100))
    await world.groups.put_fleet(fleet(revision=2))
    world.machines.fleets = (members("delays", 1, "10.0.0.1", "10.0.0.2", pending=1), members("delays", 2))
    await world.routing.tick()
    return world


async def test_only_members_in_service_are_endpoints(world: World) -> None:
    assert await world.endpoints() == {"delays-r1": ("10.0.0.1:7400", "10.0.0.2:7400"), "delays-r2": ()}


async def test_nothing_changed_is_the_same_generation(world: World) -> None:
    before = (await world.routing.published(DELAYS)).routes.generation
    await world.routing.tick()
    assert (await world.routing.published(DELAYS)).routes.generation == before


async def test_a_failed_inventory_changes_nothing(world: World) -> None:
    before = await world.endpoints()
    world.machines.away = True
    with pytest.raises(Unavailable):
        await world.routing.tick()
    assert await world.endpoints() == before


async def test_a_fleet_that_aws_does_not_list_keeps_its_endpoints(world: World) -> None:
    before = await world.endpoints()
    world.machines.fleets = ()
    await world.routing.tick()
    assert await world.endpoints() == before


async def test_weights_are_absolute_fenced_and_mirrored_at_once(world: World) -> None:
    await world.weights(token=5, r2=100)
    mirrored = json.loads(world.mirror.documents[DELAYS])
    assert [(f["fleet"], f["weight"]) for f in mirrored["fleets"]] == [("delays-r1", 0), ("delays-r2", 100)]
    with pytest.raises(StaleLease):
        await world.weights(token=4, r1=100)
    with pytest.raises(Refused):
        await world.weights(token=6, r1=0, r2=0)


async def test_whoever_stood_still_after_the_check_is_fenced_where_it_writes(world: World) -> None:
    world.groups.by = 9
    with pytest.raises(StaleLease, match="superseded by 9"):
        await world.weights(token=5, r2=100)
    known = await world.groups.get(DELAYS)
    assert known is not None
    assert [f.weight for f in known.fleets] == [100, 0]


async def test_losing_the_mirror_loses_nothing(world: World) -> None:
    world.mirror.away = True
    await world.weights(r1=50, r2=50)
    world.mirror.away = False
    world.mirror.documents.clear()
    await world.routing.tick()
    assert json.loads(world.mirror.documents[DELAYS])["generation"] == 2


async def next_of(stream: AsyncIterator[Published]) -> Published:
    async with asyncio.timeout(WAIT_S):
        return await anext(stream)


async def test_a_watcher_hears_changes_and_resumes_by_generation(world: World) -> None:
    stream = world.routing.watch(DELAYS, 0)
    assert (await next_of(stream)).routes.generation == 1
    world.machines.grow("default-delays-r2", "10.0.0.9")
    waiting = asyncio.ensure_future(anext(stream))
    await world.routing.tick()
    async with asyncio.timeout(WAIT_S):
        heard = await waiting
    assert heard.routes.generation == 2
    assert heard.routes.fleets[1].endpoints == ("10.0.0.9:7400",)
    resumed = asyncio.ensure_future(anext(world.routing.watch(DELAYS, 2)))
    await asyncio.wait({resumed}, timeout=0.05)
    assert not resumed.done()
    await world.weights(r1=50, r2=50)
    async with asyncio.timeout(WAIT_S):
        assert (await resumed).routes.generation == 3


async def test_a_ramp_reaches_ingest_groups_only_and_an_assignment_is_a_new_generation(world: World) -> None:
    await world.groups.register(intent("departures-ingest", kind="ingest"))
    pipeline = pipeline_intent(departures(), 1)
    await world.pipelines.register(pipeline)
    changed = await world.groups.seat(pipeline.name, seats_of(pipeline))
    await world.routing.publish(changed)
    ingest = (await world.routing.published(GroupName("departures-ingest"))).routes
    delays = (await world.routing.published(DELAYS)).routes
    assert (ingest.ramp_percent, delays.ramp_percent) == (0, 100)
    assert delays.generation == 2
    scope = world.lease("pipeline/departures")
    await world.routing.set_ramp(SetRampInput(pipeline="departures", percent=25, lease=scope))
    ingest = (await world.routing.published(GroupName("departures-ingest"))).routes
    assert ingest.ramp_percent == 25
    state = await world.pipelines.get(PipelineName("departures"))
    assert state is not None
    assert (state.phase, state.ramp_percent) == ("RAMPING", 25)


async def test_a_removed_group_leaves_empty_routes_and_a_higher_generation_when_it_comes_back(world: World) -> None:
    await world.groups.remove(DELAYS)
    await world.routing.publish(None)
    await world.groups.register(intent())
    await world.groups.put_fleet(fleet(revision=1, weight=100))
    await world.routing.tick()
    assert (await world.routing.published(DELAYS)).routes.generation == 3
