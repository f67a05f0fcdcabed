"""An event loop in which time is a number: nothing waits, the next timer is now. No order is drawn: callbacks run as they came."""

import asyncio
import heapq
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, TypeVar

Result = TypeVar("Result")


class VirtualLoop(asyncio.BaseEventLoop):
    """For a world without processes and networks; the simulator's own loop has those."""

    _ready: Any
    _scheduled: list[Any]
    _stopping: bool

    def __init__(self) -> None:
        super().__init__()
        self._now, self._timers = 0.0, 0

    def time(self) -> float:
        return self._now

    def call_at(  # type: ignore[override]  # the real one types its arguments one by one
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        self._timers += 1
        heapq.heappush(self._scheduled, (when, self._timers, timer))
        return timer

    def _run_once(self) -> None:
        if not self._ready:
            while self._scheduled[0][2]._cancelled:
                heapq.heappop(self._scheduled)
            self._now = max(self._now, self._scheduled[0][0])
        while self._scheduled and self._scheduled[0][0] <= self._now:
            self._ready.append(heapq.heappop(self._scheduled)[2])
        while self._ready and not self._stopping:
            handle = self._ready.popleft()
            if not handle._cancelled:
                handle._run()

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Dropped when its time comes."""

    def _write_to_self(self) -> None:
        """Nobody waits to be woken."""

    def _process_events(self, event_list: Any) -> None:
        """There are no files."""


def in_virtual_time(work: Coroutine[Any, Any, Result]) -> Result:
    """Run it on a loop of its own."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(work)
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.call_soon(loop.stop)
        loop.run_forever()
        loop._scheduled.clear()
        loop.close()
