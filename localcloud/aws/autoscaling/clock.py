"""Time as a port: the wall clock, or one that a test moves."""

import time
from typing import Protocol


class Clock(Protocol):
    """Says what time it is."""

    def now(self) -> float:
        """Seconds since the epoch."""
        ...


class WallClock:
    """The machine's clock."""

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()


class VirtualClock:
    """A clock that stands still until it is moved.

    >>> clock = VirtualClock(100.0)
    >>> clock.move_to(160.0)
    >>> clock.now()
    160.0
    """

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        """`start` in seconds since the epoch."""
        self._now = start

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._now

    def move_to(self, when: float) -> None:
        """Set the time; it never goes back."""
        self._now = max(self._now, when)
