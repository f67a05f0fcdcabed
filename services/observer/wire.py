"""Domain answers as contracts: the one translation that gRPC and Temporal both speak."""

from services.observer.domain.activities import Activity, Request
from services.observer.domain.admission import Blocked, Granted, Yielding
from services.observer.domain.alarms import Alarm
from services.observer.operations.admit import Admitted, Held
from shared.contracts.admission import (
    ActivityModel,
    AlarmModel,
    BeginAnswer,
    BeginInput,
    HeartbeatAnswer,
    LeaseModel,
)
from shared.contracts.base import ReasonModel
from shared.domain.names import ActivityId, RequestId
from shared.domain.scope import Scope

LEASE_LEFT_S_MIN = 0.001  # on the wire 0 would read "not said"


def request_of(b: BeginInput) -> Request:
    """InvalidInput when the scope is none."""
    return Request(
        id=RequestId(b.request_id),
        kind=b.kind,
        scope=Scope.parse(b.scope),
        holder=b.holder,
        ttl_s=b.ttl_s,
        reason=b.reason,
        quiets=b.quiets,
        override_reason=b.override_reason,
        creates=b.creates,
        security=b.security,
        takes_over=ActivityId(b.takes_over) if b.takes_over else None,
        signal_age_s=b.signal_age_s,
    )


def begin_answer(decision: Admitted | Blocked | Yielding | Granted) -> BeginAnswer:
    """The answer to `Begin`."""
    match decision:
        case Admitted(activity=a):
            return BeginAnswer(
                outcome="granted",
                lease=LeaseModel(activity_id=a.id, token=a.token, kind=a.kind, scope=str(a.scope)),
                lease_ttl_s=max(LEASE_LEFT_S_MIN, decision.lease_left_s),
                quiet_windows=decision.windows,
                reasons=tuple(ReasonModel.of(r) for r in decision.notes),
            )
        case Granted():
            return BeginAnswer(outcome="granted", reasons=tuple(ReasonModel.of(r) for r in decision.notes))
        case Blocked():
            return BeginAnswer(
                outcome="blocked",
                reasons=tuple(ReasonModel.of(r) for r in decision.reasons),
                retry_after_s=decision.retry_after_s,
            )
        case Yielding():
            return BeginAnswer(
                outcome="yielding",
                reasons=tuple(ReasonModel.of(r) for r in decision.reasons),
                retry_after_s=decision.retry_after_s,
                asked_to_park=tuple(decision.asks),
            )


def heartbeat_answer(held: Held) -> HeartbeatAnswer:
    """The answer to `Heartbeat`."""
    return HeartbeatAnswer(
        ask=held.asked.ask,
        lease_ttl_s=held.lease_left_s,
        reasons=tuple(ReasonModel.of(r) for r in held.asked.reasons),
        retry_after_s=held.asked.retry_after_s,
    )


def activity_model(a: Activity, now: float) -> ActivityModel:
    """An activity as lists show it; a lapsed one that was not swept yet shows as ended."""
    lapsed = a.outcome is None and now >= a.expires_at
    state = "ended" if a.outcome or lapsed else "parked" if a.parked else "live"
    return ActivityModel(
        id=a.id,
        kind=a.kind,
        scope=str(a.scope),
        holder=a.holder,
        reason=a.reason,
        token=a.token,
        state=state,
        outcome=a.outcome.value if a.outcome else "expired" if lapsed else "",
        began_at=a.began_at,
        expires_at=a.expires_at,
        ended_at=a.ended_at or (a.expires_at if lapsed else 0.0),
        override_reason=a.override_reason,
    )


def alarm_model(a: Alarm) -> AlarmModel:
    """An alarm as lists show it."""
    return AlarmModel(
        id=a.id,
        scope=str(a.scope),
        alarm_class=a.alarm_class,
        state=a.state.value,
        reasons=tuple(ReasonModel.of(r) for r in a.reasons),
        since=a.since,
        quieted_by=a.quieted_by,
    )
