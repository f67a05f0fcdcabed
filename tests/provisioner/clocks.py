"""Time that a test moves."""

import asyncio
from datetime import datetime, timedelta

from tests.provisioner.examples import NOW


class StillClock:
    """Stands until `pass_s`; a sleeper that waits for longer than has passed wakes when it has."""

    def __init__(self) -> None:
        self.passed_s = 0.0
        self.sleeps = 0  # begun so far
        self._moved = asyncio.Event()

    def pass_s(self, seconds: float) -> None:
        self.passed_s += seconds
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.passed_s)

    def monotonic(self) -> float:
        return self.passed_s

    async def sleep(self, seconds: float) -> None:
        ends_at = self.passed_s + seconds
        self.sleeps += 1
        while self.passed_s < ends_at:
            await self._moved.wait()

    async def slept(self, times: int) -> None:
        """Return when so many sleeps have begun."""
        while self.sleeps < times:  # noqa: ASYNC110  what runs is on this loop
            await asyncio.sleep(0)


class CountingIds:
    """`prefix-1`, `prefix-2`, ..."""

    def __init__(self) -> None:
        self._made = 0

    def new(self, prefix: str) -> str:
        self._made += 1
        return f"{prefix}-{self._made}"
