"""What the Autoscaler remembers of a group from tick to tick; kept in the store, so that a restart forgets nothing.

A first scale-in right after a restart would be the classic mistake: the window over which the largest recommendation
counts must have been *observed* without a gap, not merely be empty.
"""

from dataclasses import dataclass, replace

from services.autoscaler.domain.group import GroupSnapshot
from services.autoscaler.domain.policy import Limits

HISTORY_BUCKETS = 60  # a window is kept in at most this many steps
CHANGES_MAX = 64


@dataclass(frozen=True, slots=True)
class Recommended:
    """The size that was recommended at a time."""

    at_s: float
    nodes: int


@dataclass(frozen=True, slots=True)
class Change:
    """The group's size moved by `delta` nodes."""

    at_s: float
    delta: int


@dataclass(frozen=True, slots=True)
class Trial:
    """A scale-out whose gain is still to be measured."""

    at_s: float
    nodes_before: int
    nodes_after: int
    throughput_before: float
    served_at_s: float | None = None  # since when all the added nodes serve


@dataclass(frozen=True, slots=True)
class GroupMemory:
    """Times are seconds since the epoch; a new group has an empty memory."""

    node_rate: float | None = None  # measured messages/s of one node
    node_rate_at_s: float = 0.0
    observations: tuple[float, ...] = ()  # the newest measurements of it
    history: tuple[Recommended, ...] = ()
    observed_since_s: float | None = None
    observed_last_s: float | None = None
    changes: tuple[Change, ...] = ()
    size_last: int | None = None
    ready_last: int | None = None
    ready_changed_at_s: float = 0.0
    rollout_last: bool = False
    lost_at_s: float | None = None
    lost_nodes: int = 0
    trial: Trial | None = None
    ineffective: int = 0
    ineffective_at_s: float = 0.0


def observed(memory: GroupMemory, snapshot: GroupSnapshot, limits: Limits, now_s: float) -> GroupMemory:
    """The memory after looking at the group once more: gaps, size changes, lost nodes."""
    last = memory.observed_last_s
    gap = last is None or now_s < last or now_s - last > limits.observation_gap_s
    size, ready = snapshot.current, snapshot.ready
    delta = 0 if memory.size_last is None else size - memory.size_last
    changes = (*memory.changes, Change(now_s, delta))[-CHANGES_MAX:] if delta else memory.changes
    kept = max(limits.rate_in.period_s, limits.rate_out.period_s)
    moved = memory.ready_last is None or ready != memory.ready_last
    fresh = replace(
        memory,
        observed_since_s=now_s if gap else memory.observed_since_s,
        observed_last_s=now_s,
        changes=tuple(c for c in changes if 0 <= now_s - c.at_s <= kept),
        size_last=size,
        ready_last=ready,
        rollout_last=snapshot.rollout,
        ready_changed_at_s=now_s if moved else memory.ready_changed_at_s,
        history=tuple(r if r.at_s <= now_s else replace(r, at_s=now_s) for r in memory.history),
    )
    return _with_losses(memory, fresh, limits, now_s)


def _with_losses(before: GroupMemory, fresh: GroupMemory, limits: Limits, now_s: float) -> GroupMemory:
    """Many nodes gone at once, and not because we made the group smaller: scale-in is blocked for a while."""
    if before.ready_last is None or fresh.ready_last is None or before.size_last is None or fresh.size_last is None:
        return fresh
    if before.rollout_last or fresh.rollout_last:
        return fresh  # a deployment takes its old nodes away itself
    shrunk = max(0, before.size_last - fresh.size_last) + sum(-c.delta for c in before.changes if c.delta < 0)
    lost = before.ready_last - fresh.ready_last - shrunk
    if lost >= 2 and lost > limits.mass_loss_ratio * before.ready_last:  # noqa: PLR2004  one node is no mass
        return replace(fresh, lost_at_s=now_s, lost_nodes=lost)
    return fresh


def recorded(memory: GroupMemory, nodes: int, window_s: float, now_s: float) -> GroupMemory:
    """Add a recommendation. Within one step of the window the largest counts, at its latest time: never too small."""
    kept = [r for r in memory.history if now_s - r.at_s <= window_s]
    step = window_s / HISTORY_BUCKETS
    if kept and step > 0 and now_s // step == kept[-1].at_s // step:
        nodes = max(nodes, kept.pop().nodes)
    kept.append(Recommended(now_s, nodes))
    return replace(memory, history=tuple(kept[-HISTORY_BUCKETS - 1 :]))


def covered(memory: GroupMemory, window_s: float, now_s: float) -> bool:
    """Whether the group was watched without a gap for the whole window."""
    return memory.observed_since_s is not None and now_s - memory.observed_since_s >= window_s
