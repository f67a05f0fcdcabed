"""The loss dimension of each pipeline: closed event-time minutes compared, between entering and leaving."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from services.observer.domain.audits import AuditComparison, AuditPoint, AuditProgress, AuditSpan
from services.observer.domain.evidence import PipelineFacts
from services.observer.domain.loss import (
    BUCKET_S,
    CloseRule,
    Closing,
    LossJudgement,
    LossState,
    bucket_start,
    closing,
    judge_bucket,
    pages,
)
from services.observer.domain.ports import AuditStore
from services.observer.domain.rollup import LossFinding
from shared.domain.health import VerdictState
from shared.domain.names import PipelineName
from shared.domain.reason import Compared, Reason
from shared.domain.scope import pipeline_scope

MINUTES_JUDGED = 6
CLEAN_NEEDED = 3


@dataclass(slots=True)
class _Look:
    """One pipeline in a round: what may be compared yet, and what the newest minutes with traffic said."""

    facts: PipelineFacts
    span: AuditSpan
    candidates: Iterator[tuple[int, Closing]]  # closed minutes, newest first
    last: list[tuple[int, LossJudgement]] = field(default_factory=list)  # newest first

    def wanted(self) -> list[tuple[int, Closing]]:
        """As many more as are needed, if all of them had traffic."""
        return list(islice(self.candidates, CLEAN_NEEDED - len(self.last)))

    def judge(self, minute: int, where: Closing, seen: AuditComparison) -> None:
        """One of them, compared."""
        one = judge_bucket(seen.source, seen.compared, closed=True, bound=self.facts.loss_max)
        if where is Closing.STUCK and one.state is LossState.LOSING:
            one = LossJudgement(LossState.UNKNOWN, one.ratio, alarm=False, code="WatermarkStuck")
        if one.state is not LossState.NO_TRAFFIC:
            self.last.append((minute, one))


class LossRound:
    """One evaluation a tick; the last closed minutes are compared again, so that late data heals what it heals."""

    def __init__(self, audits: AuditStore, rule: CloseRule) -> None:
        """`rule` says when a minute is final."""
        self._audits, self._rule = audits, rule

    async def find(
        self, pipelines: Sequence[PipelineFacts], now: float, traffic_since: Mapping[str, float]
    ) -> dict[str, LossFinding]:
        """What the last closed minutes of each say; `traffic_since`: since when events have flowed without a break.

        The store is asked twice for all pipelines together, and once more for as long as minutes had no traffic.
        """
        found = {f.name: LossFinding() for f in pipelines}
        spans = [(f, AuditSpan(f.name, _out_of(f.ingest), _out_of(f.transmit))) for f in pipelines]
        spans = [(f, s) for f, s in spans if s.source and s.target]
        if not spans:
            return found
        oldest = bucket_start(now - self._patience_s) - MINUTES_JUDGED * BUCKET_S
        looks: list[_Look] = []
        for (facts, span), seen in zip(spans, await self._audits.progress([s for _, s in spans], oldest), strict=True):
            if seen.minutes:
                looks.append(_Look(facts, span, self._closed(seen, now)))
            else:
                found[facts.name] = self._without_audits(facts, now, traffic_since.get(facts.name))
        while asked := [(look, *each) for look in looks for each in look.wanted()]:
            compared = await self._audits.compare([(look.span, minute) for look, minute, _ in asked])
            for (look, minute, where), one in zip(asked, compared, strict=True):
                look.judge(minute, where, one)
        return found | {k.facts.name: _finding(_scope(k.facts), k.last[::-1], k.facts.loss_max) for k in looks}

    @property
    def _patience_s(self) -> float:
        return self._rule.wait_s + self._rule.stuck_s

    def _closed(self, seen: AuditProgress, now: float) -> Iterator[tuple[int, Closing]]:
        for minute in reversed(seen.minutes):
            where = closing(minute, now, seen.watermark, self._rule)
            if where not in (Closing.OPEN, Closing.GONE):
                yield minute, where

    def _without_audits(self, facts: PipelineFacts, now: float, traffic_since: float | None) -> LossFinding:
        if traffic_since is None or now - traffic_since < self._patience_s + 2 * BUCKET_S:
            return LossFinding()
        missing = Reason("AuditsMissing", _scope(facts), "events flow, but no node has sent a loss audit")
        return LossFinding(VerdictState.UNKNOWN, (missing,))


def _out_of(stages: Sequence[str]) -> tuple[AuditPoint, ...]:
    return tuple(AuditPoint(s, "out") for s in stages)


def _scope(facts: PipelineFacts) -> str:
    return str(pipeline_scope(PipelineName(facts.name)))


def _finding(scope: str, last: list[tuple[int, LossJudgement]], bound: float) -> LossFinding:
    """Bad while one of the last three minutes with traffic is; UNKNOWN when the last one could not be compared."""
    if not last:
        return LossFinding()
    minute, newest = last[-1]
    runs = [j for _, j in last]
    losing = [(m, j) for m, j in last if j.alarm]
    if not losing and pages(runs):
        losing = last
    if losing:
        worst_minute, worst = max(losing, key=lambda item: item[1].ratio or 0.0)
        ratio = worst.ratio or 0.0
        numbers = Compared("loss_ratio", round(ratio, 6), "<=", bound)
        text = f"{ratio:.2%} of the events of minute {worst_minute} entered and did not leave"
        reason = Reason("Loss", scope, text, (numbers,))
        return LossFinding(VerdictState.UNHEALTHY, (reason,), ratio, ratio / bound if bound else 1.0)
    if newest.state is LossState.UNKNOWN:
        text = f"loss of minute {minute} is not known: {newest.code}"
        return LossFinding(VerdictState.UNKNOWN, (Reason(newest.code, scope, text),), newest.ratio)
    return LossFinding(VerdictState.HEALTHY, (), newest.ratio)
