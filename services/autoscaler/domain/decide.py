"""One tick of one group: snapshot and memory in, decision and memory out.

    measure -> recommend -> guards -> dead band -> scale-in window -> rate limits -> bounds -> split over the fleets

Every number on the way and every reason stands in the decision.
"""

from dataclasses import dataclass, replace

from services.autoscaler.domain import capacity, guards, stabilise
from services.autoscaler.domain.decision import HOLD, IN, OUT, Decision
from services.autoscaler.domain.group import GroupSnapshot
from services.autoscaler.domain.memory import GroupMemory, covered, observed, recorded
from services.autoscaler.domain.policy import Limits
from services.autoscaler.domain.recommend import Recommendation, by_cpu, by_metrics, by_rate, demand
from services.autoscaler.domain.split import next_sizes, split
from shared.domain.names import FleetId
from shared.domain.reason import Compared, Reason

PLATEAU_SHARE = 0.9  # of the CPU target: below it, with a backlog, CPU is not what limits the group


@dataclass(frozen=True, slots=True)
class Need:
    """What all signals together ask for: `nodes`, and whether fewer than now may be believed."""

    nodes: int
    ratio: float | None
    fewer_known: bool
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Shaped:
    """A size on its way through the steps."""

    nodes: int
    reasons: tuple[Reason, ...]


def decide(
    snapshot: GroupSnapshot, memory: GroupMemory, limits: Limits, now_s: float, decision_id: str
) -> tuple[Decision, GroupMemory]:
    """The decision for this instant, and what to remember."""
    memory = observed(memory, snapshot, limits, now_s)
    memory = capacity.learned(capacity.tried(memory, snapshot, limits, now_s), snapshot, limits, now_s)
    if not snapshot.fleets:
        none = Reason("NoFleet", snapshot.scope, "the group has no Auto Scaling Group yet")
        return Decision(decision_id, snapshot.group, now_s, HOLD, 0, 0, reasons=(none,)), memory
    need = needed(snapshot, memory, limits, now_s)
    known = need.nodes if need.fewer_known else max(need.nodes, snapshot.current)
    recommended, _ = stabilise.clamped(snapshot, known)
    window_s = 0.0 if snapshot.policy.fixed_nodes is not None else snapshot.policy.scale_in_after_s
    memory = recorded(memory, recommended, window_s, now_s)
    shaped = shape(snapshot, memory, limits, now_s, need)
    decision = _decision(snapshot, memory, limits, shaped)
    return replace(decision, id=decision_id, at_s=now_s, signal_age_s=_signal_age_s(snapshot, now_s)), memory


def needed(snapshot: GroupSnapshot, memory: GroupMemory, limits: Limits, now_s: float) -> Need:
    """The largest recommendation; fewer only if every signal can tell."""
    fixed = snapshot.policy.fixed_nodes
    if fixed is not None:
        text = f"the group declares {fixed} nodes"
        reason = (Reason("Provisioned", snapshot.scope, text),) if fixed != snapshot.current else ()
        return Need(fixed, None, fewer_known=True, reasons=reason)
    asked: list[Recommendation] = [*by_metrics(snapshot)]
    cpu = by_cpu(snapshot, memory, limits, now_s)
    if cpu is not None:
        asked.append(cpu)
    rate = by_rate(snapshot, memory, limits)
    if snapshot.stream or not asked or rate.nodes_in is not None:
        asked.insert(0, rate)
    reasons = tuple(r for a in asked for r in a.reasons)
    fewest = [a.nodes_in for a in asked if a.nodes_in is not None]
    out = max(asked, key=lambda a: a.nodes_out)
    if out.nodes_out > snapshot.current:
        text = f"{out.name} asks for {out.nodes_out} nodes"
        because = Reason("NeedsMore", snapshot.scope, text, (Compared("nodes", snapshot.current, ">=", out.nodes_out),))
        return Need(out.nodes_out, out.ratio, fewer_known=len(fewest) == len(asked), reasons=(because, *reasons))
    if len(fewest) < len(asked):
        return Need(snapshot.current, None, fewer_known=False, reasons=reasons)
    ratios = [a.ratio for a in asked if a.ratio is not None]
    return Need(min(max(fewest), snapshot.current), max(ratios, default=None), fewer_known=True, reasons=reasons)


