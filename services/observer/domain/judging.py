"""The judgement of each dimension of a group, on this tick's evidence alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.observer.domain.evidence import Failed, FleetMembers, Windowed
from services.observer.domain.lag import share_over
from services.observer.domain.verdict import Coverage, bounds
from shared.domain.health import VerdictState as V
from shared.domain.reason import Compared, Reason

if TYPE_CHECKING:
    from services.observer.domain.group_health import GroupEvidence, GroupMemory, HealthPolicy

LAG_BUDGET = 0.05  # p95: one event in twenty may be later than the SLO
LAG_EXTRAPOLATED_FACTOR = 5.0
EXIT_FACTOR = 0.5  # leaving takes half of what entering takes
EVENTS_MIN = 20.0  # fewer events in the fast window are no evidence for a page
RATIO_MAX = 0.5  # a burn bound above this could never be reached in time
TRAFFIC_MIN = 1e-9


@dataclass(frozen=True, slots=True)
class Raw:
    """A dimension on one tick's evidence; `over` is the value over its bound, for piercing quiet windows."""

    state: V
    reasons: tuple[Reason, ...] = ()
    over: float = 0.0
    fast_burn: bool = False
    bad_share: float = 0.0


@dataclass(frozen=True, slots=True)
class Rates:
    """Messages per second and waiting events; None: not known."""

    processed: float | None
    arrival: float | None
    backlog: float | None

    @property
    def traffic(self) -> bool:
        """Whether anything comes, passes or waits, as far as is known."""
        return any((x or 0.0) > TRAFFIC_MIN for x in (self.processed, self.arrival, self.backlog))


def _reason(scope: str, code: str, text: str, *compared: Compared) -> Reason:
    return Reason(code=code, scope=scope, text=text, compared=tuple(compared))


def _query_failed(scope: str, what: str, failed: Failed) -> Raw:
    return Raw(V.UNKNOWN, (_reason(scope, "QueryFailed", f"{what} could not be read: {failed.why}"),))


def judge_capacity(  # noqa: PLR0913  one return per case reads best
    scope: str,
    seen: "GroupEvidence",
    memory: "GroupMemory",
    was_idle: bool,  # noqa: FBT001
    policy: "HealthPolicy",
    now: float,
) -> Raw:
    """Machines wanted against machines in service."""
    if isinstance(seen.fleets, Failed):
        return Raw(
            V.UNKNOWN, (_reason(scope, "InventoryUnavailable", f"machines could not be read: {seen.fleets.why}"),)
        )
    desired, in_service = _count(seen.fleets)
    if seen.facts.settling:
        return Raw(V.IDLE, (_reason(scope, "Settling", "it is being created or deleted"),))
    if not seen.fleets and seen.facts.nodes_min > 0:
        return _no_fleet(scope, memory, policy, now)
    if desired == 0 and in_service == 0:
        return Raw(V.IDLE, (_reason(scope, "ScaledToZero", "no machines are wanted"),))
    pending = [m.id for f in seen.fleets for m in f.members if m.pending]
    excused = sum(now - memory.pending_since.get(i, now) <= policy.launch_s_max for i in pending)
    if in_service == 0:
        numbers = Compared("in_service", 0, ">=", desired)
        if excused and (was_idle or not seen.facts.serving):
            return Raw(V.IDLE, (_reason(scope, "Launching", f"{excused} machines are on their way", numbers),))
        text = f"{desired} machines are wanted, none is in service"
        return Raw(V.UNHEALTHY, (_reason(scope, "NoInstances", text, numbers),), bad_share=1.0)
    missing = max(0, desired - in_service - excused)
    if missing / max(desired, 1) > policy.bad_share_max:
        text = f"{in_service} of {desired} machines are in service, {excused} on their way"
        numbers = Compared("missing_share", round(missing / desired, 3), "<=", policy.bad_share_max)
        return Raw(V.UNHEALTHY, (_reason(scope, "CapacityShort", text, numbers),), bad_share=missing / desired)
    return Raw(V.HEALTHY)


