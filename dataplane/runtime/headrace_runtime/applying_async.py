"""Applies a coroutine function: the events of a call side by side, all ended by the call's deadline.

What is not done by then is cancelled and fails recoverably: it waited for somebody else, who may answer next time.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from headrace_runtime.applying import Bound, Result, decode_all, filled, result_of, results_of
from headrace_runtime.declaring import Function
from headrace_runtime.failures import Failure, failure_of

LATE = Failure(True, "Timeout", "it did not end in time")
CANCEL_S_MAX = 0.1  # what ignores being cancelled for longer is left behind; the server ends the process if it blocks


async def apply_async(bound: Bound, events: Sequence[bytes], ends_at: float) -> list[Result]:
    """Results in order, by the monotonic time `ends_at`."""
    places, decoded, results = decode_all(bound, events)
    act = _batch if bound.function.batch else _side_by_side
    return filled(results, places, await act(bound.function, decoded, ends_at) if decoded else [])


async def _side_by_side(function: Function, events: list[Any], ends_at: float) -> list[Result]:
    free = asyncio.Semaphore(function.concurrency)

    async def one(event: Any) -> Result:
        async with free:
            try:
                return result_of(await function.call(event))
            except (Exception, SystemExit) as e:
                return failure_of(e)

    return await _by(ends_at, [asyncio.ensure_future(one(event)) for event in events])


async def _batch(function: Function, events: list[Any], ends_at: float) -> list[Result]:
    async def all_of_them() -> list[Result]:
        try:
            return results_of(function, await function.call(list(events)), len(events))
        except (Exception, SystemExit) as e:
            return [failure_of(e)] * len(events)

    task = asyncio.ensure_future(all_of_them())
    (found,) = await _by(ends_at, [task])
    return found if isinstance(found, list) else [LATE] * len(events)


async def _by(ends_at: float, tasks: list["asyncio.Future[Any]"]) -> list[Any]:
    _, late = await asyncio.wait(tasks, timeout=max(0.0, ends_at - time.monotonic()))
    for task in late:
        task.cancel()
    if late:
        await asyncio.wait(late, timeout=CANCEL_S_MAX)
    return [LATE if task in late else task.result() for task in tasks]