def shape(snapshot: GroupSnapshot, memory: GroupMemory, limits: Limits, now_s: float, need: Need) -> Shaped:
    """From the need to the size to set, with every reason met on the way."""
    current, least = snapshot.current, stabilise.bounds(snapshot)[0]
    raw, met = stabilise.clamped(snapshot, need.nodes)
    reasons = (*need.reasons, *met, *_remarks(snapshot))
    if stabilise.within_band(need.ratio, raw, snapshot, limits) and current >= least:
        return Shaped(current, (*reasons, *_band(snapshot, need, limits)) if raw != current else reasons)
    if raw > current:
        return _shape_out(snapshot, memory, limits, now_s, Shaped(raw, reasons))
    if raw < current and need.fewer_known:
        return _shape_in(snapshot, memory, limits, now_s, Shaped(raw, reasons))
    return Shaped(current, reasons)


def _shape_out(snapshot: GroupSnapshot, memory: GroupMemory, limits: Limits, now_s: float, shaped: Shaped) -> Shaped:
    current, least = snapshot.current, stabilise.bounds(snapshot)[0]
    hard = guards.against_any_out(snapshot, limits, now_s)
    if hard:
        return Shaped(current, (*shaped.reasons, *hard))
    soft = guards.against_out(snapshot, memory, limits, now_s)
    if soft:
        return Shaped(max(current, least), (*shaped.reasons, *soft))
    nodes = stabilise.rate_limited(current, shaped.nodes, memory.changes, limits, now_s)
    if memory.ineffective >= limits.ineffective_max:
        nodes = min(nodes, current + 1)  # after a hold one node tells whether more would help now
    nodes = max(nodes, least)
    return Shaped(nodes, (*shaped.reasons, *_limited(snapshot, nodes, shaped.nodes)))


def _shape_in(snapshot: GroupSnapshot, memory: GroupMemory, limits: Limits, now_s: float, shaped: Shaped) -> Shaped:
    current = snapshot.current
    blocked = guards.against_in(snapshot, memory, limits, now_s)
    if snapshot.policy.fixed_nodes is not None:
        return Shaped(current if blocked else shaped.nodes, (*shaped.reasons, *blocked))
    window_s = snapshot.policy.scale_in_after_s
    if not covered(memory, window_s, now_s):
        since = now_s - (memory.observed_since_s if memory.observed_since_s is not None else now_s)
        text = f"the group has been watched for {since:.0f} s without a gap"
        compared = Compared("watched_s", since, ">=", window_s, "s")
        blocked = (
            *blocked,
            Reason("WindowNotObserved", snapshot.scope, text, (compared,), retry_after_s=window_s - since),
        )
    if blocked:
        return Shaped(current, (*shaped.reasons, *blocked))
    most = min(current, stabilise.window_max(memory, window_s, now_s))
    if most > shaped.nodes:
        text = f"{most} nodes were needed within the last {window_s:.0f} s"
        reason = Reason("ScaleInWindow", snapshot.scope, text, (Compared("nodes", shaped.nodes, ">=", most),))
        shaped = Shaped(most, (*shaped.reasons, reason))
    nodes = stabilise.rate_limited(current, shaped.nodes, memory.changes, limits, now_s)
    return Shaped(nodes, (*shaped.reasons, *_limited(snapshot, nodes, shaped.nodes)))


def _limited(snapshot: GroupSnapshot, nodes: int, wanted: int) -> tuple[Reason, ...]:
    if nodes == wanted:
        return ()
    text = f"of {snapshot.current} -> {wanted} the rate limit lets {snapshot.current} -> {nodes} through now"
    return (Reason("RateLimited", snapshot.scope, text),)


def _band(snapshot: GroupSnapshot, need: Need, limits: Limits) -> tuple[Reason, ...]:
    text = f"{need.nodes} nodes would be exact; the difference lies within {limits.dead_band:.0%}"
    compared = Compared("need_ratio", need.ratio or 0.0, "<=", 1 + limits.dead_band)
    return (Reason("WithinDeadBand", snapshot.scope, text, (compared,)),)


