"""Admission and verdicts on the wire."""

from headraceapi.observer.v1 import observer_pb2 as pb

from shared.contracts.admission import (
    BeginAnswer,
    BeginInput,
    EndInput,
    HeartbeatAnswer,
    HeartbeatInput,
    LeaseModel,
    VerdictModel,
)
from shared.domain.activity import ActivityKind, ActivityOutcome, HolderAsk
from shared.domain.errors import InvalidInput
from shared.wire.reasons import reason_to_wire, reasons_of_wire

_PREFIX = "ACTIVITY_KIND_"
_KIND_NAMES = {number: name for name, number in pb.ActivityKind.items()}


def kind_to_wire(kind: ActivityKind) -> str:
    """Contract to protobuf: the enum value's name, which messages take."""
    return _PREFIX + kind.value


def kind_of_wire(wire: int) -> ActivityKind:
    """Protobuf to contract; InvalidInput when it is not said or not known."""
    name = _KIND_NAMES.get(wire, str(wire))
    try:
        return ActivityKind(name.removeprefix(_PREFIX))
    except ValueError:
        raise InvalidInput(
            f"kind: {name} is no activity kind", field="kind", remedy="use one of " + ", ".join(ActivityKind)
        ) from None


def begin_to_wire(b: BeginInput) -> pb.BeginRequest:
    """Contract to protobuf."""
    wire = pb.BeginRequest(
        kind=kind_to_wire(b.kind),
        scope=b.scope,
        ttl_s=b.ttl_s,
        request_id=b.request_id,
        holder=b.holder,
        reason=b.reason,
        quiets=b.quiets,
        override_reason=b.override_reason,
        creates=b.creates,
        security=b.security,
        takes_over=b.takes_over,
        dry_run=b.dry_run,
    )
    if b.signal_age_s is not None:
        wire.signal_age_s = b.signal_age_s
    return wire


def begin_of_wire(w: pb.BeginRequest) -> BeginInput:
    """Protobuf to contract; pydantic's ValidationError names a bad field."""
    return BeginInput(
        kind=kind_of_wire(w.kind),
        scope=w.scope,
        ttl_s=w.ttl_s,
        request_id=w.request_id,
        holder=w.holder,
        reason=w.reason,
        quiets=tuple(w.quiets),
        override_reason=w.override_reason,
        creates=w.creates,
        security=w.security,
        takes_over=w.takes_over,
        signal_age_s=w.signal_age_s if w.HasField("signal_age_s") else None,
        dry_run=w.dry_run,
    )


def answer_to_wire(a: BeginAnswer) -> pb.BeginResponse:
    """Contract to protobuf."""
    wire = pb.BeginResponse(
        outcome=f"OUTCOME_{a.outcome.upper()}",
        lease_ttl_s=a.lease_ttl_s,
        quiet_windows=a.quiet_windows,
        reasons=[reason_to_wire(r) for r in a.reasons],
        retry_after_s=a.retry_after_s,
        asked_to_park=a.asked_to_park,
    )
    if a.lease:
        wire.lease.CopyFrom(
            pb.Lease(
                activity_id=a.lease.activity_id,
                token=a.lease.token,
                kind=kind_to_wire(a.lease.kind),
                scope=a.lease.scope,
            )
        )
    return wire


def answer_of_wire(w: pb.BeginResponse) -> BeginAnswer:
    """Protobuf to contract; an outcome we do not know reads blocked."""
    outcome = {pb.BeginResponse.OUTCOME_GRANTED: "granted", pb.BeginResponse.OUTCOME_YIELDING: "yielding"}
    lease = (
        LeaseModel(
            activity_id=w.lease.activity_id,
            token=w.lease.token,
            kind=kind_of_wire(w.lease.kind),
            scope=w.lease.scope,
        )
        if w.HasField("lease")
        else None
    )
    return BeginAnswer.model_validate(
        {
            "outcome": outcome.get(w.outcome, "blocked"),
            "lease": lease,
            "lease_ttl_s": w.lease_ttl_s,
            "quiet_windows": tuple(w.quiet_windows),
            "reasons": reasons_of_wire(w.reasons),
            "retry_after_s": w.retry_after_s,
            "asked_to_park": tuple(w.asked_to_park),
        }
    )


def heartbeat_to_wire(h: HeartbeatInput) -> pb.HeartbeatRequest:
    """Contract to protobuf."""
    return pb.HeartbeatRequest(activity_id=h.activity_id, token=h.token, parked=h.parked, before_step=h.before_step)


def heartbeat_of_wire(w: pb.HeartbeatRequest) -> HeartbeatInput:
    """Protobuf to contract."""
    return HeartbeatInput(activity_id=w.activity_id, token=w.token, parked=w.parked, before_step=w.before_step)


def heartbeat_answer_to_wire(a: HeartbeatAnswer) -> pb.HeartbeatResponse:
    """Contract to protobuf."""
    return pb.HeartbeatResponse(
        ask=f"ASK_{a.ask.name}",
        lease_ttl_s=a.lease_ttl_s,
        reasons=[reason_to_wire(r) for r in a.reasons],
        retry_after_s=a.retry_after_s,
    )


def heartbeat_answer_of_wire(w: pb.HeartbeatResponse) -> HeartbeatAnswer:
    """Protobuf to contract; an ask we do not know reads stop."""
    asks = {pb.HeartbeatResponse.ASK_GO_ON: HolderAsk.GO_ON, pb.HeartbeatResponse.ASK_PARK: HolderAsk.PARK}
    return HeartbeatAnswer(
        ask=asks.get(w.ask, HolderAsk.STOP),
        lease_ttl_s=w.lease_ttl_s,
        reasons=reasons_of_wire(w.reasons),
        retry_after_s=w.retry_after_s,
    )


def end_to_wire(e: EndInput) -> pb.EndRequest:
    """Contract to protobuf."""
    return pb.EndRequest(activity_id=e.activity_id, token=e.token, outcome=e.outcome.value, note=e.note)


def end_of_wire(w: pb.EndRequest) -> EndInput:
    """Protobuf to contract."""
    return EndInput(activity_id=w.activity_id, token=w.token, outcome=ActivityOutcome(w.outcome), note=w.note)


def verdict_to_wire(v: VerdictModel) -> pb.Verdict:
    """Contract to protobuf."""
    return pb.Verdict(
        scope=v.scope,
        state=v.state,
        effective=v.effective,
        reasons=[reason_to_wire(r) for r in v.reasons],
        as_of=v.as_of,
        since=v.since,
        ttl_s=v.ttl_s,
        epoch=v.epoch,
        seq=v.seq,
        observed_generation=v.observed_generation,
        coverage_expected=v.coverage_expected,
        coverage_reporting=v.coverage_reporting,
        cause=v.cause,
        quieted=v.quieted,
        flapping=v.flapping,
        signals=v.signals,
    )


def verdict_of_wire(w: pb.Verdict) -> VerdictModel:
    """Protobuf to contract."""
    return VerdictModel(
        scope=w.scope,
        state=w.state,
        effective=w.effective,
        reasons=reasons_of_wire(w.reasons),
        as_of=w.as_of,
        since=w.since,
        ttl_s=w.ttl_s,
        epoch=w.epoch,
        seq=w.seq,
        observed_generation=w.observed_generation,
        coverage_expected=w.coverage_expected,
        coverage_reporting=w.coverage_reporting,
        cause=w.cause,
        quieted=w.quieted,
        flapping=w.flapping,
        signals=dict(w.signals),
    )