def _no_fleet(scope: str, memory: "GroupMemory", policy: "HealthPolicy", now: float) -> Raw:
    """What was just made may be shown late; what is not there for longer, or was there before, is an outage."""
    least = Compared("fleets", 0, ">=", 1)
    if memory.making_at is not None and now - memory.making_at <= policy.appear_s:
        return Raw(V.UNKNOWN, (_reason(scope, "NotSeenYet", "it was just made, and AWS does not show it yet", least),))
    return Raw(V.UNHEALTHY, (_reason(scope, "NoInstances", "it has no Auto Scaling Group", least),), bad_share=1.0)


def _count(fleets: tuple[FleetMembers, ...]) -> tuple[int, int]:
    return sum(f.desired for f in fleets), sum(m.in_service for f in fleets for m in f.members)


def judge_members(
    scope: str, seen: "GroupEvidence", in_service_since: Mapping[str, float], policy: "HealthPolicy", now: float
) -> tuple[Raw, Coverage]:
    """Those that should report against those that do; silent ones are neither good nor bad."""
    if isinstance(seen.fleets, Failed):
        text = f"who should report is not known: {seen.fleets.why}"
        return Raw(V.UNKNOWN, (_reason(scope, "InventoryUnavailable", text),)), Coverage()
    members = {m.id: m for f in seen.fleets for m in f.members if m.in_service}
    expected = {i for i in members if now - in_service_since.get(i, now) >= policy.warm_up_s}
    reporting = seen.readings.reporting
    if isinstance(reporting, Failed):
        return _query_failed(scope, "who reports", reporting), Coverage(len(expected), 0)
    fresh = {
        node
        for node, at in reporting.get(seen.facts.name, {}).items()
        if seen.readings.at - at <= policy.report_age_s_max
    }
    heard = expected & fresh
    bad = sum(not members[i].healthy for i in heard)
    judged = bounds(len(expected), len(heard), bad, policy.bad_share_max)
    coverage = Coverage(len(expected), len(heard))
    if judged.state in (V.HEALTHY, V.IDLE):
        return Raw(V.HEALTHY), coverage
    numbers = (
        Compared("reporting", len(heard), ">=", len(expected), "members"),
        Compared("bad_share_worst", round(judged.worst, 3), "<=", policy.bad_share_max),
    )
    code = "MembersBad" if judged.state is V.UNHEALTHY else "InsufficientCoverage"
    text = f"{len(heard)} of {len(expected)} members report, {bad} are bad"
    return Raw(judged.state, (_reason(scope, code, text, *numbers),), bad_share=judged.best), coverage


def _two_windows(fast: float, slow: float, bound: float, *, before: V | None, bad: V) -> bool:
    """Both windows over the bound to enter; to stay, the fast one over half of it, so that recovery is seen soon."""
    if before is bad:
        return fast > bound * EXIT_FACTOR
    return fast > bound and slow > bound


def judge_lag(  # noqa: PLR0913
    scope: str, seen: "GroupEvidence", rates: Rates, before: V | None, policy: "HealthPolicy", now: float
) -> Raw:
    """Share of events later than the SLO in two windows; or what waits, extrapolated."""
    readings, name, slo_s = seen.readings, seen.facts.name, seen.facts.lag_p95_s
    if not isinstance(readings.oldest, Failed) and name in readings.oldest:
        waiting_s = now - readings.oldest[name]
        limit = LAG_EXTRAPOLATED_FACTOR * slo_s
        if waiting_s > limit:
            numbers = Compared("oldest_age_s", round(waiting_s, 2), "<=", limit, "s")
            text = f"the oldest unprocessed event is {waiting_s:.1f} s old"
            return Raw(V.UNHEALTHY, (_reason(scope, "LagExtrapolated", text, numbers),), over=waiting_s / slo_s)
    for window in (readings.fast, readings.slow):
        if isinstance(window, Failed):
            return _query_failed(scope, "lag", window)
    fast, slow = _lag_share(readings.fast, name, slo_s), _lag_share(readings.slow, name, slo_s)
    if fast is None or slow is None:
        if not rates.traffic:
            return Raw(V.IDLE)
        if slow is None:
            return Raw(V.UNKNOWN, (_reason(scope, "LagUnmeasured", "events come, but none has left yet"),))
        fast = fast or 0.0
    events = _events(readings.fast, name) * seen.fast_s
    bound = min(RATIO_MAX, policy.lag_burn_max * LAG_BUDGET)
    numbers_ = (
        Compared("late_share_fast", round(fast, 4), "<=", bound),
        Compared("late_share_slow", round(slow, 4), "<=", bound),
    )
    if events >= EVENTS_MIN and _two_windows(fast, slow, bound, before=before, bad=V.UNHEALTHY):
        text = f"{fast:.0%} of events are later than {slo_s:g} s"
        return Raw(V.UNHEALTHY, (_reason(scope, "LagOverSlo", text, *numbers_),), over=fast / LAG_BUDGET)
    if _two_windows(fast, slow, LAG_BUDGET, before=before, bad=V.DEGRADED):
        text = f"{fast:.1%} of events are later than {slo_s:g} s, 5 % may be"
        return Raw(V.DEGRADED, (_reason(scope, "LagNearSlo", text, *numbers_),), over=fast / LAG_BUDGET)
    return Raw(V.HEALTHY)


