"""An event loop in which time is a number and order is a seed: nothing in it waits, and nothing is left to chance.

A callback runs in the context of one incarnation of one process (`PROCESS`). A killed incarnation never runs again, not
even its `finally`: that is what `kill -9` does. A paused one keeps its callbacks until it goes on, and does not know.
"""

import asyncio
import heapq
import random
from asyncio import events
from collections.abc import Callable, Iterable
from contextvars import Context, ContextVar
from typing import Any

WIND_UP_ROUNDS_MAX = 50


class Incarnation:
    """One life of a process, from its start to its crash."""

    def __init__(self, name: str, number: int) -> None:
        self.name, self.number = name, number
        self.dead = False
        self.paused = False
        self.held: list[asyncio.Handle] = []

    def __str__(self) -> str:
        return f"{self.name}.{self.number}"


PROCESS: ContextVar[Incarnation | None] = ContextVar("process", default=None)


class Stuck(AssertionError):
    """The run cannot go on: nothing is due, or nothing ends."""


class SimLoop(asyncio.BaseEventLoop):
    """`shuffle` is how often a random ready callback goes first instead of the oldest."""

    _ready: Any
    _scheduled: list[Any]
    _stopping: bool

    def __init__(self, order: random.Random, shuffle: float, steps_max: int = 3_000_000) -> None:
        super().__init__()
        self._now = 0.0
        self._chance, self._shuffle = order.random, shuffle
        self.steps, self._steps_max, self._timers = 0, steps_max, 0
        self.failure: BaseException | None = None
        self._left_behind: list[asyncio.Task[Any]] = []
        self.set_exception_handler(self._failed)

    def time(self) -> float:
        """Simulated seconds since the start."""
        return self._now

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """As every loop's; of two timers of one instant the older goes first."""
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        self._timers += 1
        heapq.heappush(self._scheduled, (when, self._timers, timer))
        return timer

    def fail(self, failure: BaseException) -> None:
        """End the run; the first failure is the one that counts."""
        self.failure = self.failure or failure
        self.stop()

    def _failed(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.fail(context.get("exception") or Stuck(context["message"]))

    def _run_once(self) -> None:
        ready, timers = self._ready, self._scheduled
        if not ready:
            while timers and timers[0][2]._cancelled:
                heapq.heappop(timers)
            if not timers:
                self.fail(Stuck("nothing is ready and no timer is set"))
                return
            self._now = max(self._now, timers[0][0])
        while timers and timers[0][0] <= self._now:
            ready.append(heapq.heappop(timers)[2])
        while ready and not self._stopping:
            pick = 0
            if self._shuffle and len(ready) > 1 and self._chance() < self._shuffle:
                pick = int(self._chance() * len(ready))
            handle = ready[pick]
            del ready[pick]
            self._step(handle)
        if self.steps > self._steps_max:
            self.fail(Stuck(f"more than {self._steps_max} callbacks: something does not end"))

    def _step(self, handle: Any) -> None:
        if handle._cancelled:
            return
        life: Incarnation | None = handle._context.get(PROCESS)
        if life is not None and (life.dead or life.paused):
            life.held.append(handle)
            return
        self.steps += 1
        handle._run()

    def within(self, act: Callable[[], None]) -> None:
        """Something that needs a running loop, while nothing else runs."""
        events._set_running_loop(self)
        try:
            act()
        finally:
            events._set_running_loop(None)

    def kill(self, life: Incarnation) -> None:
        """Nothing of it runs any more. Its tasks are kept, so that no garbage collector unwinds them in mid-run."""
        life.dead = True
        self._left_behind.extend(asyncio.all_tasks(self))

    def resume(self, life: Incarnation) -> None:
        """A paused process goes on with everything that came due meanwhile, in that order."""
        life.paused = False
        self._ready.extend(life.held)
        life.held = []

    def wind_up(self, lives: Iterable[Incarnation]) -> None:
        """Cancel whatever is left and let it unwind, so that nothing is left for the garbage collector to say."""
        self.set_exception_handler(lambda *_: None)
        self._stopping = False
        self._scheduled.clear()
        for life in lives:
            life.dead = False
            self.resume(life)
        events._set_running_loop(self)
        try:
            for _ in range(WIND_UP_ROUNDS_MAX):
                left = [t for t in asyncio.all_tasks(self) if not t.done()]
                if not left:
                    break
                for task in left:
                    task.cancel()
                while self._ready:
                    handle = self._ready.popleft()
                    if not handle._cancelled:
                        handle._run()
        finally:
            events._set_running_loop(None)
        self._scheduled.clear()
        self._ready.clear()
        self._left_behind.clear()
        self.close()

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """A cancelled timer is dropped when its time comes."""

    def _write_to_self(self) -> None:
        """Nobody else is there to be woken."""

    def _process_events(self, event_list: Any) -> None:
        """There are no files to be ready."""


def refuse_real_io(escaped: Callable[[str], BaseException]) -> None:
    """Every method of a loop that would reach outside raises."""

    def refusing(name: str) -> Callable[..., None]:
        def refuse(*_: Any, **__: Any) -> None:
            raise escaped(f"loop.{name}")

        return refuse

    outside = (
        "sock_", "create_conn", "create_server", "create_datagram", "create_unix", "subprocess_", "connect_",
        "start_tls", "add_", "remove_", "getaddrinfo", "getnameinfo", "sendfile", "run_in_executor",
        "call_soon_threadsafe",
    )  # fmt: skip
    for name in dir(asyncio.AbstractEventLoop):
        if name.startswith(outside):
            setattr(SimLoop, name, refusing(name))
