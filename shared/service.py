"""How a service process lives: parts start in order, stop in reverse, and a signal stops them all.

A hot loop is a part that ticks; an exception in a tick is logged and counted, and the loop goes on, because a control
plane that stops looking is worse than one that missed a look.
"""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import structlog
from prometheus_client import Counter, Histogram

from shared.domain.clock import Clock

STOP_S_MAX = 20.0
LOG = structlog.get_logger()
TICKS = Histogram("headrace_loop_tick_seconds", "Duration of one tick of a service's loop.", ["loop"])
TICK_FAILURES = Counter("headrace_loop_tick_failures_total", "Ticks that raised.", ["loop"])


class Part(Protocol):
    """Something that runs while the service runs."""

    async def start(self) -> None:
        """Begin; returns when ready."""
        ...

    async def stop(self) -> None:
        """End; returns when done. Called at most once, also after a failed start of a later part."""
        ...


class Loop:
    """Calls `tick` every `interval_s`; a late tick is not made up for."""

    def __init__(self, name: str, interval_s: float, clock: Clock, tick: Callable[[], Awaitable[None]]) -> None:
        """`tick` takes no input: it reads the facts."""
        self._name = name
        self._interval_s = interval_s
        self._clock = clock
        self._tick = tick
        self._ticks = TICKS.labels(name)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin ticking; the first tick comes at once."""
        self._task = asyncio.create_task(self._run(), name=f"loop:{self._name}")

    async def stop(self) -> None:
        """End after the current tick is cancelled."""
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            began = self._clock.monotonic()
            try:
                await self._tick()
            except Exception:
                TICK_FAILURES.labels(self._name).inc()
                LOG.exception("tick failed", loop=self._name)
            took = self._clock.monotonic() - began
            self._ticks.observe(took)
            await self._clock.sleep(max(0.0, self._interval_s - took))


async def run_parts(name: str, parts: Sequence[Part]) -> None:
    """Start the parts, wait for SIGTERM or SIGINT, stop them in reverse."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sig in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sig, stopping.set)
    started: list[Part] = []
    try:
        for part in parts:
            started.append(part)
            await part.start()
        LOG.info("ready", service=name)
        await stopping.wait()
    finally:
        for part in reversed(started):
            try:
                async with asyncio.timeout(STOP_S_MAX):
                    await part.stop()
            except Exception:
                LOG.exception("part did not stop cleanly", service=name, part=type(part).__name__)
        LOG.info("stopped", service=name)


def run_service(name: str, parts: Callable[[], Awaitable[Sequence[Part]]]) -> None:
    """Run a service process: `parts` is awaited inside the loop, so that clients are made where they are used."""

    async def main() -> None:
        await run_parts(name, await parts())

    asyncio.run(main())
