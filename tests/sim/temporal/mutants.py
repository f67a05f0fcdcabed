"""Planted bugs of workflows: each is a switch of shipped code, put on for some trials; a trial must turn red for each.

`PLANTS` gives for each name who puts it on. They patch names in the workflows' modules, so each says what it replaces.
"""

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from workflows import admitted, deploy_group, lease, roll_back, scale_group, stubs
from workflows.lease import LeaseKeeper
from workflows.undo import UndoStack

Plant = Callable[[], AbstractContextManager[None]]


@contextmanager
def planted(owner: Any, name: str, bug: Any) -> Iterator[None]:
    """`bug` in the place of the attribute, which comes back in the end."""
    shipped = getattr(owner, name)
    setattr(owner, name, bug)
    try:
        yield
    finally:
        setattr(owner, name, shipped)


@contextmanager
def undo_after() -> Iterator[None]:
    """What undoes a step is pushed once the next one begins: the last step is never undone."""

    class Late(UndoStack):
        def push(self, name: str, step: Any) -> None:
            late, self._late = getattr(self, "_late", None), (name, step)
            if late is not None:
                super().push(*late)

    with planted(admitted, "UndoStack", Late):
        yield


@contextmanager
def cancel_missed() -> Iterator[None]:
    """A cancelled activity raises ActivityError, which the clause does not name."""
    missed = (asyncio.CancelledError, ApplicationError)
    with planted(admitted, "UNDOABLE", missed), planted(deploy_group, "UNDOABLE", missed):
        yield


@contextmanager
def cancel_in_undo() -> Iterator[None]:
    """A cancel cuts short what must run to its end."""

    async def exposed(work: Coroutine[Any, Any, Any]) -> Any:
        return await work

    with (
        planted(admitted, "shielded", exposed),
        planted(lease, "shielded", exposed),
        planted(deploy_group, "shielded", exposed),
        planted(roll_back, "shielded", exposed),
        planted(scale_group, "shielded", exposed),
    ):
        yield


@contextmanager
def state_outside_history() -> Iterator[None]:
    """Sometimes a timer more: what a module remembers is not in the history."""
    calls, ask = itertools.count(1), stubs.Stub.__call__

    async def forgetful(self: Any, given: Any, *, wait_s: float = 0.0) -> Any:
        if next(calls) % 13 == 0:
            await workflow.sleep(0.01)
        return await ask(self, given, wait_s=wait_s)

    with planted(stubs.Stub, "__call__", forgetful):
        yield


@contextmanager
def never_ends() -> Iterator[None]:
    """The lease is given back to nobody."""

    async def silent(self: LeaseKeeper, *_: Any, **__: Any) -> None:
        self._let_go()

    with planted(LeaseKeeper, "end", silent):
        yield


@contextmanager
def dropped_undo() -> Iterator[None]:
    """Nothing is ever pushed."""
    with planted(UndoStack, "push", lambda *_: None):
        yield


@contextmanager
def plain_exception() -> Iterator[None]:
    """A failure of the world becomes a bug of the workflow task: it is retried for ever."""

    async def raising(self: Any, failure: BaseException) -> Any:
        raise ValueError(str(failure))

    with planted(admitted.Admitted, "_undone", raising):
        yield


@contextmanager
def rollback_forgets_lease() -> Iterator[None]:
    """A rollback that takes nothing over ends nothing of the deployment's."""
    with planted(LeaseKeeper, "hand_over", lambda _: None):
        yield


PLANTS: dict[str, Plant] = {
    "undo_after": undo_after,
    "cancel_missed": cancel_missed,
    "cancel_in_undo": cancel_in_undo,
    "state_outside_history": state_outside_history,
    "never_ends": never_ends,
    "dropped_undo": dropped_undo,
    "plain_exception": plain_exception,
    "rollback_forgets_lease": rollback_forgets_lease,
}
