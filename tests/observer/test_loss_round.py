"""Loss rounds: what is compared, and what late data heals."""

from collections.abc import Sequence

from services.observer.adapters.audit_stores import MemoryAudits
from services.observer.domain.audits import AuditComparison, AuditPoint, AuditReport, AuditSpan
from services.observer.domain.evidence import PipelineFacts
from services.observer.domain.loss import BUCKET_S, CloseRule
from services.observer.operations.loss_round import LossRound
from shared.domain.health import VerdictState
from tests.sim.world.audits import sketch

FACTS = PipelineFacts("p", 1, {"first": "a", "second": "b"}, ingest=("first",), transmit=("second",))
RULE = CloseRule(wait_s=120.0, stuck_s=300.0)


class Counted(MemoryAudits):
    """Knows which minutes were compared."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []

    async def compare(self, asked: Sequence[tuple[AuditSpan, int]]) -> Sequence[AuditComparison]:
        self.asked.extend(minute for _, minute in asked)
        return await super().compare(asked)

    async def report(self, stage: str, minute: int, ids: int) -> None:
        """One node's; the more ids, the later."""
        at = AuditPoint(stage, "out")
        name = f"{stage}-{minute}-{ids}"
        await self.add([AuditReport(name, f"i-{stage}", "p", at, minute, sketch(ids), ids, minute + 61.0)])


async def test_only_the_last_three_minutes_with_traffic_are_compared_and_late_data_heals_them() -> None:
    audits, minutes = Counted(), [n * BUCKET_S for n in range(1, 9)]
    for minute in minutes:
        for stage in ("first", "second"):
            await audits.report(stage, minute, 200)
    await audits.report("first", minutes[-1] + BUCKET_S, 0)  # a minute without traffic does not count
    await audits.report("second", minutes[-1] + BUCKET_S, 0)
    now = minutes[-1] + 2 * BUCKET_S + RULE.wait_s
    rounds = LossRound(audits, RULE)
    assert (await rounds.find([FACTS], now, {"p": 0.0}))["p"].state is VerdictState.HEALTHY
    assert audits.asked == [minutes[-1] + BUCKET_S, *minutes[:-4:-1]]
    await audits.report("first", minutes[-3], 400)
    assert (await rounds.find([FACTS], now, {"p": 0.0}))["p"].state is VerdictState.UNHEALTHY
    await audits.report("second", minutes[-3], 400)
    assert (await rounds.find([FACTS], now, {"p": 0.0}))["p"].state is VerdictState.HEALTHY
