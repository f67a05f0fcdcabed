"""What is asked of a holder at a heartbeat: go on, park, or stop.

A holder parks while a higher activity that it must yield to is live or asks for its place, while its scope is frozen,
and when the verdict check before a step does not hold; it keeps its place all the while and resumes. Of two
activities that each must wait for the other (their scopes came to meet after both had begun) the younger parks, so
neither waits for ever.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from services.observer.domain.activities import Activity, Limits, Request
from services.observer.domain.admission import Situation
from services.observer.domain.matrix import Cell, cell
from services.observer.domain.refusals import held, stopped, yielding
from services.observer.domain.verdict_check import verdict_reasons
from shared.domain.activity import ActivityKind as K
from shared.domain.activity import ActivityOutcome, HolderAsk
from shared.domain.names import FencingToken
from shared.domain.reason import Reason


@dataclass(frozen=True, slots=True)
class Asked:
    """The answer to a heartbeat; `expired` says that the lease has lapsed and must be recorded as such."""

    ask: HolderAsk
    reasons: tuple[Reason, ...] = ()
    retry_after_s: float = 0.0
    expired: bool = False


_ENDED_CODES = {
    ActivityOutcome.EXPIRED: "LeaseLapsed",
    ActivityOutcome.TAKEN_OVER: "TakenOver",
    ActivityOutcome.SUPERSEDED: "Superseded",
}


def ask_of(  # noqa: PLR0913  what a heartbeat says, and what it is judged by
    mine: Activity, token: FencingToken, seen: Situation, limits: Limits, *, parked: bool, before_step: bool
) -> Asked:
    """Judge one heartbeat."""
    if token != mine.token:
        return Asked(HolderAsk.STOP, (_wrong_token(mine, token),))
    if mine.outcome is not None:
        code = _ENDED_CODES.get(mine.outcome, "Ended")
        at = mine.ended_at if mine.ended_at is not None else mine.expires_at
        return Asked(
            HolderAsk.STOP, (stopped(mine, code, f"{mine.id} ended as {mine.outcome.value}: touch nothing more", at),)
        )
    if seen.now >= mine.expires_at:
        text = f"the lease of {mine.id} lapsed {seen.now - mine.expires_at:.1f} s ago: touch nothing more"
        return Asked(HolderAsk.STOP, (stopped(mine, "LeaseLapsed", text, mine.expires_at),), expired=True)
    reasons = _park_reasons(mine, seen, limits, standing=parked or before_step)
    if before_step:
        request = Request(
            mine.request,
            mine.kind,
            mine.scope,
            mine.holder,
            mine.ttl_s,
            override_reason=mine.override_reason,
            creates=mine.creates,
            security=mine.security,
            signal_age_s=0.0,  # it was fresh when it was admitted; growth is not stopped half way
        )
        reasons += verdict_reasons(request, seen.topology, seen.verdicts, seen.now, limits)
    if not reasons:
        return Asked(HolderAsk.GO_ON)
    retry = min((r.retry_after_s for r in reasons if r.retry_after_s is not None), default=limits.retry_s)
    return Asked(HolderAsk.PARK, tuple(reasons), retry)


def _park_reasons(mine: Activity, seen: Situation, limits: Limits, *, standing: bool) -> list[Reason]:
    request = Request(mine.request, mine.kind, mine.scope, mine.holder, mine.ttl_s)
    found = [
        held(request, other, seen.now, limits, queue=False)
        for other in _meeting(mine, seen)
        if _parks_for(mine, other, standing=standing)
    ]
    ask = mine.ask
    if ask and seen.now - ask.renewed_at <= limits.park_ask_fresh_s and not found:
        found.append(yielding(request, mine, seen.now - ask.asked_at, limits))
    return found


def _meeting(mine: Activity, seen: Situation) -> Sequence[Activity]:
    return [
        a
        for a in sorted(seen.activities, key=lambda a: a.token)
        if a.id != mine.id and a.live(seen.now) and seen.topology.meet(mine.scope, a.scope)
    ]


def _parks_for(mine: Activity, other: Activity, *, standing: bool) -> bool:
    """Whether `other` makes me park: at once if I must yield to it, before the next step if my own row says wait."""
    theirs = cell(other.kind, mine.kind, overridden=bool(other.override_reason))
    if theirs is Cell.YIELD:
        return True
    own = cell(mine.kind, other.kind, overridden=bool(mine.override_reason))
    if not standing or own not in (Cell.WAIT, Cell.QUEUE):
        return False
    if other.kind is K.FREEZE:
        return True
    mutual = theirs in (Cell.WAIT, Cell.QUEUE)
    return not mutual or other.token < mine.token


def _wrong_token(mine: Activity, token: FencingToken) -> Reason:
    return stopped(
        mine, "WrongToken", f"token {token} is not the token of {mine.id}: another holder has it", mine.began_at
    )
