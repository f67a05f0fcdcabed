"""The words of admission's refusals: code, scope, a sentence, numbers, when to ask again, and what helps."""

from collections.abc import Sequence
from datetime import UTC, datetime

from services.observer.domain.activities import Activity, Limits, Request, Waiting
from shared.domain.activity import ActivityKind as K
from shared.domain.reason import Compared, Reason, Remedy


def instant(at: float) -> datetime:
    """Seconds since the epoch as an aware time."""
    return datetime.fromtimestamp(at, UTC)


def _watch(a: Activity) -> tuple[Remedy, ...]:
    return (Remedy(f"see what {a.holder} is doing", cli=f"headrace explain {a.scope}"),)


def held(request: Request, other: Activity, now: float, limits: Limits, *, queue: bool) -> Reason:
    """Something that meets the scope is being done; it must end first."""
    if other.kind is K.FREEZE:
        left_s = max(0.0, other.expires_at - now)
        return Reason(
            code="Frozen",
            scope=str(other.scope),
            text=f"{other.scope} is frozen by {other.holder}: {other.reason or 'no reason given'}",
            compared=(Compared("freeze_left_s", round(left_s, 1), "==", 0, "s"),),
            since=instant(other.began_at),
            retry_after_s=min(limits.retry_s, left_s) or limits.retry_s,
            remedy=(Remedy("lift the freeze", cli=f"headrace unfreeze {other.scope}"),),
        )
    verb = "queues behind" if queue else "waits for"
    return Reason(
        code=f"{other.kind.value.title().replace('_', '')}Running",
        scope=str(other.scope),
        text=f"{request.kind.value} of {request.scope} {verb} {other.kind.value} of {other.scope} by {other.holder}",
        compared=(Compared("running_for_s", round(now - other.began_at, 1), "ended", 0, "s"),),
        since=instant(other.began_at),
        retry_after_s=limits.retry_s,
        remedy=_watch(other),
    )


def yielding(request: Request, other: Activity, asked_for_s: float, limits: Limits) -> Reason:
    """A holder was asked to park."""
    return Reason(
        code="AskedToPark",
        scope=str(other.scope),
        text=f"{other.kind.value} of {other.scope} by {other.holder} was asked to park for {request.kind.value}",
        compared=(Compared("asked_for_s", round(asked_for_s, 1), "parked or >=", limits.park_wait_s, "s"),),
        since=instant(other.began_at),
        retry_after_s=limits.retry_yield_s,
        remedy=_watch(other),
    )


def not_the_deployment(request: Request, other: Activity, limits: Limits) -> Reason:
    """A rollback names one deployment, but another one is running."""
    return Reason(
        code="OtherDeployment",
        scope=str(other.scope),
        text=f"the rollback takes over {request.takes_over}, but {other.id} of {other.holder} runs on {other.scope}",
        since=instant(other.began_at),
        retry_after_s=limits.retry_s,
        remedy=(Remedy("roll back what runs now", cli=f"headrace rollback {other.scope.name}"),),
    )


def quarantined(request: Request, a: Activity, now: float, limits: Limits) -> Reason:
    """A lease lapsed; its holder's last call may still land."""
    since_s = now - a.expires_at
    left_s = limits.call_deadline_s_max - since_s
    return Reason(
        code="LapsedLeaseQuarantine",
        scope=str(a.scope),
        text=f"the lease of {a.kind.value} by {a.holder} lapsed: {request.kind.value} waits out its last call",
        compared=(Compared("lapsed_for_s", round(since_s, 1), ">=", limits.call_deadline_s_max, "s"),),
        since=instant(a.expires_at),
        retry_after_s=round(max(left_s, 0.1), 3),
    )


def pipeline_busy(request: Request, a: Activity, pipeline: str, now: float, limits: Limits) -> Reason:
    """Another group of the pipeline is being changed."""
    return Reason(
        code="PipelineBusy",
        scope=str(a.scope),
        text=(
            f"{a.kind.value} of {a.scope} by {a.holder} changes pipeline {pipeline}:"
            f" {request.kind.value} of {request.scope} waits, so that what happens can be laid on one change"
        ),
        compared=(Compared("changes_in_pipeline", 1, "<=", 0),),
        since=instant(a.began_at),
        retry_after_s=limits.retry_s if now < a.expires_at else limits.retry_yield_s,
        remedy=_watch(a),
    )


def deployments_at_limit(request: Request, running: Sequence[Activity], most: int, limits: Limits) -> Reason:
    """As many deployments run as may."""
    names = ", ".join(sorted(str(a.scope) for a in running)[:5])
    return Reason(
        code="DeploymentsAtLimit",
        scope="system",
        text=f"{len(running)} deployments run ({names}); {request.scope} waits for one to end",
        compared=(Compared("deployments_running", len(running), "<", most),),
        retry_after_s=limits.retry_s,
    )


def superseded(request: Request, newer: Waiting) -> Reason:
    """A newer deployment of the group waits: this one need not ask again."""
    return Reason(
        code="Superseded",
        scope=str(request.scope),
        text=f"a newer deployment by {newer.holder} waits for {request.scope}: this one gives way",
        since=instant(newer.asked_at),
    )


def stopped(a: Activity, code: str, text: str, at: float) -> Reason:
    """Why a holder is told to stop."""
    return Reason(code=code, scope=str(a.scope), text=text, since=instant(at))
