"""Admission: may this be done to that scope now? One pure function over the verdicts and everything held.

A request is checked against (1) every activity that meets its scope, cell by cell of the matrix; (2) other groups of
its pipelines; (3) the number of deployments in the system; (4) leases that lapsed a moment ago; (5) the verdicts that
its kind needs. All reasons are collected, never only the first, each with the numbers compared and when to ask again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

from services.observer.domain.activities import Activity, Limits, Request, Waiting
from services.observer.domain.matrix import (
    MATRIX,
    ONE_CHANGE_PER_PIPELINE,
    WAITS_AT_MOST_FOR_PARKING,
    Cell,
    cell,
)
from services.observer.domain.refusals import (
    deployments_at_limit,
    held,
    not_the_deployment,
    pipeline_busy,
    quarantined,
    superseded,
    yielding,
)
from services.observer.domain.topology import Topology
from services.observer.domain.verdict import Verdict
from services.observer.domain.verdict_check import verdict_reasons
from shared.domain.activity import ActivityKind as K
from shared.domain.names import ActivityId
from shared.domain.reason import Reason
from shared.domain.scope import Scope


@dataclass(frozen=True, slots=True)
class Granted:
    """Go; `takes_over` are deployments that end with it; `notes` are for the record."""

    takes_over: tuple[ActivityId, ...] = ()
    notes: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class Blocked:
    """No; every reason at once."""

    reasons: tuple[Reason, ...]
    retry_after_s: float


@dataclass(frozen=True, slots=True)
class Yielding:
    """Holders are asked to park; ask again."""

    asks: tuple[ActivityId, ...]
    reasons: tuple[Reason, ...]
    retry_after_s: float


Decision = Granted | Blocked | Yielding


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything a decision is made from, as of `now` (the store's time)."""

    topology: Topology
    activities: Sequence[Activity]  # not ended, or ended as expired within the quarantine
    verdicts: Mapping[Scope, Verdict]
    now: float
    waiting: Sequence[Waiting] = ()  # deployments that wait for the same scope


@dataclass(frozen=True, slots=True)
class _Meeting:
    """What one holder means for the request."""

    other: Activity
    reason: Reason | None = None  # why it blocks, or why it must park first
    asks: bool = False
    takes_over: bool = False


def decide(request: Request, seen: Situation, limits: Limits) -> Decision:
    """Granted, Blocked or Yielding."""
    newer = _newer_waiting(request, seen, limits)
    if newer:
        return Blocked((superseded(request, newer),), retry_after_s=0.0)
    meetings = [m for a in _others(request, seen) if (m := _meet(request, a, seen, limits))]
    reasons = [
        *(m.reason for m in meetings if m.reason and not m.asks),
        *_lapsed(request, seen, limits),
        *_pipeline(request, seen, limits),
        *_at_limit(request, seen, limits),
        *verdict_reasons(request, seen.topology, seen.verdicts, seen.now, limits),
    ]
    if reasons:
        # Whoever is blocked for another reason too asks nobody to park: the holder would stand still for nothing.
        beside = [held(request, m.other, seen.now, limits, queue=False) for m in meetings if m.asks]
        blocking = (*reasons, *beside)
        return Blocked(
            blocking, min((r.retry_after_s for r in blocking if r.retry_after_s is not None), default=limits.retry_s)
        )
    asks = [m for m in meetings if m.asks]
    if asks:
        why = tuple(m.reason for m in asks if m.reason)
        return Yielding(tuple(m.other.id for m in asks), why, limits.retry_yield_s)
    return Granted(tuple(m.other.id for m in meetings if m.takes_over))


def _others(request: Request, seen: Situation) -> list[Activity]:
    """What is live and meets the request's scope, in the order of its beginning."""
    return [
        a
        for a in sorted(seen.activities, key=lambda a: a.token)
        if a.live(seen.now) and a.request != request.id and seen.topology.meet(request.scope, a.scope)
    ]


def _meet(request: Request, other: Activity, seen: Situation, limits: Limits) -> _Meeting | None:
    found = cell(request.kind, other.kind, overridden=bool(request.override_reason))
    match found:
        case Cell.OK:
            return None
        case Cell.WAIT | Cell.QUEUE:
            return _Meeting(other, held(request, other, seen.now, limits, queue=found is Cell.QUEUE))
        case Cell.TAKE_OVER:
            if request.takes_over and request.takes_over != other.id:
                return _Meeting(other, not_the_deployment(request, other, limits))
            return _Meeting(other, takes_over=True)
        case Cell.YIELD:
            if other.parked:
                return None
            asked_for_s = seen.now - other.ask.asked_at if other.ask else 0.0
            if request.kind in WAITS_AT_MOST_FOR_PARKING and asked_for_s >= limits.park_wait_s:
                return None
            return _Meeting(other, yielding(request, other, asked_for_s, limits), asks=True)
        case _:
            assert_never(found)


def _lapsed(request: Request, seen: Situation, limits: Limits) -> list[Reason]:
    """Leases that ran out a moment ago: a call of their holder may still be on its way."""
    return [
        quarantined(request, a, seen.now, limits)
        for a in seen.activities
        if a.lapsed(seen.now)
        and a.request != request.id
        and seen.now < a.expires_at + limits.call_deadline_s_max
        and a.kind is not K.FREEZE
        and MATRIX[request.kind][a.kind] is not Cell.OK
        and seen.topology.meet(request.scope, a.scope)
    ]


def _pipeline(request: Request, seen: Situation, limits: Limits) -> list[Reason]:
    if request.kind not in ONE_CHANGE_PER_PIPELINE:
        return []
    return [
        pipeline_busy(request, a, min(shared), seen.now, limits)
        for a in sorted(seen.activities, key=lambda a: a.token)
        if a.live(seen.now)
        and a.request != request.id
        and a.kind in ONE_CHANGE_PER_PIPELINE
        and not seen.topology.meet(request.scope, a.scope)
        and (shared := seen.topology.pipelines_of(request.scope) & seen.topology.pipelines_of(a.scope))
    ]


def _at_limit(request: Request, seen: Situation, limits: Limits) -> list[Reason]:
    if request.kind is not K.DEPLOY:
        return []
    most = limits.deployments_max(len(seen.topology.groups))
    running = [a for a in seen.activities if a.kind is K.DEPLOY and a.live(seen.now) and a.request != request.id]
    elsewhere = [a for a in running if not seen.topology.meet(request.scope, a.scope)]
    if len(running) < most or not elsewhere:  # one on this group is the matrix' matter
        return []
    return [deployments_at_limit(request, running, most, limits)]


def _newer_waiting(request: Request, seen: Situation, limits: Limits) -> Waiting | None:
    """The newest deployment that waits for the same scope, if it is newer than this one and still asks."""
    mine = next((w for w in seen.waiting if w.request == request.id), None)
    if mine is None or request.kind is not K.DEPLOY:
        return None
    if mine.superseded_by:
        by = mine.superseded_by
        return next((w for w in seen.waiting if w.request == by), mine)
    newer = [
        w
        for w in seen.waiting
        if w.order > mine.order
        and w.scope == request.scope
        and not w.superseded_by
        and seen.now - w.asked_at <= limits.waiting_fresh_s
    ]
    return max(newer, key=lambda w: w.order, default=None)
