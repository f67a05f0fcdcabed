"""From what is recommended to what is done: dead band, the scale-in window, rate limits, bounds.

dead band      |need / have - 1| <= 0.1 changes nothing, except at a bound
scale-in       the largest recommendation of the last `scale_in_after_s`, all of which was observed
rate limits    from the size at the start of the period; a limit never turns the direction round
bounds         partitions (a stream group cannot use more nodes), then max, then min
"""

import math

from services.autoscaler.domain.group import GroupSnapshot
from services.autoscaler.domain.memory import Change, GroupMemory
from services.autoscaler.domain.policy import Limits, RateLimit
from shared.domain.reason import Compared, Reason

PERCENT = 100.0
BAND_NOISE = 1e-9  # |1 - 1.1| is not 0.1 in floats


def bounds(snapshot: GroupSnapshot) -> tuple[int, int]:
    """Least and most nodes. Partitions cap the most; a declared minimum stands above them.

    A cap clamps the node count and never vetoes a step.
    """
    least, most = snapshot.policy.nodes_min, snapshot.policy.nodes_max
    if snapshot.stream and snapshot.partitions:
        most = max(least, min(most, snapshot.partitions))
    return least, most


def clamped(snapshot: GroupSnapshot, nodes: int) -> tuple[int, tuple[Reason, ...]]:
    """The size within the bounds, and which bound it met."""
    least, most = bounds(snapshot)
    if nodes > most:
        compared = (Compared("nodes", nodes, "<=", most),)
        if most < snapshot.policy.nodes_max:
            text = f"{nodes} nodes are needed and only {most} can have a partition"
            return most, (Reason("PartitionCap", snapshot.scope, text, compared),)
        text = f"{nodes} nodes are needed and max_nodes is {most}"
        return most, (Reason("AtMax", snapshot.scope, text, compared),)
    return max(nodes, least), ()


def within_band(ratio: float | None, nodes: int, snapshot: GroupSnapshot, limits: Limits) -> bool:
    """Whether the need is so near to what is there that nothing should move. Bounds are always reached exactly."""
    least, most = bounds(snapshot)
    if ratio is None or nodes >= most or nodes <= least:
        return False
    return abs(ratio - 1.0) <= limits.dead_band + BAND_NOISE


def window_max(memory: GroupMemory, window_s: float, now_s: float) -> int:
    """The largest recommendation of the window."""
    return max((r.nodes for r in memory.history if now_s - r.at_s <= window_s), default=0)


def rate_limited(current: int, wanted: int, changes: tuple[Change, ...], limits: Limits, now_s: float) -> int:
    """The size that the rate limits let through now.

    >>> rate_limited(2, 50, (), Limits(), 0.0)
    6
    >>> rate_limited(20, 2, (), Limits(), 0.0)
    15
    """
    if wanted > current:
        start, most = _start(current, changes, limits.rate_out, now_s), limits.rate_out
        ceiling = start + max(most.nodes, math.ceil(start * most.percent / PERCENT))
        return max(current, min(wanted, ceiling))
    if wanted < current:
        start, most = _start(current, changes, limits.rate_in, now_s), limits.rate_in
        ground = start - max(most.nodes, math.floor(start * most.percent / PERCENT))
        return min(current, max(wanted, ground))
    return current


def _start(current: int, changes: tuple[Change, ...], limit: RateLimit, now_s: float) -> int:
    """The size at the start of the limit's period: an event exactly at its edge has left it."""
    return current - sum(c.delta for c in changes if 0 <= now_s - c.at_s < limit.period_s)
