"""From raw judgements to committed ones: entering a bad state takes fewer confirmations than leaving it.

Only evaluations *with evidence* count: a failed scrape resets nothing. After a few evaluations without evidence a
good state reads UNKNOWN, while UNHEALTHY and FAILED stay: blindness is no recovery.
"""

from dataclasses import dataclass

from shared.domain.health import GOOD, VerdictState

_BAD = frozenset({VerdictState.UNHEALTHY, VerdictState.FAILED})


@dataclass(frozen=True, slots=True)
class Confirmations:
    """Ticks with evidence that it takes."""

    enter: int = 2
    exit: int = 3
    gap_max: int = 2  # ticks without evidence that change nothing


@dataclass(frozen=True, slots=True)
class Committed:
    """A dimension's memory: its state, since when, and what it is turning into."""

    state: VerdictState
    since: float
    turning: VerdictState | None = None
    count: int = 0
    gap: int = 0


def commit(before: Committed | None, raw: VerdictState, now: float, need: Confirmations) -> Committed:
    """One evaluation.

    The first judgement stands at once; UNKNOWN turns into what the first evidence says, unless that is bad.
    """
    if before is None:
        return Committed(raw, now)
    if raw is VerdictState.UNKNOWN:
        return _without_evidence(before, now, need)
    if raw is before.state or (raw in GOOD and before.state in GOOD):
        return Committed(raw, before.since if raw is before.state else now)
    count = before.count + 1 if before.turning is raw or (raw in GOOD and before.turning in GOOD) else 1
    if count >= _needed(before.state, raw, need):
        return Committed(raw, now)
    return Committed(before.state, before.since, raw, count)


def _without_evidence(before: Committed, now: float, need: Confirmations) -> Committed:
    gap = before.gap + 1
    if gap <= need.gap_max or before.state in _BAD or before.state is VerdictState.UNKNOWN:
        return Committed(before.state, before.since, before.turning, before.count, min(gap, need.gap_max + 1))
    return Committed(VerdictState.UNKNOWN, now)


def _needed(before: VerdictState, raw: VerdictState, need: Confirmations) -> int:
    if raw in _BAD:
        return need.enter
    if before in _BAD or before is VerdictState.DEGRADED:
        return need.exit
    if before is VerdictState.UNKNOWN:
        return 1
    return need.enter
