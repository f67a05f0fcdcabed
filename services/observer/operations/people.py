"""What a person asks for by hand: a freeze, or a quiet window; both have an end."""

from collections.abc import Sequence

from services.observer.domain.activities import Activity, Request
from services.observer.domain.admission import Blocked, Granted, Yielding
from services.observer.domain.ports import Ledger
from services.observer.domain.quieting import (
    BUDGET_WINDOW_S,
    WINDOW_S_MAX,
    QuietWindow,
    budget_left,
    checked_window,
)
from services.observer.operations.admit import Admission
from shared.domain.activity import ActivityKind
from shared.domain.clock import Ids
from shared.domain.errors import InvalidInput, Refused
from shared.domain.names import ActivityId, RequestId
from shared.domain.scope import Scope

FREEZE_S_MAX = 30 * 86_400.0


class ByHand:
    """Freezes and quiet windows of people."""

    def __init__(self, admission: Admission, ledger: Ledger, ids: Ids) -> None:
        """Freezes go through admission like everything else."""
        self._admission, self._ledger, self._ids = admission, ledger, ids

    async def freeze(self, scope: Scope, seconds: float, holder: str, reason: str, request: RequestId) -> ActivityId:
        """Freeze a scope for a while; the same request gets the same freeze."""
        if not 0 < seconds <= FREEZE_S_MAX:
            raise InvalidInput(
                f"seconds: {seconds:g} is not above 0 and at most {FREEZE_S_MAX:.0f}",
                field="seconds",
                remedy="freeze again when it ends",
            )
        answer = await self._admission.begin(
            Request(request, ActivityKind.FREEZE, scope, holder, seconds, reason=reason)
        )
        match answer:
            case Blocked() | Yielding():
                raise Refused(f"freeze of {scope}: not now", reasons=answer.reasons, retry_after_s=answer.retry_after_s)
            case Granted():
                raise AssertionError(answer)  # only a dry run answers so
            case _:
                return answer.activity.id

    async def lift(self, scope: Scope, holder: str) -> Sequence[Activity]:
        """Lift the freezes of a scope."""
        return await self._admission.lift_freeze(scope, holder)

    async def quiet(  # noqa: PLR0913  a window has this many parts
        self, scope: Scope, classes: Sequence[str], seconds: float, holder: str, reason: str, request: RequestId
    ) -> str:
        """Open a quiet window; the same request gets the same window."""
        async with self._ledger.admission(scope) as tx:
            before = await tx.window_of_request(request)
            if before:
                return before.id
            checked_window(scope, classes, tx.now, tx.now + seconds if seconds > 0 else None, WINDOW_S_MAX)
            budget_left(await tx.quiet_seconds(scope, tx.now - BUDGET_WINDOW_S))
            window = QuietWindow(
                id=self._ids.new("quiet"),
                scope=scope,
                classes=frozenset(classes),
                starts_at=tx.now,
                ends_at=tx.now + seconds,
                holder=holder,
                reason=reason,
            )
            await tx.open_window(window, request)
            return window.id
