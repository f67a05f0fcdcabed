"""What a tick has read before it judges: inventory, members, signals, broker offsets; each with its own failure."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """A group as it is meant to be."""

    name: str
    generation: int
    kind: str = "transform"
    availability: float = 99.9
    lag_p95_s: float = 5.0
    nodes_min: int = 0
    settling: bool = False  # being created or deleted: no members by intent
    topic_in: str = ""
    consumer_group: str = ""
    serving: bool = True  # a fleet with weight
    new_fleets: tuple[str, ...] = ()  # beside the oldest one


@dataclass(frozen=True, slots=True)
class PipelineFacts:
    """A pipeline as it is meant to be; `stages` maps stage to group, in order."""

    name: str
    generation: int
    stages: Mapping[str, str]
    ingest: tuple[str, ...] = ()
    transmit: tuple[str, ...] = ()
    loss_max: float = 0.01
    lag_p95_s: float = 5.0
    settling: bool = False


@dataclass(frozen=True, slots=True)
class Inventory:
    """Everything declared."""

    groups: Mapping[str, GroupFacts] = field(default_factory=dict)
    pipelines: Mapping[str, PipelineFacts] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Member:
    """A machine of a fleet."""

    id: str
    in_service: bool
    pending: bool = False
    healthy: bool = True


@dataclass(frozen=True, slots=True)
class FleetMembers:
    """One Auto Scaling Group."""

    group: str
    fleet: str
    desired: int
    members: tuple[Member, ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """A source that did not answer, or not wholly: UNKNOWN for what it covers."""

    why: str


@dataclass(frozen=True, slots=True)
class FleetRates:
    """Messages per second of one fleet."""

    processed: float = 0.0
    failed: float = 0.0


@dataclass(frozen=True, slots=True)
class Windowed:
    """One signal over the fast and the slow window; per group unless said otherwise."""

    lag: Mapping[str, Mapping[float, float]]  # bucket rates by bound
    rates: Mapping[tuple[str, str], FleetRates]  # by (group, fleet)


@dataclass(frozen=True, slots=True)
class Readings:
    """The metric store's answers as of one instant."""

    at: float
    fast: Windowed | Failed
    slow: Windowed | Failed
    reporting: Mapping[str, Mapping[str, float]] | Failed  # group -> node -> time of its last sample
    oldest: Mapping[str, float] | Failed = field(default_factory=dict)  # group -> event time of the oldest unprocessed
    busy: Mapping[str, float] = field(default_factory=dict)
    cpu: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Offsets:
    """Of one group's topic, by partition."""

    end: Mapping[int, int]
    committed: Mapping[int, int]
    low: Mapping[int, int] = field(default_factory=dict)

    @property
    def backlog(self) -> int:
        """Events that wait; a partition that was never committed waits from its beginning."""
        return sum(max(0, end - self.committed.get(p, self.low.get(p, 0))) for p, end in self.end.items())

    @property
    def end_sum(self) -> int:
        """Events ever produced."""
        return sum(self.end.values())

    @property
    def committed_sum(self) -> int:
        """Events ever worked off."""
        return sum(self.committed.values())


@dataclass(frozen=True, slots=True)
class BrokerReading:
    """The broker's answers at one instant; a group that is in neither mapping consumes nothing."""

    at: float
    offsets: Mapping[str, Offsets] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
