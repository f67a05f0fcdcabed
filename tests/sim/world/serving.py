"""Requests and the machines that answer them: clients balance over the routes that they last heard of.

Each fleet answers its share with what it has in service; what is too much for it fails, and so does a part of what a
bad revision answers. Nothing here asks a service: the data plane goes on by itself.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from services.autoscaler.domain.group import GroupSnapshot
from services.autoscaler.domain.signals import FAILED as SIGNAL_FAILED
from services.autoscaler.domain.signals import Signals, judged
from services.deployer.domain.judge import FleetSample
from services.deployer.domain.ports import Unreadable
from services.observer.domain.evidence import (
    Failed,
    FleetMembers,
    FleetRates,
    Member,
    Readings,
    Windowed,
)
from shared.aws.groups import AsgState
from shared.contracts.node import Routes
from shared.domain.errors import Unavailable
from shared.domain.names import FleetId, GroupName
from tests.sim.world.cloud import Cloud
from tests.sim.world.load import PARTITIONS, WINDOW_STEPS, least_of
from tests.sim.world.plant import INF, LAG_SLO_S, Plant

NODE_RATE = 50.0  # requests a second that one machine answers
STEP_S = 5.0
CORES = 2.0  # of an m6a.large
FAILS = 0.3  # of what a bad revision answers
STALE_AFTER_S = 60.0
SECONDS_EACH = 0.01


@dataclass
class Counters:
    """A fleet's counters as of each step."""

    at_s: list[float] = field(default_factory=list)
    done: list[float] = field(default_factory=list)
    failed: list[float] = field(default_factory=list)

    def add(self, at_s: float, done: float, failed: float) -> None:
        """One step's worth."""
        self.at_s.append(at_s)
        self.done.append((self.done[-1] if self.done else 0.0) + done)
        self.failed.append((self.failed[-1] if self.failed else 0.0) + failed)

    def between(self, since_s: float, until_s: float) -> tuple[float, float]:
        """Growth of (done, failed)."""
        first, last = bisect_right(self.at_s, since_s), bisect_right(self.at_s, until_s)
        if last == 0:
            return 0.0, 0.0
        before = (self.done[first - 1], self.failed[first - 1]) if first else (0.0, 0.0)
        return self.done[last - 1] - before[0], self.failed[last - 1] - before[1]


@dataclass
class Demand:
    """One group's requests a second: `base` times every factor that holds now, times the share that a ramp lets in.

    Of a group that consumes a topic: events ever `produced` for it, and `finished`.
    """

    base: float
    factors: list[float] = field(default_factory=list)
    share: float = 1.0
    consumes: bool = False
    produced: float = 0.0
    finished: float = 0.0
    lately: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW_STEPS))

    @property
    def arrival(self) -> float:
        """Requests a second."""
        rate = self.base * self.share
        for factor in self.factors:
            rate *= factor
        return rate

    @property
    def waiting(self) -> float:
        """Events that wait in the topic."""
        return self.produced - self.finished

    def seat(self, share: float, *, consumes: bool) -> None:
        """What a pipeline makes of it: nothing waits for who consumes nothing."""
        self.share, self.consumes = share, consumes
        if not consumes:
            self.produced = self.finished = 0.0

    @property
    def least(self) -> float:
        """The least of late."""
        return least_of(self.arrival, self.lately)


class Serving:
    """All groups; `step` moves time on."""

    def __init__(
        self, cloud: Cloud, heard: Mapping[str, Routes], demand: Mapping[str, Demand], bad: Callable[[str], bool]
    ) -> None:
        self._cloud, self._heard, self._bad = cloud, heard, bad
        self.demand = demand
        self.counters: dict[str, Counters] = {}
        self.rates: dict[tuple[str, str], FleetRates] = {}  # of the last step, by (group, fleet)
        self.lost: dict[str, float] = dict.fromkeys(demand, 0.0)  # requests that met no machine

    def routes(self, group: str) -> dict[str, int]:
        """Weight by fleet, of fleets that clients know an endpoint of."""
        routes = self._heard.get(group)
        return {f.fleet: f.weight for f in routes.fleets if f.weight > 0 and f.endpoints} if routes else {}

    def step(self, now_s: float) -> None:
        """One step of all."""
        states = {s.fleet: s for s in self._cloud.states()}
        self.rates = {}
        for group, demand in self.demand.items():
            weights = {f: w for f, w in self.routes(group).items() if f in states and states[f].in_service}
            total = sum(weights.values())
            wanted = demand.arrival
            demand.lately.append(wanted)
            if demand.consumes:
                demand.produced += wanted * STEP_S
                wanted = demand.waiting / STEP_S
            elif not total:
                self.lost[group] += wanted * STEP_S
            for fleet, weight in weights.items():
                asked = wanted * weight / total
                answered = min(asked, NODE_RATE * states[fleet].in_service)
                if demand.consumes:  # what is too much waits
                    demand.finished += answered * STEP_S
                    asked = answered
                failed = asked - answered + (answered * FAILS if self._bad(fleet) else 0.0)
                self.rates[group, fleet] = FleetRates(asked, failed)
                self.counters.setdefault(fleet, Counters()).add(now_s, (asked - failed) * STEP_S, failed * STEP_S)

    def busy(self, group: str, states: Sequence[AsgState]) -> tuple[float, float, int]:
        """(requests answered a second, what its machines in traffic could answer, how many those are)."""
        nodes = sum(s.in_service for s in states if (group, s.fleet) in self.rates)
        asked = sum(r.processed for (g, _), r in self.rates.items() if g == group)
        return min(asked, NODE_RATE * nodes), NODE_RATE * nodes, nodes


