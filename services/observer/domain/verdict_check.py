"""The verdict table applied: does a kind's rule hold for the scopes that it involves?"""

from collections.abc import Mapping

from services.observer.domain.activities import Limits, Request
from services.observer.domain.matrix import VERDICT_RULES, Judged, VerdictRule, situation
from services.observer.domain.refusals import instant
from services.observer.domain.topology import Topology
from services.observer.domain.verdict import Verdict, effective
from shared.domain.health import VerdictState
from shared.domain.names import GroupName
from shared.domain.reason import Compared, Reason, Remedy
from shared.domain.scope import SYSTEM, Scope, ScopeKind, group_scope


def verdict_reasons(
    request: Request, topology: Topology, verdicts: Mapping[Scope, Verdict], now: float, limits: Limits
) -> list[Reason]:
    """Every way in which the request's rule does not hold; empty when it does."""
    rule = VERDICT_RULES[situation(request.kind, creates=request.creates, security=request.security)]
    if rule.overridable and request.override_reason:
        return []
    found = [
        reason
        for scope in judged(request.scope, rule, topology)
        if (reason := _state_reason(scope, rule, verdicts.get(scope), now, limits, request))
    ]
    if rule.signal_fresh:
        found += _signal(request, limits)
    if rule.no_backlog:
        found += _backlogs(request.scope, topology, verdicts, now, limits)
    return found


def judged(scope: Scope, rule: VerdictRule, topology: Topology) -> tuple[Scope, ...]:
    """The scopes whose verdicts the rule reads."""
    match rule.judged:
        case Judged.NONE:
            return ()
        case Judged.SYSTEM:
            return (SYSTEM,)
        case Judged.GROUP_AND_PIPELINES:
            return topology.judged_scopes(scope, with_system=False)
        case Judged.ALL:
            return topology.judged_scopes(scope, with_system=True)


def _state_reason(  # noqa: PLR0913  a verdict is judged by this many things
    scope: Scope, rule: VerdictRule, verdict: Verdict | None, now: float, limits: Limits, request: Request
) -> Reason | None:
    seen = effective(verdict, now)
    if seen.state in rule.allowed:
        return None
    wanted = " or ".join(s.value for s in VerdictState if s in rule.allowed)
    why = "; ".join(r.text for r in verdict.reasons[:3]) if verdict and verdict.reasons else ""
    if seen.code:
        why = {
            "NeverEvaluated": "it has not been evaluated yet",
            "Stale": f"its last verdict is {now - (verdict.as_of if verdict else now):.1f} s old",
            "ClockSkew": "its last verdict comes from the future",
        }[seen.code] + (f"; then: {why}" if why else "")
    remedies = [Remedy("see why", cli=f"headrace explain {scope}")]
    if rule.overridable:
        remedies.append(Remedy("if the change is the fix, give a reason to override"))
    numbers = tuple(c for r in (verdict.reasons if verdict else ()) for c in r.compared)[:8]
    if verdict and seen.stale:
        numbers = (Compared("verdict_age_s", round(now - verdict.as_of, 1), "<=", verdict.ttl_s, "s"), *numbers)
    return Reason(
        code=f"Verdict{seen.state.value.title()}",
        scope=str(scope),
        text=f"{scope} is {seen.state.value}, {request.kind.value} needs {wanted}" + (f": {why}" if why else ""),
        compared=numbers,
        since=instant(verdict.since) if verdict else None,
        retry_after_s=limits.retry_s,
        remedy=tuple(remedies),
    )


def _signal(request: Request, limits: Limits) -> list[Reason]:
    age_s = request.signal_age_s
    if age_s is not None and 0 <= age_s <= limits.signal_age_s_max:
        return []
    text = (
        "the signal that asks for growth has no age" if age_s is None else f"the signal that asks is {age_s:.1f} s old"
    )
    return [
        Reason(
            code="SignalStale" if age_s is not None else "SignalAgeMissing",
            scope=str(request.scope),
            text=f"{text}: growing on it would be guessing",
            compared=()
            if age_s is None
            else (Compared("signal_age_s", round(age_s, 1), "<=", limits.signal_age_s_max, "s"),),
            retry_after_s=limits.retry_s,
        )
    ]


def _backlogs(
    scope: Scope, topology: Topology, verdicts: Mapping[Scope, Verdict], now: float, limits: Limits
) -> list[Reason]:
    groups = sorted(topology.groups_of(scope)) if scope.kind is not ScopeKind.SYSTEM else []
    return [
        reason
        for name in groups
        if (reason := _backlog(group_scope(GroupName(name)), verdicts.get(group_scope(GroupName(name))), now, limits))
    ]


def _backlog(scope: Scope, verdict: Verdict | None, now: float, limits: Limits) -> Reason | None:
    if verdict is None or effective(verdict, now).code:
        return None  # the state's own reason says so already
    backlog = verdict.signals.get("backlog")
    if backlog is None:
        return Reason(
            code="BacklogUnknown",
            scope=str(scope),
            text=f"the backlog of {scope} could not be read: nothing is taken away on a guess",
            retry_after_s=limits.retry_s,
        )
    rate = verdict.signals.get("arrival_rate", 0.0)
    if backlog <= max(limits.backlog_events_max, rate * limits.backlog_s_max):
        return None
    limit = max(limits.backlog_events_max, rate * limits.backlog_s_max)
    return Reason(
        code="Backlog",
        scope=str(scope),
        text=f"{backlog:.0f} events wait for {scope}, which gets {rate:.1f}/s",
        compared=(Compared("backlog", backlog, "<=", limit, "events"),),
        since=instant(verdict.since),
        retry_after_s=limits.retry_s,
    )
