"""How every workflow that changes the world is framed: admission, the work, the end; an undo when it fails.

`Admitted.run` begins the activity, runs the work, and ends it. A failure of the outside world or a cancel runs the undo
stack, shielded, before the activity ends; the result says which of the two it was.
"""

import asyncio
from collections.abc import Awaitable, Callable

from temporalio import workflow
from temporalio.exceptions import FailureError

from shared.contracts.admission import BeginInput, LeaseModel
from shared.contracts.base import ReasonModel
from shared.contracts.provisioning import OperationResult
from shared.domain.activity import ActivityKind, ActivityOutcome
from shared.temporal.errors import error_reasons, error_text, error_type
from workflows.board import Board, because
from workflows.lease import LeaseKeeper
from workflows.policies import LEASE_TTL_S
from workflows.undo import UNDOABLE, UndoStack, shielded

OUTCOMES = {
    "done": ActivityOutcome.DONE,
    "refused": ActivityOutcome.CANCELLED,
    "cancelled": ActivityOutcome.CANCELLED,
    "superseded": ActivityOutcome.SUPERSEDED,
}


def begin_input(  # noqa: PLR0913  the fields of BeginInput that workflows set
    kind: ActivityKind,
    scope: str,
    request_id: str,
    *,
    reason: str = "",
    quiets: tuple[str, ...] = (),
    override_reason: str = "",
    creates: bool = False,
    security: bool = False,
    takes_over: str = "",
    signal_age_s: float | None = None,
) -> BeginInput:
    """`Begin` of this workflow: held by its id, one request id per intention."""
    holder = workflow.info().workflow_id
    return BeginInput(
        kind=kind,
        scope=scope,
        ttl_s=LEASE_TTL_S,
        request_id=f"{holder}/{request_id}",
        holder=holder,
        reason=reason,
        quiets=quiets,
        override_reason=override_reason,
        creates=creates,
        security=security,
        takes_over=takes_over,
        signal_age_s=signal_age_s,
    )


class Admitted:
    """One admitted piece of work; `lease` is what its writes show, `undo` what is left to undo."""

    def __init__(self, request: BeginInput | None, board: Board, *, lease: LeaseModel | None = None) -> None:
        """`request` None: a parent workflow holds `lease` and keeps it alive."""
        self.board = board
        self.undo = UndoStack()
        self.keeper = LeaseKeeper(request, board) if request is not None else None
        self._lease = lease

    @property
    def lease(self) -> LeaseModel:
        """What to show with a write."""
        if self.keeper is not None:
            return self.keeper.lease
        if self._lease is None:
            msg = "an admitted piece of work needs a request or a lease"
            raise AssertionError(msg)
        return self._lease

    async def before_step(self) -> None:
        """Ask again before touching anything."""
        if self.keeper is not None:
            await self.keeper.before_step()

    async def run(
        self,
        work: Callable[[], Awaitable[OperationResult]],
        *,
        wait_s_max: float,
        give_up: Callable[[], bool] = lambda: False,
    ) -> OperationResult:
        """Begin, work, end. The result of a blocked begin is `refused` with every reason; `give_up` ends its waiting."""
        try:
            reasons = await self._begin(wait_s_max, give_up)
            if reasons:
                text = f"not admitted: {because(reasons)}"
                outcome = "superseded" if self.keeper and self.keeper.superseded else "refused"
                self.board.say("ended", text, reasons)
                return OperationResult.model_validate({"outcome": outcome, "text": text, "reasons": reasons})
            result = await work()
        except UNDOABLE as failure:
            result = await shielded(self._undone(failure))
        await shielded(self._end(result))
        return result

    async def _begin(self, wait_s_max: float, give_up: Callable[[], bool]) -> tuple[ReasonModel, ...]:
        return await self.keeper.begin(wait_s_max=wait_s_max, give_up=give_up) if self.keeper is not None else ()

    async def _undone(self, failure: BaseException) -> OperationResult:
        self.board.say("undoing", f"after: {text_of(failure)}", error_reasons(failure))
        left = await self.undo.run()
        return failed(failure, left)

    async def _end(self, result: OperationResult) -> None:
        self.board.say("ended", result.text or result.outcome, result.reasons)
        if self.keeper is None:
            return
        try:
            await self.keeper.end(OUTCOMES.get(result.outcome, ActivityOutcome.FAILED), result.text)
        except FailureError as e:
            workflow.logger.error("the end was not recorded; the lease ends by itself: %s", error_text(e))


def text_of(failure: BaseException) -> str:
    """For people."""
    if isinstance(failure, asyncio.CancelledError):
        return "cancelled"
    return error_text(failure) or type(failure).__name__


def failed(failure: BaseException, left: list[str]) -> OperationResult:
    """The result of work that was undone; `left` is what could not be."""
    cancelled = isinstance(failure, asyncio.CancelledError)
    what = "; could not be undone: " + "; ".join(left) if left else ""
    return OperationResult(
        outcome="cancelled" if cancelled and not left else "failed",
        text=f"{text_of(failure)}{what}",
        reasons=error_reasons(failure),
        details={} if cancelled else {"code": error_type(failure)},
    )
