"""The `Clock`, `Ids` and `Randomness` ports of a simulated process: its own idea of the time, and what it makes up."""

import itertools
import random
from collections.abc import Callable
from datetime import UTC, datetime

from tests.sim.kernel.loop import sleep

EPOCH_S = 1_700_000_000.0  # simulated second 0, as seconds since the epoch


class SimClock:
    """`offset_s` is how wrong the wall clock is; `rate` how fast the process' seconds pass. Faults set both."""

    def __init__(self, true_s: Callable[[], float]) -> None:
        self._true_s = true_s
        self.offset_s = 0.0
        self._rate = 1.0
        self._base_true_s, self._base_s = true_s(), true_s()

    def drift(self, rate: float) -> None:
        """From now on a second of this process takes 1 / `rate` seconds; monotonic time stays monotonic."""
        self._base_s, self._base_true_s = self.monotonic(), self._true_s()
        self._rate = rate

    def correct(self) -> None:
        """The wall clock is right again, as time servers make it; monotonic time keeps what it has lost or gained."""
        self.offset_s = self._true_s() - self.monotonic()

    def now(self) -> datetime:
        """Wall time of this process."""
        return datetime.fromtimestamp(EPOCH_S + self.monotonic() + self.offset_s, UTC)

    def monotonic(self) -> float:
        """Seconds since the start of the simulation, as this process counts them."""
        return self._base_s + (self._true_s() - self._base_true_s) * self._rate

    async def sleep(self, seconds: float) -> None:
        """Wait; cancellable."""
        await sleep(seconds / self._rate)


class SimIds:
    """Ids that sort by the time of their making and never repeat: the maker is part of them."""

    def __init__(self, maker: str, clock: SimClock) -> None:
        self._maker, self._clock, self._count = maker, clock, itertools.count(1)

    def new(self, prefix: str) -> str:
        """`prefix-<milliseconds>-<maker>-<count>`."""
        return f"{prefix}-{int(self._clock.monotonic() * 1000):09d}-{self._maker}-{next(self._count)}"


class SimRandomness:
    """Chance for jitter, from a stream of its own."""

    def __init__(self, stream: random.Random) -> None:
        self._stream = stream

    def uniform(self, low: float, high: float) -> float:
        """A number in [low, high)."""
        return self._stream.uniform(low, high)
