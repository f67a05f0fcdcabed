"""Verdicts, reasons and alarms as JSON documents and as contracts."""

from collections.abc import Mapping
from typing import Any

from services.observer.domain.alarms import Alarm, AlarmState
from services.observer.domain.verdict import Coverage, Verdict, effective
from shared.contracts.admission import VerdictModel
from shared.contracts.base import ReasonModel
from shared.domain.health import VerdictState
from shared.domain.scope import Scope


def model_of_verdict(v: Verdict, now: float) -> VerdictModel:
    """For the wire; `effective` is the state after freshness at `now`."""
    return VerdictModel(
        scope=str(v.scope),
        state=v.state.value,
        effective=effective(v, now).state.value,
        reasons=tuple(ReasonModel.of(r) for r in v.reasons),
        as_of=v.as_of,
        since=v.since,
        ttl_s=v.ttl_s,
        epoch=v.epoch,
        seq=v.seq,
        observed_generation=v.observed_generation,
        coverage_expected=v.coverage.expected,
        coverage_reporting=v.coverage.reporting,
        cause=v.cause,
        quieted=v.quieted,
        flapping=v.flapping,
        signals=dict(v.signals),
    )


def document_of_verdict(v: Verdict) -> str:
    """As JSON text."""
    return model_of_verdict(v, v.as_of).model_dump_json()


def verdict_of_document(text: str | bytes) -> Verdict:
    """Back; a state that we do not know reads UNKNOWN."""
    return verdict_of_model(VerdictModel.model_validate_json(text))


def verdict_of_model(m: VerdictModel) -> Verdict:
    """To the domain."""
    return Verdict(
        scope=Scope.parse(m.scope),
        state=VerdictState.read(m.state),
        as_of=m.as_of,
        since=m.since,
        ttl_s=m.ttl_s,
        epoch=m.epoch,
        seq=m.seq,
        reasons=tuple(r.to_domain() for r in m.reasons),
        observed_generation=m.observed_generation,
        coverage=Coverage(m.coverage_expected, m.coverage_reporting),
        cause=m.cause,
        quieted=m.quieted,
        flapping=m.flapping,
        signals=m.signals,
    )


def row_of_alarm(a: Alarm) -> dict[str, Any]:
    """A row of `alarms`."""
    return {
        "id": a.id,
        "scope": str(a.scope),
        "alarm_class": a.alarm_class,
        "state": a.state.value,
        "since": a.since,
        "reasons": [ReasonModel.of(r).model_dump(mode="json") for r in a.reasons],
        "quieted_by": a.quieted_by,
        "notified": a.notified,
        "resolved_at": a.resolved_at,
    }


def alarm_of_row(r: Mapping[str, Any]) -> Alarm:
    """Back."""
    return Alarm(
        id=r["id"],
        scope=Scope.parse(r["scope"]),
        alarm_class=r["alarm_class"],
        state=AlarmState(r["state"]),
        since=r["since"],
        reasons=tuple(ReasonModel.model_validate(x).to_domain() for x in r["reasons"]),
        quieted_by=r["quieted_by"],
        notified=r["notified"],
        resolved_at=r["resolved_at"],
    )
