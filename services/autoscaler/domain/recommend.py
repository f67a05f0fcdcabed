"""What each signal asks for: nodes by rate, by CPU and by the group's own metrics.

    demand = arrival + waiting / catch_up          messages/s
    nodes  = ceil(demand / (node_rate * utilization))

Nodes are sized from the rate that comes in, with a backlog as an addition that is to be gone in `catch_up_s`; sizing by
the backlog alone is proportional control of an integral, and swings. Any signal may ask for more; fewer needs all.
"""

import math
from dataclasses import dataclass

from services.autoscaler.domain.capacity import RATE_MIN, has_backlog, node_rate, waiting
from services.autoscaler.domain.group import GroupSnapshot
from services.autoscaler.domain.memory import GroupMemory
from services.autoscaler.domain.policy import Limits
from services.autoscaler.domain.signals import MISSING, Sample
from shared.domain.reason import Compared, Reason, Remedy

NODES_LIMIT = 1_000_000  # no recommendation is larger, whatever the numbers say
FLOAT_NOISE = 1e-6  # 2.0000000001 nodes are 2
IN_FLIGHT_S = 1.0  # of arrival: fetched and not yet committed


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What one signal asks for; `nodes_in` is None when it cannot tell how few would do."""

    name: str
    nodes_out: int  # at least this many
    nodes_in: int | None  # this many would do
    ratio: float | None = None  # of the need to what is there: for the dead band
    reasons: tuple[Reason, ...] = ()


def whole_nodes(nodes: float) -> int:
    """Nodes rounded up, without float noise and without overflow.

    >>> whole_nodes(2.0000000001), whole_nodes(2.1), whole_nodes(1e300), whole_nodes(float("nan"))
    (2, 3, 1000000, 0)
    """
    if math.isnan(nodes) or nodes <= 0:
        return 0
    return NODES_LIMIT if nodes >= NODES_LIMIT else math.ceil(nodes - FLOAT_NOISE)


def unknown(snapshot: GroupSnapshot, name: str, sample: Sample) -> Reason:
    """Why a signal cannot take part in a scale-in."""
    return Reason(
        code="SignalUnknown",
        scope=snapshot.scope,
        text=f"{name} is {sample.quality.value}: it does not count as zero and blocks scale-in",
        remedy=(
            Remedy(
                "look at the nodes' scrape state and the Observer's view of the group",
                cli=f"headrace explain {snapshot.scope}",
            ),
        ),
    )


def demand(snapshot: GroupSnapshot, limits: Limits) -> float:
    """Messages/s to plan for; what is not known counts as nothing here and blocks scale-in elsewhere."""
    signals = snapshot.signals
    arrival = signals.arrival.value if signals.arrival.usable else 0.0
    excess = 0.0
    if snapshot.stream and signals.backlog.usable:
        excess = max(0.0, waiting(snapshot) - IN_FLIGHT_S * arrival)
    return arrival + excess / limits.catch_up_s


def by_rate(snapshot: GroupSnapshot, memory: GroupMemory, limits: Limits) -> Recommendation:
    """Nodes by demand over measured capacity."""
    signals = snapshot.signals
    needed = {"arrival": signals.arrival} | ({"backlog": signals.backlog} if snapshot.stream else {})
    reasons = [unknown(snapshot, name, sample) for name, sample in needed.items() if not sample.known]
    rate, _ = node_rate(memory, snapshot)
    want = demand(snapshot, limits)
    if want <= RATE_MIN:
        return Recommendation("rate", 0, None if reasons else 0, None, tuple(reasons))
    if rate is None:
        reasons.append(_not_measured(snapshot))
        return Recommendation("rate", min(1, snapshot.policy.nodes_max), None, None, tuple(reasons))
    exact = want / (rate * snapshot.policy.utilization)
    nodes = whole_nodes(exact)
    ratio = exact / snapshot.current if snapshot.current else None
    return Recommendation("rate", nodes, None if reasons else nodes, ratio, tuple(reasons))


def _not_measured(snapshot: GroupSnapshot) -> Reason:
    return Reason(
        code="CapacityNotMeasured",
        scope=snapshot.scope,
        text="no node has been seen saturated or was rated, and the group declares no node_rate: the rate cannot size it",
        remedy=(Remedy("declare scaling.node_rate, or let the group run with a backlog once"),),
    )


def by_cpu(snapshot: GroupSnapshot, memory: GroupMemory, limits: Limits, now_s: float) -> Recommendation | None:
    """Nodes by CPU, if the group has a target. Nodes that do not report count as at the target on the way down."""
    target = snapshot.policy.cpu_percent
    if target is None:
        return None
    used, reporting = snapshot.signals.cpu_cores, snapshot.signals.cpu_nodes
    if not used.known or not reporting.known:
        bad = used if not used.known else reporting
        return Recommendation("cpu", 0, None, None, (unknown(snapshot, "cpu", bad),))
    percent = 100.0 * used.value / snapshot.cores
    silent = max(0.0, snapshot.ready - reporting.value)
    up, down = whole_nodes(percent / target), whole_nodes(percent / target + silent)
    ratio = percent / target / snapshot.current if snapshot.current else None
    blocked = _cpu_is_no_evidence(snapshot, memory, limits, now_s, percent) if up > snapshot.current else None
    if blocked:
        return Recommendation("cpu", 0, max(down, snapshot.current), None, (blocked,))
    return Recommendation("cpu", up, down, ratio)


def _cpu_is_no_evidence(
    snapshot: GroupSnapshot, memory: GroupMemory, limits: Limits, now_s: float, percent: float
) -> Reason | None:
    """High CPU does not ask for nodes while nodes boot, nor in a stream group that has no work."""
    signals = snapshot.signals
    if snapshot.pending or now_s - memory.ready_changed_at_s < limits.warmup_s:
        return Reason(
            code="CpuWarmingUp",
            scope=snapshot.scope,
            text="nodes are booting or fresh: their CPU is no evidence for more nodes",
            compared=(Compared("nodes_pending", snapshot.pending, "==", 0),),
        )
    idle = signals.arrival.known and signals.arrival.value <= RATE_MIN and signals.backlog.known
    if snapshot.stream and idle and not has_backlog(snapshot):
        return Reason(
            code="CpuWithoutWork",
            scope=snapshot.scope,
            text=f"CPU stands at {percent:.0f} % in all, yet nothing arrives or waits: more nodes would not help",
        )
    return None


def by_metrics(snapshot: GroupSnapshot) -> tuple[Recommendation, ...]:
    """Nodes by the group's own metrics: the sum over the nodes, over the aim per node."""
    found = []
    for aim in snapshot.policy.metrics:
        sample = snapshot.signals.metrics.get(aim.metric)
        if sample is None or not sample.known:
            lost = sample if sample is not None else MISSING
            found.append(Recommendation(aim.metric, 0, None, None, (unknown(snapshot, aim.metric, lost),)))
            continue
        exact = sample.value / aim.value
        ratio = exact / snapshot.current if snapshot.current else None
        found.append(Recommendation(aim.metric, whole_nodes(exact), whole_nodes(exact), ratio))
    return tuple(found)