def _remarks(snapshot: GroupSnapshot) -> tuple[Reason, ...]:
    """What a reader should know, though it decides nothing."""
    found = []
    cpu, target = snapshot.signals.cpu_cores, snapshot.policy.cpu_percent
    behind = snapshot.signals.backlog.usable and capacity.has_backlog(snapshot)
    if behind and cpu.known and snapshot.ready:
        percent = 100.0 * cpu.value / snapshot.cores / snapshot.ready
        limit = PLATEAU_SHARE * (target or 100.0)
        if percent < limit:
            text = f"work waits while CPU stands at {percent:.0f} %: CPU does not show what limits this group"
            found.append(
                Reason("CpuPlateau", snapshot.scope, text, (Compared("cpu_percent", percent, ">=", limit, "%"),))
            )
    if capacity.is_hot(snapshot):
        text = "most of the backlog stands in one partition, which only one node can read: choose another key"
        found.append(Reason("HotPartition", snapshot.scope, text))
    return tuple(found)


def _decision(snapshot: GroupSnapshot, memory: GroupMemory, limits: Limits, shaped: Shaped) -> Decision:
    """Split the total over the fleets; the action is what really moves."""
    previous = {f.fleet: f.desired for f in snapshot.fleets}
    target = split(shaped.nodes, snapshot.fleets, snapshot.reservations)
    reasons = shaped.reasons
    if shaped.nodes < snapshot.current:
        sizes = next_sizes(shaped.nodes, snapshot.fleets, target)
        least = {f.fleet: f.nodes_min for f in snapshot.fleets}
        desired = {f: min(previous[f], max(n, least[f])) for f, n in sizes.items()}
    elif shaped.nodes == snapshot.current and snapshot.rollout:
        desired = previous  # moving nodes between fleets is for whoever holds the reservations
    else:
        desired = {f: max(previous[f], n) for f, n in target.items()}
        desired, bounded = _within_fleets(snapshot, desired)
        reasons = (*reasons, *bounded)
    action = OUT if any(desired[f] > previous[f] for f in desired) else IN if desired != previous else HOLD
    return Decision(
        id="",
        group=snapshot.group,
        at_s=0.0,
        action=action,
        current=snapshot.current,
        wanted=shaped.nodes,
        inputs=inputs_of(snapshot),
        intermediates=intermediates_of(snapshot, memory, limits),
        reasons=reasons,
        desired=desired,
        previous=previous,
    )


def _within_fleets(
    snapshot: GroupSnapshot, desired: dict[FleetId, int]
) -> tuple[dict[FleetId, int], tuple[Reason, ...]]:
    """AWS refuses a desired capacity above MaxSize, which is the Provisioner's to write."""
    most = {f.fleet: max(f.nodes_max, f.desired) for f in snapshot.fleets}
    over = sorted(f for f, n in desired.items() if n > most[f])
    reasons = tuple(
        Reason(
            "BoundedByMaxSize", snapshot.scope, f"fleet {f} would need {desired[f]} nodes and its MaxSize is {most[f]}"
        )
        for f in over
    )
    return {f: min(n, most[f]) for f, n in desired.items()}, reasons


def inputs_of(snapshot: GroupSnapshot) -> dict[str, float]:
    """What was measured, as far as it is usable."""
    s = snapshot.signals
    named = {"arrival": s.arrival, "throughput": s.throughput, "busy": s.busy, "cpu_cores": s.cpu_cores} | dict(
        s.metrics
    )
    if snapshot.stream:
        named["backlog"] = s.backlog
    found = {name: sample.value for name, sample in named.items() if sample.usable}
    return found | {"ready": snapshot.ready, "pending": snapshot.pending}


def intermediates_of(snapshot: GroupSnapshot, memory: GroupMemory, limits: Limits) -> dict[str, float]:
    """Every number between the inputs and the answer."""
    rate, source = capacity.node_rate(memory, snapshot)
    numbers = {"demand": demand(snapshot, limits)}
    if rate is not None:
        numbers[f"node_rate_{source}"] = rate
        numbers["nodes_exact"] = numbers["demand"] / (rate * snapshot.policy.utilization)
    if snapshot.stream and snapshot.signals.backlog.usable:
        numbers["backlog_s"] = capacity.backlog_s(snapshot)
    least, most = stabilise.bounds(snapshot)
    return numbers | {"nodes_least": least, "nodes_most": most}


def _signal_age_s(snapshot: GroupSnapshot, now_s: float) -> float:
    """Age of the newest sample that was used."""
    s = snapshot.signals
    ages = [x.age_s(now_s) for x in (s.arrival, s.backlog, s.cpu_cores) if x.usable]
    return min(ages, default=0.0)