def _lag_share(window: Windowed | Failed, name: str, slo_s: float) -> float | None:
    return None if isinstance(window, Failed) else share_over(slo_s, window.lag.get(name, {}))


def _events(window: Windowed | Failed, name: str) -> float:
    """Events per second that the lag histogram has seen."""
    return 0.0 if isinstance(window, Failed) else max(window.lag.get(name, {}).values(), default=0.0)


def judge_errors(scope: str, seen: "GroupEvidence", rates: Rates, before: V | None, policy: "HealthPolicy") -> Raw:
    """Share of messages that failed, in two windows, against the availability SLO."""
    fast, slow = seen.readings.fast, seen.readings.slow
    for window in (fast, slow):
        if isinstance(window, Failed):
            return _query_failed(scope, "errors", window)
    name = seen.facts.name
    ratio_fast, total = error_ratio(fast, name)
    ratio_slow, _ = error_ratio(slow, name)
    if ratio_fast is None or ratio_slow is None:
        return Raw(V.HEALTHY if rates.traffic else V.IDLE)
    budget = 1.0 - seen.facts.availability / 100.0
    bound = min(RATIO_MAX, policy.error_burn_max * budget)
    numbers = (
        Compared("error_ratio_fast", round(ratio_fast, 5), "<=", round(bound, 5)),
        Compared("error_ratio_slow", round(ratio_slow, 5), "<=", round(bound, 5)),
    )
    enough = total * seen.fast_s >= EVENTS_MIN
    if enough and _two_windows(ratio_fast, ratio_slow, bound, before=before, bad=V.UNHEALTHY):
        text = f"{ratio_fast:.1%} of messages fail, {budget:.2%} may"
        over = ratio_fast / bound
        return Raw(V.UNHEALTHY, (_reason(scope, "ErrorsOverSlo", text, *numbers),), over=over, fast_burn=True)
    return Raw(V.HEALTHY)


def error_ratio(window: Windowed | Failed, group: str, fleet: str | None = None) -> tuple[float | None, float]:
    """Failed over processed of a group or one of its fleets, and messages per second; None without messages."""
    if isinstance(window, Failed):
        return None, 0.0
    rates = [r for (g, f), r in window.rates.items() if g == group and fleet in (None, f)]
    failed = sum(r.failed for r in rates)
    total = max(sum(r.processed for r in rates), failed)
    return (failed / total if total > TRAFFIC_MIN else None), total


def judge_progress(
    scope: str, seen: "GroupEvidence", moved_at: float | None, policy: "HealthPolicy", now: float
) -> Raw:
    """Whether committed offsets move while something waits: a dead consumer cannot hide behind its last lag."""
    if seen.offsets is None:
        return Raw(V.IDLE)
    if isinstance(seen.offsets, Failed):
        return Raw(V.UNKNOWN, (_reason(scope, "OffsetsUnavailable", f"offsets could not be read: {seen.offsets.why}"),))
    still_s = now - moved_at if moved_at is not None else 0.0
    if seen.offsets.backlog > 0 and still_s > policy.stall_s and seen.facts.serving:
        text = f"{seen.offsets.backlog} events wait and nothing was committed for {still_s:.0f} s"
        numbers = Compared("still_for_s", round(still_s, 1), "<=", policy.stall_s, "s")
        return Raw(V.UNHEALTHY, (_reason(scope, "ConsumerStalled", text, numbers),), bad_share=1.0)
    return Raw(V.HEALTHY)
