"""The sweep: lapsed leases end, old audits go. It takes no input and may run twice."""

import structlog

from services.observer.domain.loss import CloseRule, bucket_start
from services.observer.domain.ports import AuditStore
from services.observer.operations.admit import Admission
from shared.domain.clock import Clock

LOG = structlog.get_logger()


class Sweeping:
    """`tick` is what the loop calls; the `observer.sweep` activity does the same for leases."""

    def __init__(self, admission: Admission, audits: AuditStore, rule: CloseRule, clock: Clock) -> None:
        """Audits are kept as long as the rule says."""
        self._admission, self._audits, self._rule, self._clock = admission, audits, rule, clock
        self._forgotten = 0  # the minute before which nothing is kept

    async def tick(self) -> None:
        """Once."""
        for a in await self._admission.sweep():
            LOG.warning("lease lapsed", activity=a.id, kind=a.kind.value, scope=str(a.scope), holder=a.holder)
        oldest = bucket_start(self._clock.now().timestamp() - self._rule.retention_s)
        if oldest != self._forgotten:
            await self._audits.forget(oldest)
            self._forgotten = oldest
