"""The tick as a whole, over memory stores: what is written, kept, removed, announced; and what a blind Observer does."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from datasketches import update_theta_sketch

from services.observer.adapters.audit_stores import MemoryAudits
from services.observer.adapters.memory_ledger import MemoryLedger
from services.observer.adapters.memory_verdicts import MemoryHistory, MemoryLeadership, MemoryVerdicts
from services.observer.domain.activities import Request
from services.observer.domain.audits import AuditPoint, AuditReport
from services.observer.domain.evidence import (
    BrokerReading,
    Failed,
    FleetMembers,
    FleetRates,
    GroupFacts,
    Inventory,
    Member,
    PipelineFacts,
    Readings,
    Windowed,
)
from services.observer.domain.group_health import HealthPolicy
from services.observer.domain.loss import CloseRule
from services.observer.operations.admit import Admission, Admitted
from services.observer.operations.loss_round import LossRound
from services.observer.operations.observe import Observing, Sources, TickPolicy
from shared.domain.activity import ActivityKind as K
from shared.domain.errors import Unavailable
from shared.domain.health import VerdictState as V
from shared.domain.names import RequestId
from shared.domain.scope import SYSTEM, Scope
from tests.observer.requests import LIMITS, A, B, P
from tests.observer.store_clock import CountedIds, HandClock

GROUPS = {g: GroupFacts(g, 1) for g in ("a", "b")}
PIPELINE = PipelineFacts("p", 1, {"first": "a", "second": "b"}, ingest=("first",), transmit=("second",))
POLICY = TickPolicy(20, 10, 30, 60, 0, HealthPolicy(lag_burn_max=2.0, warm_up_s=3))
RULE = CloseRule(wait_s=15, stuck_s=60)


@dataclass
class World:
    """Sources that a test can break, and the stores."""

    clock: HandClock = field(default_factory=HandClock)
    groups: dict[str, GroupFacts] = field(default_factory=lambda: dict(GROUPS))
    pipelines: dict[str, PipelineFacts] = field(default_factory=lambda: {"p": PIPELINE})
    failing: dict[str, float] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.ledger = MemoryLedger(self.clock.seconds, LIMITS.call_deadline_s_max)
        self.verdicts, self.history, self.audits = MemoryVerdicts(), MemoryHistory(), MemoryAudits()
        self.leadership = MemoryLeadership(self.clock.seconds)
        self.ids = CountedIds()
        self.admission = Admission(self.ledger, self.verdicts, self.ids, LIMITS)
        self.observing = self.observer("one")

    def observer(self, name: str) -> Observing:
        sources = Sources(Provisioner(self), Cloud(self), Metrics(self), Broker(self))
        losses = LossRound(self.audits, RULE)
        return Observing(
            name,
            sources,
            self.ledger,
            self.verdicts,
            self.history,
            self.leadership,
            losses,
            self.clock,
            self.ids,
            POLICY,
        )

    async def ticks(self, count: int = 1) -> None:
        for _ in range(count):
            self.clock.at += 2
            await self.observing.tick()

    async def states(self) -> dict[Scope, V]:
        return {s: v.state for s, v in (await self.verdicts.read_all()).items()}


@dataclass
class Provisioner:
    world: World

    async def read(self) -> Inventory:
        if "provisioner" in self.world.down:
            raise Unavailable("Provisioner: no answer")
        return Inventory(dict(self.world.groups), dict(self.world.pipelines))


@dataclass
class Cloud:
    world: World

    async def read(self) -> Sequence[FleetMembers]:
        if "aws" in self.world.down:
            raise Unavailable("AWS: no answer")
        return [FleetMembers(g, f"{g}-r1", 1, (Member(f"i-{g}", in_service=True),)) for g in sorted(self.world.groups)]


@dataclass
class Metrics:
    world: World

    async def read(self, at: float) -> Readings:
        if "prometheus" in self.world.down:
            gone = Failed("HTTP 503")
            return Readings(at, gone, gone, gone, gone)
        groups = self.world.groups
        window = Windowed(
            {g: {1.0: 100.0, float("inf"): 100.0} for g in groups},
            {(g, f"{g}-r1"): FleetRates(100, self.world.failing.get(g, 0)) for g in groups},
        )
        return Readings(at, window, window, {g: {f"i-{g}": at} for g in groups})


@dataclass
class Broker:
    world: World

    async def read(self, inventory: Inventory) -> BrokerReading:
        return BrokerReading(self.world.clock.at)


@pytest.fixture
def world() -> World:
    return World()


async def test_every_scope_gets_a_verdict_with_epoch_and_seq(world: World) -> None:
    await world.ticks(2)
    found = await world.verdicts.read_all()
    assert {str(s) for s in found} == {
        "group/a", "group/b", "stage/p/first", "stage/p/second", "pipeline/p", "system",
    }  # fmt: skip
    assert {v.state for v in found.values()} == {V.HEALTHY}
    assert {(v.epoch, v.seq, v.as_of) for v in found.values()} == {(1, 2, world.clock.at)}
    assert found[A].since == world.clock.at - 2
    assert (await world.ledger.topology()).pipelines == {"p": {"first": "a", "second": "b"}}
    assert await world.history.last_position() == len(found)  # changes only


async def test_without_groups_the_system_is_idle(world: World) -> None:
    world.groups.clear()
    world.pipelines.clear()
    await world.ticks()
    assert await world.states() == {SYSTEM: V.IDLE}


async def test_a_scope_that_leaves_the_inventory_leaves_no_alarm_behind(world: World) -> None:
    world.failing["b"] = 50
    await world.ticks(3)
    assert [a.alarm_class for a in await world.history.open_alarms()] == ["errors"]
    del world.groups["b"]
    world.pipelines.clear()
    await world.ticks()
    assert set(await world.states()) == {A, SYSTEM}
    assert await world.history.open_alarms() == []
    assert [n.event for n in world.history.notifications] == ["firing", "resolved"]


async def test_an_inventory_that_was_never_read_closes(world: World) -> None:
    world.down.add("provisioner")
    await world.ticks()
    assert await world.states() == {SYSTEM: V.UNKNOWN}


async def test_a_provisioner_that_goes_away_takes_no_group_away(world: World) -> None:
    await world.ticks(2)
    world.down.add("provisioner")
    await world.ticks(5)
    assert set((await world.states()).values()) == {V.HEALTHY}


async def test_when_telemetry_fails_there_is_one_finding_and_no_page_per_scope(world: World) -> None:
    await world.ticks(2)
    world.down.add("prometheus")
    await world.ticks(3)
    states = await world.states()
    assert set(states.values()) == {V.UNKNOWN}
    system = (await world.verdicts.read((SYSTEM,)))[SYSTEM]
    assert system.reasons[0].code == "TelemetryOutage"
    assert [str(n.alarm.scope) for n in world.history.notifications] == ["system"]
    blocked = await world.admission.begin(Request(RequestId("r"), K.DEPLOY, A, "h", 60))
    assert not isinstance(blocked, Admitted)
    world.down.clear()
    await world.ticks()
    assert set((await world.states()).values()) == {V.HEALTHY}


async def test_an_activity_quiets_notifications_and_not_the_verdict(world: World) -> None:
    """What is quieted is said when the window is over, at once."""
    await world.ticks(2)
    deploy = await world.admission.begin(
        Request(RequestId("d"), K.DEPLOY, B, "h", 600, quiets=("instance_churn", "capacity", "lag_warn"))
    )
    assert isinstance(deploy, Admitted)
    world.groups["b"] = replace(GROUPS["b"], nodes_min=1)
    world.observing._sources = replace(world.observing._sources, members=Short(world))
    await world.ticks(3)
    verdict = (await world.verdicts.read((B,)))[B]
    assert (verdict.state, verdict.quieted) == (V.UNHEALTHY, True)
    assert world.history.notifications == []
    await world.admission.end(deploy.activity.id, deploy.activity.token, "failed", "")  # type: ignore[arg-type]
    await world.ticks()
    assert world.history.notifications == []  # the tail
    world.clock.at += 120
    await world.ticks()
    (said,) = world.history.notifications
    assert (said.event, str(said.alarm.scope)) == ("firing", "group/b")


@dataclass
class Short:
    """Group b has one of two machines: more than half missing would pierce."""

    world: World

    async def read(self) -> Sequence[FleetMembers]:
        fleets = await Cloud(self.world).read()
        return [replace(f, desired=2) if f.group == "b" else f for f in fleets]


async def test_a_second_observer_waits_and_then_leads_with_a_greater_epoch(world: World) -> None:
    world.failing["a"] = 50
    await world.ticks(3)
    since = (await world.verdicts.read((A,)))[A].since
    other = world.observer("two")
    await other.tick()
    assert not other.leads
    world.clock.at += POLICY.leader_ttl_s
    await other.tick()
    assert other.leads
    taken = (await world.verdicts.read((A,)))[A]
    assert taken.epoch == 2
    await world.observing.tick()
    assert not world.observing.leads
    for _ in range(2):
        world.clock.at += 2
        await other.tick()
    still = (await world.verdicts.read((A,)))[A]
    assert (still.state, still.since) == (V.UNHEALTHY, since)
    assert len(await world.history.open_alarms()) == 1


async def test_a_lost_verdict_store_is_rebuilt_by_the_next_tick(world: World) -> None:
    await world.ticks(2)
    world.verdicts.lose()
    world.verdicts.down = True
    await world.ticks()
    world.verdicts.down = False
    await world.ticks()
    assert set((await world.states()).values()) == {V.HEALTHY}


async def test_loss_is_found_by_audits_and_healed_by_late_ones(world: World) -> None:
    minute = 1_000_020 - 1_000_020 % 60

    def audit(stage: str, node: str, count: int) -> AuditReport:
        sketch = update_theta_sketch(12)
        for i in range(count):
            sketch.update(f"{i}")
        point = AuditPoint(stage, "out")
        data = sketch.compact().serialize()
        return AuditReport(f"{stage}-{count}", node, "p", point, minute, data, count, minute + 61.0)

    await world.audits.add([audit("first", "n1", 1000), audit("second", "n2", 900)])
    world.clock.at = minute + 60 + RULE.wait_s - 3
    await world.ticks()
    assert (await world.states())[P] is V.HEALTHY  # the minute is still open
    await world.ticks(2)
    verdict = (await world.verdicts.read((P,)))[P]
    assert verdict.state is V.UNHEALTHY
    assert verdict.signals["loss_ratio"] == pytest.approx(0.1)
    assert [n.alarm.alarm_class for n in world.history.notifications] == ["loss"]
    await world.audits.add([audit("second", "n2", 1000)])
    await world.ticks()
    assert (await world.states())[P] is V.HEALTHY
    assert [n.event for n in world.history.notifications] == ["firing", "resolved"]


async def test_a_new_fleet_that_fails_is_the_cause(world: World) -> None:
    await world.ticks(2)
    deploy = await world.admission.begin(Request(RequestId("d"), K.DEPLOY, A, "h", 600))
    assert isinstance(deploy, Admitted)
    world.groups["a"] = replace(GROUPS["a"], new_fleets=("a-r1",))
    world.failing["a"] = 50
    await world.ticks(2)
    assert (await world.verdicts.read((A,)))[A].cause == ""  # there is no old fleet to compare with
    world.observing._sources = replace(world.observing._sources, signals=TwoFleets(world))
    await world.ticks()
    found = await world.verdicts.read((A, P, B))
    assert found[A].cause == found[P].cause == deploy.activity.id
    assert found[B].cause == ""


@dataclass
class TwoFleets:
    """The old fleet of group a is fine at the same minute."""

    world: World

    async def read(self, at: float) -> Readings:
        readings = await Metrics(self.world).read(at)
        assert isinstance(readings.fast, Windowed)
        both = replace(readings.fast, rates={**readings.fast.rates, ("a", "a-r0"): FleetRates(100, 0)})
        return replace(readings, fast=both, slow=both)
