"""Operations: a workflow that was asked for, recorded before it is started, so that none is lost between two stores.

What intent needs (an applied plan) stays queued until Temporal takes it; what a person asked for now (a deployment) is
refused when Temporal does not answer, because a surprise later is worse than an error now.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from services.admin_api.domain.ports import Unit, WorkflowState
from services.admin_api.domain.records import Operation, OperationState
from services.admin_api.operations.context import Context
from services.admin_api.operations.progress_lines import progress_lines
from services.admin_api.operations.views import OperationView, ProgressLine
from shared.contracts.provisioning import OperationResult
from shared.domain.errors import AlreadyExists, HeadraceError, NotFound, Unavailable

WATCHED_MAX = 200
ENDED_BY = {
    "failed": "failed",
    "cancelled": "cancelled",
    "terminated": "failed",
    "timed_out": "failed",
    "continued": "superseded",
}


class LongWork:
    """Starts, follows and shows operations."""

    def __init__(self, context: Context) -> None:
        """Over the ports of `context`."""
        self._context = context

    async def record(self, unit: Unit, operation: Operation) -> None:
        """Keep it, queued, in the transaction of what it belongs to."""
        await unit.operations.add(operation)
        await self._tell(unit, operation)

    async def start(self, operation: Operation, *, again: bool, queue: bool) -> Operation:
        """Hand it to Temporal. With `queue` it waits for Temporal; without, Unavailable ends it.

        AlreadyExists, with `again`, when another run of that id goes on; the caller says what then.
        """
        try:
            run_id = await self._context.workflows.start(
                operation.workflow_type, operation.workflow_id, operation.input, again=again
            )
        except AlreadyExists:
            if not again:  # started before, by a process that could not record it
                return await self._save(replace(operation, state=OperationState.RUNNING))
            raise
        except Unavailable as e:
            if queue:
                return operation
            await self._ended(operation, "failed", str(e))
            raise
        return await self._save(replace(operation, state=OperationState.RUNNING, run_id=run_id))

    async def refuse(self, operation: Operation, text: str) -> None:
        """It was recorded, and is not to be."""
        await self._ended(operation, "refused", text)

    async def follow_newer(self, operation: Operation) -> Operation:
        """Hand it to the run that is there: it runs next, or in place of one that still waits."""
        await self._context.workflows.tell(operation.workflow_id, "newer", dict(operation.input or {}))
        return await self._save(replace(operation, state=OperationState.RUNNING, text="follows the one that runs"))

    async def get(self, operation_id: str) -> Operation:
        """One operation, brought up to date where Temporal answers."""
        async with self._context.store.unit() as unit:
            operation = await unit.operations.get(operation_id)
        if operation is None:
            raise NotFound(f"operation {operation_id!r} does not exist", remedy="`headrace get operations` lists them")
        try:
            return await self._refreshed(operation)
        except HeadraceError:  # Temporal is away: what is recorded is shown
            return operation

    async def newest(self, limit: int) -> list[Operation]:
        """Newest first, as recorded."""
        async with self._context.store.unit() as unit:
            return await unit.operations.newest(self._context.workspace, limit)

    async def view(self, operation: Operation) -> OperationView:
        """With its progress, where somebody answers."""
        lines: Sequence[ProgressLine] = ()
        if operation.state is OperationState.RUNNING:
            try:
                lines = await progress_lines(
                    self._context.workflows, operation.workflow_id, operation.run_id, operation.subject
                )
            except HeadraceError:
                lines = ()
        return _view(operation, lines)

    async def tick(self) -> None:
        """Start what is queued, record what has ended."""
        async with self._context.store.unit() as unit:
            open_ones = await unit.operations.unended(WATCHED_MAX)
        for operation in open_ones:
            if operation.state is OperationState.QUEUED:
                await self.start(operation, again=False, queue=True)
            else:
                await self._refreshed(operation)

    async def _refreshed(self, operation: Operation) -> Operation:
        if operation.state is not OperationState.RUNNING:
            return operation
        state = await self._context.workflows.state(operation.workflow_id, operation.run_id)
        if state is None:
            return await self._ended(operation, "failed", "its workflow does not exist any more")
        if not operation.run_id:  # it was handed to another's run, or started by a process that died
            if state.request_id not in {"", operation.id}:
                if state.status == "running":
                    return operation
                return await self._ended(operation, "superseded", "a newer request took its place")
            operation = replace(operation, run_id=state.run_id)
        if state.status == "running":
            return operation
        return await self._closed(operation, state)

    async def _closed(self, operation: Operation, state: WorkflowState) -> Operation:
        if state.status == "completed":
            try:
                result = OperationResult.model_validate(state.result or {})
            except ValidationError:
                return await self._ended(operation, "done", "ended without a word")
            return await self._ended(operation, result.outcome, result.text, result.model_dump(mode="json"))
        text = state.failure or f"its workflow was {state.status.replace('_', ' ')}"
        if state.status == "continued":
            text = "a newer request followed it; `headrace get deployments` shows how far this one came"
        return await self._ended(operation, ENDED_BY.get(state.status, "failed"), text)

    async def _ended(
        self, operation: Operation, outcome: str, text: str, result: Mapping[str, Any] | None = None
    ) -> Operation:
        now = self._context.clock.now()
        return await self._save(
            replace(operation, state=OperationState.ENDED, outcome=outcome, text=text, result=result, ended_at=now)
        )

    async def _save(self, operation: Operation) -> Operation:
        async with self._context.store.unit() as unit:
            await unit.operations.update(operation)
            await self._tell(unit, operation)
        self._context.changed()
        return operation

    async def _tell(self, unit: Unit, operation: Operation) -> None:
        body = _view(operation, ()).model_dump(mode="json", exclude_defaults=True)
        await unit.events.append(self._context.clock.now(), operation.workspace, "operation", operation.id, 0, body)


def _view(operation: Operation, lines: Sequence[ProgressLine]) -> OperationView:
    result = OperationResult.model_validate(operation.result) if operation.result else None
    return OperationView(
        id=operation.id,
        workspace=operation.workspace,
        kind=operation.kind,
        subject=operation.subject,
        state=operation.state.value,
        outcome=operation.outcome,
        text=operation.text or ("waits for Temporal" if operation.state is OperationState.QUEUED else ""),
        reasons=result.reasons if result else (),
        details=result.details if result else {},
        progress=tuple(lines),
        requested_by=operation.requested_by,
        created_at=operation.created_at.timestamp(),
        ended_at=operation.ended_at.timestamp() if operation.ended_at else None,
        workflow_id=operation.workflow_id,
        run_id=operation.run_id,
    )
