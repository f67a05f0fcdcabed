"""The real clock, ids and chance: what `__main__` hands to `build` outside the simulator."""

import asyncio
import random
import time
import uuid
from datetime import UTC, datetime


class SystemClock:
    """Wall and monotonic time of this machine."""

    def now(self) -> datetime:
        """Wall time, UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds since an arbitrary start."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait; cancellable."""
        await asyncio.sleep(seconds)


class SystemIds:
    """Time-sortable random ids (milliseconds, then 74 random bits)."""

    def new(self, prefix: str) -> str:
        """A new id `prefix-<26 hex>`."""
        stamp = time.time_ns() // 1_000_000
        return f"{prefix}-{stamp:012x}{uuid.uuid4().hex[:14]}"


class SystemRandomness:
    """Chance for jitter; not for secrets."""

    def uniform(self, low: float, high: float) -> float:
        """A number in [low, high)."""
        return random.uniform(low, high)  # noqa: S311  jitter, not a secret
