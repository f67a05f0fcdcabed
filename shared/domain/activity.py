"""What may be done to a scope, and what is asked of whoever does it."""

from dataclasses import dataclass
from enum import StrEnum

from shared.domain.names import ActivityId, FencingToken
from shared.domain.scope import Scope


class ActivityKind(StrEnum):
    """Rows and columns of the admission matrix, highest priority first."""

    ROLLBACK = "ROLLBACK"
    SCALE_OUT = "SCALE_OUT"
    DEPLOY = "DEPLOY"
    RAMP = "RAMP"
    PROVISION = "PROVISION"
    DRIFT_REPAIR = "DRIFT_REPAIR"
    SCALE_IN = "SCALE_IN"
    FREEZE = "FREEZE"


class HolderAsk(StrEnum):
    """What a heartbeat's answer asks of the holder."""

    GO_ON = "go_on"
    PARK = "park"
    STOP = "stop"


class ActivityOutcome(StrEnum):
    """How an activity ended."""

    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    TAKEN_OVER = "taken_over"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Lease:
    """What a holder shows with every write."""

    activity: ActivityId
    token: FencingToken
    kind: ActivityKind
    scope: Scope
