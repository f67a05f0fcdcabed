"""Traffic and what machines make of it: events arrive, machines in service work them off, what is left waits.

A fluid model, moved on in small steps: lag grows when capacity is below load, and a machine that is not in service does
nothing. The Observer and the Autoscaler see it through metrics and the broker's offsets, each with its own faults.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from services.autoscaler.domain.group import GroupSnapshot
from services.autoscaler.domain.signals import FAILED, Signals, judged
from services.observer.domain.evidence import (
    BrokerReading,
    Failed,
    FleetMembers,
    FleetRates,
    Inventory,
    Member,
    Offsets,
    Readings,
    Windowed,
)
from shared.aws.groups import AsgState
from shared.domain.errors import Unavailable
from shared.domain.names import GroupName
from tests.sim.world.fleets import Fleets
from tests.sim.world.plant import INF, LAG_SLO_S, Plant

NODE_RATE = 50.0  # events a second that one machine can work off
STEP_S = 5.0
LATELY_STEPS = 9  # from what is measured to what is decided, and on to the last write that it allows
SEEN_STEPS = 20  # a silence of 90 s still counts as having watched: `Limits.observation_gap_s`
WINDOW_STEPS = 48  # of the five minutes for which a need is remembered, less what a decision takes until it is written
PARTITIONS = 12  # of every topic; keys spread evenly
STALE_AFTER_S = 60.0


def least_of(now: float, lately: deque[float]) -> float:
    """The least of late."""
    return min(now, min(islice(reversed(lately), LATELY_STEPS), default=now))


def lasting(lately: deque[float]) -> float:
    """The most that arrived for so long that somebody must have seen it."""
    seen = list(lately)
    return max((min(seen[n : n + SEEN_STEPS]) for n in range(len(seen) - SEEN_STEPS + 1)), default=0.0)


@dataclass
class Flow:
    """One group's traffic: `base` events a second, times every factor of the plan that holds now."""

    base: float
    factors: list[float] = field(default_factory=list)
    produced: float = 0.0
    finished: float = 0.0
    throughput: float = 0.0
    lately: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW_STEPS))

    @property
    def arrival(self) -> float:
        """Events a second."""
        rate = self.base
        for factor in self.factors:
            rate *= factor
        return rate

    @property
    def least(self) -> float:
        """The least that arrived a second of late: nobody can answer for more."""
        return least_of(self.arrival, self.lately)

    @property
    def backlog(self) -> float:
        """Events that wait."""
        return self.produced - self.finished

    def move(self, seconds: float, serving: int) -> None:
        """Let time pass."""
        arrival = self.arrival
        self.lately.append(arrival)
        self.produced += arrival * seconds
        done = min(self.produced - self.finished, NODE_RATE * serving * seconds)
        self.finished += done
        self.throughput = done / seconds


class Traffic:
    """All groups' flows over the machines that the cloud has."""

    def __init__(self, fleets: Fleets, flows: Mapping[str, Flow]) -> None:
        self.fleets, self.flows = fleets, flows
        self._read: tuple[AsgState, ...] = ()
        self._serving: dict[str, int] = {}

    def step(self) -> None:
        """One step of all."""
        serving = self.serving()
        for group, flow in self.flows.items():
            flow.move(STEP_S, serving.get(group, 0))

    def serving(self) -> dict[str, int]:
        """Machines in service, by group."""
        states = self.fleets.states()
        if states is not self._read:
            self._read, self._serving = states, {s.group: s.in_service for s in states}
        return self._serving


class TrafficMembers:
    """The Observer's `MembersSource`."""

    def __init__(self, plant: Plant, traffic: Traffic) -> None:
        self._plant, self._traffic = plant, traffic

    async def read(self) -> Sequence[FleetMembers]:
        """As AWS describes them."""
        if self._plant.is_ill("", "cloud"):
            raise Unavailable("DescribeAutoScalingGroups: throttled")
        return [
            FleetMembers(
                group=s.group,
                fleet=s.fleet,
                desired=s.desired,
                members=tuple(
                    Member(i.id, in_service=i.in_service, pending=i.pending, healthy=i.health == "Healthy")
                    for i in s.instances
                ),
            )
            for s in self._traffic.fleets.seen()
        ]


