"""What the Autoscaler keeps about a group beside its memory, and what it writes down before and after it acts."""

from dataclasses import dataclass, field
from enum import StrEnum

from services.autoscaler.domain.decision import Decision
from services.autoscaler.domain.group import LastOutcome, Reservation
from services.autoscaler.domain.memory import GroupMemory
from shared.domain.names import ActivityId, FencingToken, FleetId, GroupName


class Lane(StrEnum):
    """Two kinds of holders write sizes beside each other; each lane is fenced by the tokens of its own.

    A deployment is parked while the group scales out and then goes on with its older token, so one fence for both
    would lock it out.
    """

    SHARES = "shares"  # deployments, rollbacks, provisioning: floors and shares
    SIZE = "size"  # scaling


@dataclass(frozen=True, slots=True)
class GroupRecord:
    """What is known of a group from the last tick; `row_at_s` is when its newest decision row was written."""

    memory: GroupMemory = field(default_factory=GroupMemory)
    latest: Decision | None = None
    row_at_s: float = 0.0
    last_outcome: LastOutcome | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """What a tick leaves behind for a group; `row` says that the decision becomes a row of the history."""

    group: GroupName
    memory: GroupMemory
    decision: Decision
    row: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a scaling ended."""

    decision_id: str
    outcome: str
    text: str
    at_s: float
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Intent:
    """A size that is about to be written; absolute, with the token of the activity that wants it."""

    group: GroupName
    fleet: FleetId
    asg: str
    activity: ActivityId
    token: FencingToken
    previous: int
    wanted: int
    at_s: float


@dataclass(frozen=True, slots=True)
class OpenIntent:
    """An intent without a result: the writer died between the two."""

    number: int
    intent: Intent


@dataclass(frozen=True, slots=True)
class Held:
    """The answer of the store to a reservation: the highest token it has seen, and what is reserved now."""

    token_seen: FencingToken
    reservations: tuple[Reservation, ...]


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep took away."""

    reservations: tuple[Reservation, ...] = ()
    decisions: int = 0
    intents: int = 0
