"""Processes: what starts, crashes, is paused and starts again. What they should remember lies in stores, not in them."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from tests.sim.kernel.clock import SimClock
from tests.sim.kernel.loop import PROCESS, Incarnation, SimLoop
from tests.sim.kernel.record import Record

Boot = Callable[[Incarnation], Awaitable[None]]


class Process:
    """A name, a clock, and what it does when it starts; `life` is None while it is down."""

    def __init__(self, name: str, loop: SimLoop, record: Record, boot: Boot) -> None:
        self.name, self.clock = name, SimClock(loop.time)
        self.life: Incarnation | None = None
        self.lives: list[Incarnation] = []
        self._loop, self._record, self._boot = loop, record, boot

    @property
    def up(self) -> bool:
        """Whether it runs (a paused one does, and does not know better)."""
        return self.life is not None

    def start(self) -> None:
        """A new life; nothing if it lives."""
        if self.life is not None:
            return
        life = self.life = Incarnation(self.name, len(self.lives) + 1)
        self.lives.append(life)
        self._record.say(self.name, "starts")
        self.spawn(self._booted(life))

    async def _booted(self, life: Incarnation) -> None:
        await self._boot(life)

    def crash(self) -> None:
        """kill -9: nothing of it runs any more, not even what it would do on its way out."""
        life, self.life = self.life, None
        if life is None:
            return
        self._loop.kill(life)
        self._record.say(self.name, "crashes")
        self._record.reach(f"crash {self.name}")

    def pause(self, seconds: float) -> None:
        """It stands still, as under a long collection or a migration of its machine, and goes on unaware."""
        life = self.life
        if life is None or life.paused:
            return
        life.paused = True
        self._record.say(self.name, f"pauses for {seconds:.1f} s")
        self._record.reach(f"pause {self.name}")
        self._loop.call_later(seconds, self._resume, life, context=contextvars.Context())

    def _resume(self, life: Incarnation) -> None:
        if not life.dead:
            self._record.say(self.name, "goes on")
            self._loop.resume(life)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any] | None:
        """Work in the process' present life; without one it is not begun."""
        life = self.life
        if life is None:
            work.close()
            return None
        context = contextvars.Context()
        context.run(PROCESS.set, life)
        task = self._loop.create_task(work, context=context)
        task.add_done_callback(self._ended, context=contextvars.Context())
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._loop.fail(error)
