"""Admission as services, workflows and the API speak it. `scope` is the wire form of `shared.domain.scope.Scope`."""

from typing import Literal

from pydantic import Field

from shared.contracts.base import Contract, ReasonModel
from shared.domain.activity import ActivityKind, ActivityOutcome, HolderAsk

TTL_S_MIN, TTL_S_MAX = 5.0, 3600.0


class LeaseModel(Contract):
    """What a holder shows with every write.

    `deadline_s` is seconds since the epoch by the holder's clock, counted from before it asked.
    """

    activity_id: str
    token: int
    kind: ActivityKind
    scope: str
    deadline_s: float = 0.0


class BeginInput(Contract):
    """`Observer.Begin`. One `request_id` per intention (workflow id and step), kept over retries and crashes."""

    kind: ActivityKind
    scope: str
    ttl_s: float = Field(ge=TTL_S_MIN, le=TTL_S_MAX)
    request_id: str = Field(min_length=1, max_length=300)
    holder: str  # the workflow's id, or a person
    reason: str = ""
    quiets: tuple[str, ...] = ()  # alarm classes to quiet meanwhile
    override_reason: str = ""  # a person's reason to pass the verdict check of DEPLOY and RAMP
    creates: bool = False  # PROVISION of something new that serves nothing yet
    security: bool = False  # DRIFT_REPAIR of security drift
    takes_over: str = ""  # ROLLBACK: the activity id of the deployment it takes over
    signal_age_s: float | None = None  # SCALE_OUT: age of the signal that asks
    dry_run: bool = False  # decide and explain only


class BeginAnswer(Contract):
    """Granted, blocked or yielding."""

    outcome: Literal["granted", "blocked", "yielding"]
    lease: LeaseModel | None = None
    lease_ttl_s: float = 0.0
    quiet_windows: tuple[str, ...] = ()
    reasons: tuple[ReasonModel, ...] = ()
    retry_after_s: float = 0.0
    asked_to_park: tuple[str, ...] = ()  # activity ids


class HeartbeatInput(Contract):
    """Renews the lease.

    `parked`: the holder stands at a safe point. `before_step`: check the verdict table for its kind again.
    """

    activity_id: str
    token: int
    parked: bool = False
    before_step: bool = False


class HeartbeatAnswer(Contract):
    """What is asked of the holder. A lapsed, ended or superseded activity gets STOP with a reason."""

    ask: HolderAsk
    lease_ttl_s: float = 0.0
    reasons: tuple[ReasonModel, ...] = ()
    retry_after_s: float = 0.0


class EndInput(Contract):
    """Records the outcome; repeated calls answer alike."""

    activity_id: str
    token: int
    outcome: ActivityOutcome
    note: str = ""


class VerdictModel(Contract):
    """A verdict on the wire; times are seconds since the epoch."""

    scope: str
    state: str
    effective: str  # after freshness: what a reader must act on
    reasons: tuple[ReasonModel, ...] = ()
    as_of: float = 0.0
    since: float = 0.0
    ttl_s: float = 0.0
    epoch: int = 0
    seq: int = 0
    observed_generation: int = 0
    coverage_expected: int = 0
    coverage_reporting: int = 0
    cause: str = ""
    quieted: bool = False
    flapping: bool = False
    signals: dict[str, float] = Field(default_factory=dict)  # lag_p95_s, error_ratio, arrival_rate, backlog, ...


class ActivityModel(Contract):
    """An activity as lists show it; times are seconds since the epoch."""

    id: str
    kind: ActivityKind
    scope: str
    holder: str
    reason: str = ""
    token: int = 0
    state: str = "live"  # live, parked, ended
    outcome: str = ""
    began_at: float = 0.0
    expires_at: float = 0.0
    ended_at: float = 0.0
    override_reason: str = ""


class AlarmModel(Contract):
    """An alarm as lists show it."""

    id: str
    scope: str
    alarm_class: str
    state: str  # pending, firing, quieted, resolved
    reasons: tuple[ReasonModel, ...] = ()
    since: float = 0.0
    quieted_by: str = ""