class TrafficMetrics:
    """The Observer's `SignalSource`."""

    def __init__(self, plant: Plant, traffic: Traffic) -> None:
        self._plant, self._traffic = plant, traffic

    async def read(self, at: float) -> Readings:
        """As of one instant."""
        plant, flows = self._plant, self._traffic.flows
        if plant.is_ill("", "metrics"):
            gone = Failed("HTTP 503")
            return Readings(at, gone, gone, gone, gone)
        lag: dict[str, dict[float, float]] = {}
        rates: dict[tuple[str, str], FleetRates] = {}
        for group, flow in flows.items():
            rate = flow.throughput
            waits_s = flow.backlog / rate if rate else INF
            late = rate if waits_s > LAG_SLO_S else rate * plant.late(group)
            lag[group] = {1.0: rate - late, LAG_SLO_S: rate - late, 60.0: rate if waits_s <= 60 else 0.0, INF: rate}
            rates[group, f"{group}-r1"] = FleetRates(rate, rate * 0.4 if plant.is_ill(group, "errors") else 0.0)
        window = Windowed(lag, rates)
        reporting = {
            s.group: {i.id: at - 3.0 for i in s.instances if i.in_service}
            for s in self._traffic.fleets.states()
            if not plant.is_ill(s.group, "silent")
        }
        return Readings(at, window, window, reporting)


class TrafficBroker:
    """The Observer's `BrokerSource`."""

    def __init__(self, plant: Plant, traffic: Traffic) -> None:
        self._plant, self._traffic = plant, traffic

    async def read(self, inventory: Inventory) -> BrokerReading:
        """End and committed offsets."""
        at, flows = self._traffic.fleets.now(), self._traffic.flows
        if self._plant.is_ill("", "broker"):
            return BrokerReading(at, failed=dict.fromkeys(inventory.groups, "no answer"))
        return BrokerReading(
            at, {g: Offsets({0: int(flows[g].produced)}, {0: int(flows[g].finished)}) for g in sorted(inventory.groups)}
        )


class TrafficSignals:
    """The Autoscaler's `SignalSource`: rates and backlog at the broker, as the Observer exports them."""

    def __init__(self, plant: Plant, traffic: Traffic) -> None:
        self._plant, self._traffic = plant, traffic

    async def read(self, groups: Sequence[GroupSnapshot], now_s: float) -> Mapping[GroupName, Signals]:
        """FAILED while the metric store does not answer; without the broker, a lower bound."""
        if self._plant.is_ill("", "metrics"):
            return {g.group: Signals(FAILED, FAILED, FAILED, FAILED, FAILED, FAILED, FAILED) for g in groups}
        return {g.group: self._of(self._plant, self._traffic, str(g.group), now_s) for g in groups}

    @staticmethod
    def _of(plant: Plant, traffic: Traffic, group: str, now_s: float) -> Signals:
        flow, measured_s = traffic.flows[group], traffic.fleets.now() - STEP_S
        whole = not plant.is_ill("", "broker")
        capacity = NODE_RATE * traffic.serving().get(group, 0)
        reporting = not plant.is_ill(group, "silent")
        busy = judged(
            flow.throughput / capacity if capacity else 1.0, measured_s, now_s, STALE_AFTER_S, whole=reporting
        )
        return Signals(
            arrival=judged(flow.arrival, measured_s, now_s, STALE_AFTER_S, whole=whole),
            throughput=judged(flow.throughput, measured_s, now_s, STALE_AFTER_S),
            backlog=judged(flow.backlog, measured_s, now_s, STALE_AFTER_S, whole=whole),
            backlog_worst=judged(flow.backlog / PARTITIONS, measured_s, now_s, STALE_AFTER_S, whole=whole),
            busy=busy,
        )
