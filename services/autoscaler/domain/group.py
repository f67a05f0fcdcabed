"""A group as the Autoscaler sees it at one instant: its fleets, what is reserved in them, what was measured.

Sizes count *desired* capacity, so that nodes which are still booting are never ordered twice; what serves counts only
healthy nodes in service.
"""

from dataclasses import dataclass

from services.autoscaler.domain.policy import Policy
from services.autoscaler.domain.signals import Signals
from shared.domain.health import VerdictState
from shared.domain.names import ActivityId, FencingToken, FleetId, GroupName
from shared.domain.scope import group_scope


@dataclass(frozen=True, slots=True)
class FleetState:
    """One Auto Scaling Group."""

    fleet: FleetId
    revision: int
    desired: int
    in_service: int  # healthy and in service
    weight: int = 0  # 0: takes no traffic
    nodes_min: int = 0
    nodes_max: int = 0
    asg: str = ""
    suspended: frozenset[str] = frozenset()

    @property
    def pending(self) -> int:
        """Ordered and not yet serving."""
        return max(0, self.desired - self.in_service)


@dataclass(frozen=True, slots=True)
class Reservation:
    """A floor and a share of one fleet, held by an activity until `expires_at_s` unless renewed."""

    group: GroupName
    fleet: FleetId
    floor: int
    share: float
    other_floor: int
    activity: ActivityId
    token: FencingToken
    ttl_s: float
    expires_at_s: float


@dataclass(frozen=True, slots=True)
class LastOutcome:
    """How the newest scaling of the group ended."""

    direction: str  # out or in
    outcome: str
    text: str
    at_s: float
    failures: int = 0  # gave-ups for want of capacity since the last success
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class GroupSnapshot:
    """Everything a decision is made from."""

    group: GroupName
    policy: Policy
    fleets: tuple[FleetState, ...]
    signals: Signals
    verdict: VerdictState = VerdictState.UNKNOWN
    stream: bool = False  # consumes a topic
    partitions: int = 0  # 0: no cap
    cores: float = 1.0  # of one node
    reservations: tuple[Reservation, ...] = ()
    total_recorded: int | None = None  # the group's size as last decided
    last_outcome: LastOutcome | None = None
    changing: bool = False  # the Provisioner is at work on it
    node_type: str = ""
    rated: float | None = None  # messages/s of one node of this type, found on a copy under load

    @property
    def scope(self) -> str:
        """`group/<name>`."""
        return str(group_scope(self.group))

    @property
    def rollout(self) -> bool:
        """More than one fleet, or something reserved: a deployment is under way."""
        return bool(self.reservations) or len(self.fleets) > 1

    @property
    def current(self) -> int:
        """The group's size in nodes; surge nodes of a rollout are not counted as demand."""
        ordered = sum(f.desired for f in self.fleets)
        if not self.rollout:
            return ordered
        if self.total_recorded is not None:
            return min(ordered, self.total_recorded)
        return sum(f.desired for f in self.fleets if f.weight > 0) or ordered

    @property
    def ready(self) -> int:
        """Healthy nodes in service in fleets that take traffic; in all fleets when none is weighted."""
        serving = [f for f in self.fleets if f.weight > 0] or list(self.fleets)
        return sum(f.in_service for f in serving)

    @property
    def pending(self) -> int:
        """Nodes that were ordered and do not serve yet."""
        return sum(f.pending for f in self.fleets)

    @property
    def consuming(self) -> int:
        """Nodes that can have work: more members than partitions would idle."""
        return min(self.ready, self.partitions) if self.stream and self.partitions else self.ready
