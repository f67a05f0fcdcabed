"""An event loop in which time is a number and order is a seed: nothing in it waits, and nothing is left to chance.

A callback runs in the context of one incarnation of one process (`PROCESS`). A killed incarnation never runs again, not
even its `finally`: that is what `kill -9` does. A paused one keeps its callbacks until it goes on, and does not know.
"""

import asyncio
import contextlib
import random
import weakref
from asyncio import events
from collections.abc import Callable, Generator, Iterable
from contextvars import Context, ContextVar, copy_context
from heapq import heappop, heappush
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


class Due(asyncio.TimerHandle):
    """A callback that is ready or will be; made 30,000 times a run, so it does nothing more than that."""

    __slots__ = ()
    _cancelled: bool
    _callback: Any
    _args: Any

    def __init__(
        self, when: float, callback: Callable[..., object], args: tuple[Any, ...], loop: "SimLoop", context: Context
    ) -> None:
        self._when, self._callback, self._args, self._loop, self._context = when, callback, args, loop, context
        self._cancelled = self._scheduled = False
        self._source_traceback = self._repr = None

    def cancel(self) -> None:
        """It is dropped when its time comes."""
        self._cancelled = True
        self._callback = self._args = None


class Sleep:
    """`await Sleep(loop, seconds)`: as much of a future as a task needs, and its own timer; one callback and no more.

    `result` and `get_loop`, which a task asks for each time, are callables that cost nothing.
    """

    __slots__ = (
        "_args", "_asyncio_future_blocking", "_callback", "_cancelled", "_context", "_loop", "_when", "get_loop", "result"
    )  # fmt: skip

    def __init__(self, loop: "SimLoop", seconds: float) -> None:
        self._loop, self._when, self._cancelled = loop, loop.now_s + seconds, False
        self._asyncio_future_blocking, self.get_loop, self.result = True, loop.itself, Nothing

    def __await__(self) -> "Generator[Sleep, None, None]":
        yield self

    def add_done_callback(self, wake: Callable[["Sleep"], None], *, context: Context) -> None:
        """The task waits."""
        self._callback, self._args, self._context = wake, (self,), context
        loop = self._loop
        loop._timers += 1
        heappush(loop._scheduled, (self._when, loop._timers, self))

    def cancel(self, msg: object = None) -> bool:
        """The task was cancelled: it hears of it at once."""
        if self._cancelled:
            return False
        self._cancelled = True
        self.result = _cancelled
        self._loop.call_soon(self._callback, self, context=self._context)
        return True


Nothing: Callable[[], None] = type(None)


def _cancelled() -> None:
    raise asyncio.CancelledError


class Slept:
    """A sleep that is over already."""

    __slots__ = ()

    def __await__(self) -> Any:
        return iter(())


_SLEPT = Slept()


def sleep(seconds: float) -> Sleep | Slept:
    """Let simulated time pass; less than nothing is nothing. To be awaited at once, by a task: time may have passed already."""
    loop: Any = _running_loop()  # ours
    return _SLEPT if loop.passes(seconds) else Sleep(loop, seconds)


_running_loop = asyncio.get_running_loop


class SimLoop(asyncio.BaseEventLoop):
    """`shuffle` is how often a random ready callback goes first instead of the oldest."""

    _ready: Any
    _scheduled: list[Any]
    _stopping: bool

    def __init__(self, order: random.Random, shuffle: float, steps_max: int = 3_000_000) -> None:
        super().__init__()
        self.now_s, self.itself = 0.0, weakref.ref(self)
        self._chance, self._shuffle = order.random, shuffle
        self.steps, self._steps_max, self._timers = 0, steps_max, 0
        self.failure: BaseException | None = None
        self._left_behind: list[asyncio.Task[Any]] = []
        self.set_exception_handler(self._failed)

    def time(self) -> float:
        """Simulated seconds since the start."""
        return self.now_s

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Due:
        """As every loop's."""
        due = Due(0.0, callback, args, self, copy_context() if context is None else context)
        self._ready.append(due)
        return due

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Due:
        """As every loop's; of two timers of one instant the older goes first."""
        timer = Due(when, callback, args, self, copy_context() if context is None else context)
        self.due_at(when, timer)
        return timer

    def due_at(self, when: float, timer: Due | Sleep) -> None:
        """It becomes ready at that time."""
        self._timers += 1
        heappush(self._scheduled, (when, self._timers, timer))

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Due:
        """As every loop's."""
        return self.call_at(self.now_s + delay, callback, *args, context=context)

    def passes(self, seconds: float) -> bool:
        """Let time go on within the callback that runs, where what follows it would be the next to run anyway.

        That is so for most waits of a world that is mostly waiting.
        """
        if self._ready or self._stopping or self.steps >= self._steps_max:
            return False
        timers, when = self._scheduled, self.now_s + seconds
        while timers and timers[0][0] <= when:
            if not timers[0][2]._cancelled:
                return False
            heappop(timers)
        life = PROCESS.get()
        if not timers or (life is not None and (life.dead or life.paused)):
            return False
        self.steps += 1
        self.now_s = max(when, self.now_s)
        return True

    def fail(self, failure: BaseException) -> None:
        """End the run; the first failure is the one that counts."""
        self.failure = self.failure or failure
        self.stop()

    def _failed(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.fail(context.get("exception") or Stuck(context["message"]))

    def _run_once(self) -> None:
        """All instants until somebody stops the loop; the most often executed lines of a run."""
        ready, chance, shuffle, process = self._ready, self._chance, self._shuffle, PROCESS
        while not self._stopping:
            self._next_instant()
            while ready and not self._stopping:
                if shuffle and len(ready) > 1 and chance() < shuffle:
                    pick = int(chance() * len(ready))
                    due = ready[pick]
                    del ready[pick]
                else:
                    due = ready.popleft()
                if due._cancelled:
                    continue
                context = due._context
                life = context.get(process)
                if life is not None and (life.dead or life.paused):
                    life.held.append(due)
                    continue
                self.steps += 1
                try:
                    context.run(due._callback, *due._args)
                except (SystemExit, KeyboardInterrupt):
                    raise
                except BaseException as e:
                    self.fail(e)

    def _next_instant(self) -> None:
        """What is due becomes ready; when nothing is ready, time goes on to the next timer."""
        ready, timers = self._ready, self._scheduled
        if self.steps > self._steps_max:
            self.fail(Stuck(f"more than {self._steps_max} callbacks: something does not end"))
        now_s = self.now_s
        if not ready:
            while timers and timers[0][2]._cancelled:
                heappop(timers)
            if not timers:
                self.fail(Stuck("nothing is ready and no timer is set"))
                return
            due_s = timers[0][0]
            if due_s > now_s:
                self.now_s = now_s = due_s
        while timers and timers[0][0] <= now_s:
            ready.append(heappop(timers)[2])

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
                    due = self._ready.popleft()
                    if not due._cancelled:
                        with contextlib.suppress(BaseException):  # of what is thrown away, nobody wants to hear
                            due._context.run(due._callback, *due._args)
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
