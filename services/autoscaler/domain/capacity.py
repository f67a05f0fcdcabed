"""How much one node can do, measured and not inferred from CPU.

While a group has a backlog its nodes never wait for work, so what they finish *is* their capacity (the "true
processing rate" of DS2, OSDI'18). Below saturation the throughput per node is only a lower bound. Until a node has been
seen saturated its rating counts (measured too, on a copy under load), then the declared rate, then what the share of
busy time suggests. A service whose CPU stays at 45 %
behind a lock is thus sized as well as one that is bound by CPU.
"""

from dataclasses import replace
from statistics import median

from services.autoscaler.domain.group import GroupSnapshot
from services.autoscaler.domain.memory import GroupMemory, Trial
from services.autoscaler.domain.policy import Limits

OBSERVATIONS_MAX = 5
OBSERVATIONS_MIN = 3  # one slow moment does not overrule what the group declares
BUSY_MIN = 0.1  # below it, rate / busy is noise
HOT_SHARE = 0.5  # of the backlog in one partition: its node is the limit, not the fleet
HOT_PARTITIONS_MIN = 4
RATE_MIN = 1e-6  # messages/s; anything lower is no rate
BACKLOG_NOISE_PER_PARTITION = 1.0  # transaction markers leave end - committed at 1 for ever


def waiting(snapshot: GroupSnapshot) -> float:
    """Messages that really wait, less what the broker's own markers add."""
    return max(0.0, snapshot.signals.backlog.value - BACKLOG_NOISE_PER_PARTITION * snapshot.partitions)


def backlog_s(snapshot: GroupSnapshot) -> float:
    """Seconds of work that wait: the backlog over what is finished (or comes in, when nothing is finished)."""
    if not snapshot.signals.backlog.usable:
        return 0.0
    work = waiting(snapshot)
    rate = snapshot.signals.throughput.value or snapshot.signals.arrival.value
    if work <= 0:
        return 0.0
    return work / rate if rate > RATE_MIN else float(work)


def has_backlog(snapshot: GroupSnapshot) -> bool:
    """More waits than the lag target allows."""
    return snapshot.stream and backlog_s(snapshot) > snapshot.policy.backlog_s_max


def is_hot(snapshot: GroupSnapshot) -> bool:
    """Most of the backlog stands in one partition, which only one node may read."""
    worst = snapshot.signals.backlog_worst
    return (
        has_backlog(snapshot)
        and worst.usable
        and snapshot.partitions >= HOT_PARTITIONS_MIN
        and worst.value > HOT_SHARE * snapshot.signals.backlog.value
    )


def learned(memory: GroupMemory, snapshot: GroupSnapshot, limits: Limits, now_s: float) -> GroupMemory:
    """The memory with the capacity of a node measured once more, where this instant allows it."""
    signals = snapshot.signals
    settled = now_s - memory.ready_changed_at_s >= limits.window_s
    if not settled or snapshot.consuming <= 0 or not signals.throughput.known:
        return memory
    seen = signals.throughput.value / snapshot.consuming
    if seen <= RATE_MIN:
        return memory
    if snapshot.stream and signals.backlog.known and has_backlog(snapshot) and not is_hot(snapshot):
        kept = (*memory.observations, seen)[-OBSERVATIONS_MAX:]
        if memory.node_rate is None and len(kept) < OBSERVATIONS_MIN:
            return replace(memory, observations=kept)
        rate = _bounded(memory.node_rate, median(kept), limits)
        if memory.node_rate is not None and rate < memory.node_rate and (memory.trial or memory.ineffective):
            return replace(memory, observations=kept)  # perhaps it is not the nodes that are slow: the trial will tell
        return replace(memory, observations=kept, node_rate=rate, node_rate_at_s=now_s)
    if memory.node_rate is not None and seen > memory.node_rate:
        return replace(memory, node_rate=_bounded(memory.node_rate, seen, limits), node_rate_at_s=now_s)
    return memory


def _bounded(before: float | None, measured: float, limits: Limits) -> float:
    """One observation moves the measured capacity by a bounded share only."""
    if before is None:
        return measured
    change = limits.capacity_change_max
    return min(before * (1 + change), max(before * (1 - change), measured))


def node_rate(memory: GroupMemory, snapshot: GroupSnapshot) -> tuple[float | None, str]:
    """Messages/s one node can do and where that comes from: measured, rated, declared, busy or unknown."""
    if memory.node_rate is not None:
        return max(memory.node_rate, RATE_MIN), "measured"
    if snapshot.rated is not None and snapshot.rated > RATE_MIN:
        return snapshot.rated, "rated"
    if snapshot.policy.node_rate is not None:
        return snapshot.policy.node_rate, "declared"
    busy, done = snapshot.signals.busy, snapshot.signals.throughput
    if busy.known and done.known and BUSY_MIN <= busy.value <= 1 and snapshot.consuming > 0:
        estimate = done.value / snapshot.consuming / busy.value
        if estimate > RATE_MIN:
            return estimate, "busy"
    return None, "unknown"


def tried(memory: GroupMemory, snapshot: GroupSnapshot, limits: Limits, now_s: float) -> GroupMemory:
    """Follow a scale-out: start a trial when the group grew, judge it when its nodes have served for a window.

    It was ineffective when a backlog remains and the throughput rose by less than `gain_min` of what the added nodes
    should have brought; then more nodes are not what is missing.
    """
    signals, trial = snapshot.signals, memory.trial
    if not snapshot.stream or not signals.throughput.known or not signals.backlog.known:
        return memory
    if trial is None:
        return replace(memory, trial=_begun(memory, snapshot, now_s))
    if snapshot.current < trial.nodes_after:
        return replace(memory, trial=None)
    if trial.served_at_s is None:
        served = snapshot.ready >= trial.nodes_after
        return replace(memory, trial=replace(trial, served_at_s=now_s)) if served else memory
    if now_s - trial.served_at_s < limits.window_s + limits.tick_s:
        return memory
    expected = trial.throughput_before * (trial.nodes_after - trial.nodes_before) / max(1, trial.nodes_before)
    gain = signals.throughput.value - trial.throughput_before
    if has_backlog(snapshot) and expected > 0 and gain < limits.gain_min * expected:
        return replace(memory, trial=None, ineffective=memory.ineffective + 1, ineffective_at_s=now_s)
    return replace(memory, trial=None, ineffective=0)


def _begun(memory: GroupMemory, snapshot: GroupSnapshot, now_s: float) -> Trial | None:
    """A trial, if the group grew since the last tick."""
    grew = next((c.delta for c in memory.changes if c.at_s == now_s and c.delta > 0), None)
    if grew is None:
        return None
    return Trial(now_s, snapshot.current - grew, snapshot.current, snapshot.signals.throughput.value)
