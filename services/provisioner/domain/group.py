"""What the Provisioner knows of a group: its intent, its fleets, the stage that runs on it.

An intent's document (JSON as the user's object travels) is carried whole and never read here: the fields that decisions
need are beside it.
"""

from dataclasses import dataclass
from datetime import datetime

from shared.domain.names import FleetId, GroupName, PipelineName, RevisionNumber, StageName, Workspace


@dataclass(frozen=True, slots=True)
class GroupIntent:
    """A server group as declared; sizes are machines."""

    name: GroupName
    workspace: Workspace
    kind: str  # transform, feature, ingest, stage
    node_type: str
    nodes_min: int
    nodes_max: int
    owner: str
    generation: int
    document: str  # JSON of the object
    copy_of: str = ""  # the group that it is a copy of, while that one is rated
    rehearsal: str = ""  # of such a copy: JSON of what its nodes work on, on topics of its own


@dataclass(frozen=True, slots=True)
class Bundle:
    """An immutable object in the bundle store."""

    url: str
    sha256: str
    size: int = 0


@dataclass(frozen=True, slots=True)
class Fleet:
    """The machines of a group on one revision. What a machine is told never changes for a fleet.

    `node_type` and `bundle` are those of the day it was added: a changed intent reaches the next revision, not this
    one.
    """

    id: FleetId
    group: GroupName
    revision: RevisionNumber
    revision_document: str  # JSON of the revision
    node_type: str
    desired_initial: int
    weight: int = 0
    bundle: Bundle | None = None  # the manifest of users' code
    token_digest: str = ""  # sha256 of the join token
    leaving: bool = False  # being removed: no longer part of the stack


@dataclass(frozen=True, slots=True)
class StageSeat:
    """The stage that runs on a group."""

    pipeline: PipelineName
    stage: StageName


@dataclass(frozen=True, slots=True)
class Group:
    """A group with its fleets, oldest revision first."""

    intent: GroupIntent
    phase: str = "PENDING"
    detail: str = ""
    seat: StageSeat | None = None
    fleets: tuple[Fleet, ...] = ()

    @property
    def name(self) -> GroupName:
        """The group's name."""
        return self.intent.name

    @property
    def scope(self) -> str:
        """What an activity must hold to write to it: a copy is its original's."""
        return f"group/{self.intent.copy_of or self.name}"

    @property
    def standing(self) -> tuple[Fleet, ...]:
        """The fleets that the stack declares."""
        return tuple(f for f in self.fleets if not f.leaving)

    def fleet(self, fleet: FleetId) -> Fleet | None:
        """One of its fleets, also a leaving one."""
        return next((f for f in self.fleets if f.id == fleet), None)


@dataclass(frozen=True, slots=True)
class Machine:
    """A member of a fleet as AWS describes it."""

    id: str
    fleet: FleetId
    address: str
    in_service: bool
    pending: bool
    zone: str = ""


@dataclass(frozen=True, slots=True)
class FleetState:
    """A fleet's Auto Scaling Group as AWS describes it."""

    asg: str
    fleet: FleetId
    group: GroupName
    minimum: int
    maximum: int
    desired: int
    machines: tuple[Machine, ...]

    @property
    def in_service(self) -> int:
        """Members in service and healthy."""
        return sum(m.in_service for m in self.machines)

    @property
    def pending(self) -> int:
        """Members on their way in."""
        return sum(m.pending for m in self.machines)


@dataclass(frozen=True, slots=True)
class Inventory:
    """Every fleet in AWS as of one instant."""

    at: datetime
    fleets: tuple[FleetState, ...] = ()

    def fleet(self, fleet: FleetId) -> FleetState | None:
        """One of them; None when AWS does not list it."""
        return next((f for f in self.fleets if f.fleet == fleet), None)

    def fleet_of(self, machine: str) -> FleetId | None:
        """The fleet that a machine is a member of."""
        return next((f.fleet for f in self.fleets for m in f.machines if m.id == machine), None)
