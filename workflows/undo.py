"""Undo: pushed before the step it undoes, run newest first, and never cut short by a second cancel.

An undo runs for cancellations and failures of the outside world (`UNDOABLE`); any other exception is a bug of a
workflow task, which Temporal retries, and undoing there would be wrong. Each undo bears that its step never happened.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import FailureError

from shared.temporal.errors import error_text

T = TypeVar("T")
UNDOABLE = (asyncio.CancelledError, FailureError)


async def shielded(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end whatever cancels come; the caller asks `cancel_is_pending` afterwards."""
    task = asyncio.ensure_future(work)
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise
    return task.result()


class UndoStack:
    """What is left to undo, newest last."""

    def __init__(self) -> None:
        self._steps: list[tuple[str, Callable[[], Awaitable[object]]]] = []

    def push(self, name: str, step: Callable[[], Awaitable[object]]) -> None:
        """Before the step that it undoes."""
        self._steps.append((name, step))

    async def run(self) -> list[str]:
        """Undo everything; one that fails is noted and the rest goes on. Returns what could not be undone."""
        left: list[str] = []
        while self._steps:
            name, step = self._steps.pop()
            try:
                await step()
            except FailureError as e:
                workflow.logger.error("undo failed: %s: %s", name, error_text(e))
                left.append(f"{name}: {error_text(e)}")
        return left
