"""Adapters in memory for the operations: a clock that is advanced by hand and a cloud whose nodes boot when told."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from services.autoscaler.__main__ import Adapters, Service, build
from services.autoscaler.adapters.memory import MemoryStore
from services.autoscaler.adapters.meter import PrometheusMeter
from services.autoscaler.domain.decision import Decision
from services.autoscaler.domain.group import FleetState, GroupSnapshot
from services.autoscaler.domain.signals import Signals
from services.autoscaler.settings import AutoscalerSettings
from shared.contracts.admission import LeaseModel
from shared.domain.activity import ActivityKind
from shared.domain.errors import HeadraceError, NotFound, Unavailable
from shared.domain.health import VerdictState
from shared.domain.names import ActivityId, GroupName
from tests.autoscaler.groups import GROUP, NOW, signals, snapshot


@dataclass
class HandClock:
    """Moves when somebody sleeps or a test says so; `wall_off_s` is how wrong its wall time is."""

    now_s: float = NOW
    wall_off_s: float = 0.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.now_s + self.wall_off_s, UTC)

    def monotonic(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.now_s += seconds


NUMBERS = itertools.count(1)


class CountingIds:
    def new(self, prefix: str) -> str:
        return f"{prefix}-{next(NUMBERS):06d}"


@dataclass
class Cloud:
    """Inventory and sizes of one group; `boot` decides how many nodes enter service at each look."""

    group_state: GroupSnapshot
    boots_per_look: int = 0
    failing: HeadraceError | None = None
    failed_activity: str = ""
    silent_looks: int = 0
    over_by_s: float = 0.0
    writes: list[tuple[str, int]] = field(default_factory=list)

    async def groups(self) -> tuple[GroupSnapshot, ...]:
        return (self.group_state,)

    async def group(self, name: GroupName) -> GroupSnapshot:
        if name != self.group_state.group:
            raise NotFound(f"group {name} is not there")
        if self.silent_looks:
            self.silent_looks -= 1
            raise Unavailable("the Provisioner does not answer")
        self._boot()
        return self.group_state

    async def set_desired(self, asg: str, nodes: int, over_by_s: float) -> None:
        if self.failing:
            raise self.failing
        self.writes.append((asg, nodes))
        self.over_by_s = over_by_s
        self._each(lambda f: replace(f, desired=nodes, in_service=min(f.in_service, nodes)) if f.asg == asg else f)

    async def failure(self, asg: str, since_s: float) -> str:
        return self.failed_activity

    def _boot(self) -> None:
        self._each(lambda f: replace(f, in_service=min(f.desired, f.in_service + self.boots_per_look)))

    def _each(self, change: Callable[[FleetState], FleetState]) -> None:
        self.group_state = replace(self.group_state, fleets=tuple(change(f) for f in self.group_state.fleets))

    def sizes(self) -> dict[str, int]:
        return {f.fleet: f.desired for f in self.group_state.fleets}


@dataclass
class Surroundings:
    """Signals, verdicts, living activities and the starter of workflows."""

    measured: Signals = field(default_factory=lambda: signals(300))
    verdict: VerdictState = VerdictState.HEALTHY
    alive: dict[ActivityId, float] | None = field(default_factory=dict)
    running: bool = False
    started: list[Decision] = field(default_factory=list)

    async def read(self, groups: Sequence[GroupSnapshot], now_s: float) -> Mapping[GroupName, Signals]:
        fresh = {n: replace(getattr(self.measured, n), at_s=now_s) for n in ("arrival", "throughput", "backlog")}
        return {g.group: replace(self.measured, **fresh) for g in groups}

    async def verdicts(self) -> Mapping[GroupName, VerdictState]:
        return {GROUP: self.verdict}

    async def living(self, group: GroupName) -> Mapping[ActivityId, float] | None:
        return self.alive

    async def start(self, decision: Decision) -> bool:
        if self.running:
            return False
        self.started.append(decision)
        return True


@dataclass
class World:
    clock: HandClock
    cloud: Cloud
    around: Surroundings
    store: MemoryStore
    adapters: Adapters
    service: Service

    def over(self, adapters: Adapters) -> "World":
        """The same over other adapters."""
        at = HandClock(adapters.clock.now().timestamp())
        return replace(self, clock=at, adapters=adapters, service=build(AutoscalerSettings(), adapters))

    def lease(self, token: int = 7, left_s: float = 30.0, activity: str = "act-1") -> LeaseModel:
        return LeaseModel(
            activity_id=activity,
            token=token,
            kind=ActivityKind.DEPLOY,
            scope=f"group/{GROUP}",
            deadline_s=self.clock.now_s + left_s,
        )


def world(seen: GroupSnapshot | None = None, kept: MemoryStore | None = None, at: HandClock | None = None) -> World:
    """A process; with what another one `kept` it is that one, restarted."""
    clock, around = at or HandClock(), Surroundings()
    cloud, store = Cloud(seen or snapshot(4)), kept or MemoryStore(lambda: clock.now_s)
    adapters = Adapters(
        inventory=cloud,
        signals=around,
        health=around,
        store=store,
        sizes=cloud,
        scalings=around,
        meter=PrometheusMeter(),
        clock=clock,
        ids=CountingIds(),
    )
    return World(clock, cloud, around, store, adapters, build(AutoscalerSettings(), adapters))
