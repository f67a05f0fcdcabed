"""The loss dimension of each pipeline: closed event-time minutes compared, between entering and leaving."""

from services.observer.domain.audits import AuditPoint
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


class LossRound:
    """One evaluation a tick; the last closed minutes are compared again, so that late data heals what it heals."""

    def __init__(self, audits: AuditStore, rule: CloseRule) -> None:
        """`rule` says when a minute is final."""
        self._audits, self._rule = audits, rule

    async def find(self, facts: PipelineFacts, now: float, traffic_since: float | None) -> LossFinding:
        """What the last closed minutes say; `traffic_since`: since when events have flowed without a break."""
        if not facts.ingest or not facts.transmit:
            return LossFinding()
        source = [AuditPoint(s, "out") for s in facts.ingest]
        target = [AuditPoint(s, "out") for s in facts.transmit]
        patience_s = self._rule.wait_s + self._rule.stuck_s
        oldest = bucket_start(now - patience_s) - MINUTES_JUDGED * BUCKET_S
        minutes = sorted(await self._audits.minutes(facts.name, oldest))
        scope = str(pipeline_scope(PipelineName(facts.name)))
        if not minutes:
            if traffic_since is None or now - traffic_since < patience_s + 2 * BUCKET_S:
                return LossFinding()
            missing = Reason("AuditsMissing", scope, "events flow, but no node has sent a loss audit")
            return LossFinding(VerdictState.UNKNOWN, (missing,))
        watermark = await self._audits.watermark(facts.name, target, oldest)
        last: list[tuple[int, LossJudgement]] = []  # newest first
        for minute in reversed(minutes):
            where = closing(minute, now, watermark, self._rule)
            if where in (Closing.OPEN, Closing.GONE):
                continue
            seen = await self._audits.compare(facts.name, minute, source, target)
            one = judge_bucket(seen.source, seen.compared, closed=True, bound=facts.loss_max)
            if where is Closing.STUCK and one.state is LossState.LOSING:
                one = LossJudgement(LossState.UNKNOWN, one.ratio, alarm=False, code="WatermarkStuck")
            if one.state is not LossState.NO_TRAFFIC:
                last.append((minute, one))
            if len(last) == CLEAN_NEEDED:
                break
        return _finding(scope, last[::-1], facts.loss_max)


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
