"""What the Observer looks at: groups of machines that work, fall ill, or cannot be seen.

A group's health is what the plan says it is at the moment; machines, metrics and offsets are made up from it, so that
all sources tell one story, each as far as it can see.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from services.observer.domain.evidence import (
    BrokerReading,
    Failed,
    FleetMembers,
    FleetRates,
    GroupFacts,
    Inventory,
    Member,
    Offsets,
    PipelineFacts,
    Readings,
    Windowed,
)
from shared.domain.errors import Unavailable

RATE = 100.0  # events a second of every group
BACKLOG = 40  # events in hand of a healthy group
LAG_SLO_S = 5.0
INF = float("inf")


@dataclass
class Plant:
    """`ill` has what is wrong now: (group, how), or ("", source) for a source that does not answer."""

    true_s: Callable[[], float]
    pipelines: Mapping[str, Mapping[str, str]]
    groups: tuple[str, ...]
    nodes: int = 2
    ill: list[tuple[str, str]] = field(default_factory=list)

    def is_ill(self, group: str, how: str) -> bool:
        """Whether that is wrong with the group, or with the source."""
        return (group, how) in self.ill

    def late(self, group: str) -> float:
        """The share of its events that come later than they may: far too many, or too many for comfort."""
        return 0.6 if self.is_ill(group, "late") else 0.15 if self.is_ill(group, "near") else 0.0


class PlantInventory:
    """Implements the Observer's `InventorySource`."""

    def __init__(self, plant: Plant) -> None:
        self._plant = plant
        self._known = Inventory(
            {g: GroupFacts(g, 1, lag_p95_s=LAG_SLO_S, topic_in=f"to-{g}", consumer_group=g) for g in plant.groups},
            {
                name: PipelineFacts(name, 1, dict(stages), ingest=(min(stages),), transmit=(max(stages),))
                for name, stages in plant.pipelines.items()
            },
        )

    async def read(self) -> Inventory:
        """As declared."""
        if self._plant.is_ill("", "inventory"):
            raise Unavailable("Provisioner: no answer")
        return self._known


class PlantMembers:
    """Implements `MembersSource`."""

    def __init__(self, plant: Plant) -> None:
        self._plant = plant
        self._known = {(g, gone): self._made(g, gone) for g in plant.groups for gone in (0, 1)}

    async def read(self) -> Sequence[FleetMembers]:
        """As the cloud describes them."""
        if self._plant.is_ill("", "cloud"):
            raise Unavailable("DescribeAutoScalingGroups: throttled")
        return [self._known[g, 1 if self._plant.is_ill(g, "machine") else 0] for g in self._plant.groups]

    def _made(self, group: str, gone: int) -> FleetMembers:
        members = (Member(f"i-{group}-{n}", in_service=n >= gone, pending=n < gone) for n in range(self._plant.nodes))
        return FleetMembers(group, f"{group}-r1", self._plant.nodes, tuple(members))


class PlantSignals:
    """Implements `SignalSource`."""

    def __init__(self, plant: Plant) -> None:
        self._plant = plant

    async def read(self, at: float) -> Readings:
        """As of one instant."""
        plant = self._plant
        if plant.is_ill("", "metrics"):
            gone = Failed("HTTP 503")
            return Readings(at, gone, gone, gone, gone)
        window = Windowed(
            {g: self._lag(g) for g in plant.groups}, {(g, f"{g}-r1"): self._rates(g) for g in plant.groups}
        )
        silent = {g for g in plant.groups if plant.is_ill(g, "silent")}
        reporting = {g: {f"i-{g}-{n}": at - 3.0 for n in range(plant.nodes)} for g in plant.groups if g not in silent}
        return Readings(at, window, window, reporting)

    def _lag(self, group: str) -> dict[float, float]:
        late = self._plant.late(group)
        return {1.0: RATE * (1 - late), LAG_SLO_S: RATE * (1 - late), 60.0: RATE, INF: RATE}

    def _rates(self, group: str) -> FleetRates:
        return FleetRates(RATE, RATE * 0.4 if self._plant.is_ill(group, "errors") else 0.0)


class PlantBroker:
    """Implements `BrokerSource`: one topic a group, one partition each."""

    def __init__(self, plant: Plant) -> None:
        self._plant = plant

    async def read(self, inventory: Inventory) -> BrokerReading:
        """End and committed offsets."""
        at = self._plant.true_s()
        if self._plant.is_ill("", "broker"):
            return BrokerReading(at, failed=dict.fromkeys(inventory.groups, "no answer"))
        return BrokerReading(at, {g: self._offsets(g, at) for g in sorted(inventory.groups)})

    def _offsets(self, group: str, at: float) -> Offsets:
        end = int(at * RATE)
        waiting = 5000 if self._plant.is_ill(group, "backlog") else BACKLOG
        return Offsets({0: end}, {0: end - waiting})