class ServingMembers:
    """The Observer's `MembersSource`."""

    def __init__(self, plant: Plant, cloud: Cloud) -> None:
        self._plant, self._cloud = plant, cloud

    async def read(self) -> Sequence[FleetMembers]:
        """As AWS describes them."""
        if self._plant.is_ill("", "cloud"):
            raise Unavailable("DescribeAutoScalingGroups: throttled")
        return [
            FleetMembers(
                s.group,
                s.fleet,
                s.desired,
                tuple(
                    Member(i.id, in_service=i.in_service, pending=i.pending, healthy=i.health == "Healthy")
                    for i in s.instances
                ),
            )
            for s in self._cloud.seen()
        ]


class ServingMetrics:
    """The Observer's `SignalSource`."""

    def __init__(self, plant: Plant, cloud: Cloud, serving: Serving) -> None:
        self._plant, self._cloud, self._serving = plant, cloud, serving

    async def read(self, at: float) -> Readings:
        """As of one instant."""
        plant, rates = self._plant, dict(self._serving.rates)
        if plant.is_ill("", "metrics"):
            gone = Failed("HTTP 503")
            return Readings(at, gone, gone, gone, gone)
        lag: dict[str, dict[float, float]] = {}
        for group, demand in self._serving.demand.items():
            mine = [r for (g, _), r in rates.items() if g == group]
            rate = sum(r.processed for r in mine)
            waits_s = demand.waiting / rate if rate else 0.0
            late = rate if waits_s > LAG_SLO_S else rate * plant.late(group)
            lag[group] = {1.0: rate - late, LAG_SLO_S: rate - late, 60.0: rate if waits_s <= 60 else 0.0, INF: rate}
            if plant.is_ill(group, "errors"):
                rates |= {k: FleetRates(r.processed, r.processed * 0.4) for k, r in rates.items() if k[0] == group}
        reporting: dict[str, dict[str, float]] = {}
        for s in self._cloud.states():
            if not plant.is_ill(s.group, "silent"):
                seen = reporting.setdefault(s.group, {})
                seen |= {i.id: at - 3.0 for i in s.instances if i.in_service}
        window = Windowed(lag, rates)
        return Readings(at, window, window, reporting)


class ServingSignals:
    """The Autoscaler's `SignalSource`."""

    def __init__(self, plant: Plant, cloud: Cloud, serving: Serving) -> None:
        self._plant, self._cloud, self._serving = plant, cloud, serving

    async def read(self, groups: Sequence[GroupSnapshot], now_s: float) -> Mapping[GroupName, Signals]:
        """FAILED while the metric store does not answer."""
        if self._plant.is_ill("", "metrics"):
            failed = SIGNAL_FAILED
            return {g.group: Signals(failed, failed, failed, failed, failed, failed, failed) for g in groups}
        states = self._cloud.states()
        return {g.group: self._of(str(g.group), states, now_s) for g in groups}

    def _of(self, group: str, states: Sequence[AsgState], now_s: float) -> Signals:
        answered, capacity, nodes = self._serving.busy(group, states)
        whole, measured_s = not self._plant.is_ill(group, "silent"), self._cloud.fleets.now() - STEP_S
        demand = self._serving.demand[group]
        share, arrival = answered / capacity if capacity else 0.0, demand.arrival
        waits = Signals()
        if demand.consumes:
            at_broker = not self._plant.is_ill("", "broker")
            waits = Signals(
                backlog=judged(demand.waiting, measured_s, now_s, STALE_AFTER_S, whole=at_broker),
                backlog_worst=judged(demand.waiting / PARTITIONS, measured_s, now_s, STALE_AFTER_S, whole=at_broker),
            )
        return replace(
            waits,
            arrival=judged(arrival, measured_s, now_s, STALE_AFTER_S),
            throughput=judged(answered, measured_s, now_s, STALE_AFTER_S),
            cpu_cores=judged(share * CORES * nodes, measured_s, now_s, STALE_AFTER_S, whole=whole),
            cpu_nodes=judged(float(nodes), measured_s, now_s, STALE_AFTER_S, whole=whole),
            busy=judged(share, measured_s, now_s, STALE_AFTER_S, whole=whole),
        )


class ServingMeasurements:
    """The Deployer's `Measurements`."""

    def __init__(self, plant: Plant, cloud: Cloud, serving: Serving) -> None:
        self._plant, self._cloud, self._serving = plant, cloud, serving

    async def read(
        self, group: GroupName, fleets: Sequence[FleetId], since_s: float, until_s: float
    ) -> dict[FleetId, FleetSample] | Unreadable:
        """Growth of the counters of these fleets."""
        if self._plant.is_ill("", "metrics"):
            return Unreadable("HTTP 503")
        nodes = {s.fleet: s.in_service for s in self._cloud.states()}
        return {f: self._sample(f, since_s, until_s, nodes.get(f, 0)) for f in fleets}

    def _sample(self, fleet: FleetId, since_s: float, until_s: float, nodes: int) -> FleetSample:
        done, failed = self._serving.counters.get(fleet, Counters()).between(since_s, until_s)
        return FleetSample(fleet, done, failed, SECONDS_EACH if done else None, nodes)
