"""No write without a lease that is good, and none with a token that was superseded.

AWS and Pulumi check no token, so we do, before every act: the scope fits, the lease has time left (asking the
Observer when the copy in our input has run out, because its holder renews it elsewhere), and no higher token was
seen. A long act is asked about once more right before it begins, because a recovery or a process that stood still may
lie between, and is watched from then on: when the Observer says stop, it is cancelled, and ends politely.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import structlog

from services.provisioner.domain.ports import Leases
from services.provisioner.domain.stores import Fences
from shared.contracts.admission import LeaseModel
from shared.domain.clock import Clock
from shared.domain.errors import StaleLease, Unavailable

WRITE_S_MAX = 3.0  # the longest that a short write takes after it was let through
SKEW_S_MAX = 1.0
WATCH_S = 5.0
LOG = structlog.get_logger()
Result = TypeVar("Result")


class LeaseGuard:
    """Checks and watches leases."""

    def __init__(self, fences: Fences, leases: Leases | None, clock: Clock) -> None:
        """Without `leases` (no Observer configured) the deadline in the input is the last word."""
        self._fences = fences
        self._leases = leases
        self._clock = clock

    async def admit(self, lease: LeaseModel, scope: str) -> None:
        """StaleLease unless this lease may write to `scope` now."""
        if lease.scope != scope:
            raise StaleLease(
                f"activity {lease.activity_id}: its lease is for {lease.scope}, not for {scope}",
                remedy=f"begin an activity on {scope}",
            )
        remaining = lease.deadline_s - self._clock.now().timestamp()
        if remaining <= WRITE_S_MAX + SKEW_S_MAX:
            if self._leases is not None:
                remaining = await self._leases.renew(lease.activity_id, lease.token)
            if remaining <= 0:
                raise StaleLease(
                    f"activity {lease.activity_id}: its lease on {scope} lapsed {-remaining:.1f} s ago",
                    remedy="begin again",
                )
        await self._fences.check(scope, lease.token)

    async def watched(self, lease: LeaseModel, work: Coroutine[Any, Any, Result]) -> Result:
        """Do the work while the lease lives; cancel it, or never begin it, and raise StaleLease when the Observer says stop."""
        try:
            await self._renew(lease)
        except BaseException:
            work.close()
            raise
        task = asyncio.ensure_future(work)
        try:
            while not task.done():
                ticking = asyncio.ensure_future(self._clock.sleep(WATCH_S))
                await asyncio.wait({task, ticking}, return_when=asyncio.FIRST_COMPLETED)
                ticking.cancel()
                if not task.done():
                    await self._renew(lease)
            return await task
        except BaseException:
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            raise

    async def _renew(self, lease: LeaseModel) -> None:
        if self._leases is None:
            return
        try:
            await self._leases.renew(lease.activity_id, lease.token)
        except Unavailable as e:
            # Nobody else can be admitted while the Observer is away, so what runs may finish.
            LOG.warning("lease not renewed", activity=lease.activity_id, error=str(e))
