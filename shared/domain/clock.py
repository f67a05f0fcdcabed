"""Ports for time, identity and chance, so that the code above `adapters/` runs in a simulator as shipped."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """The time of *this* process; a simulator may skew it."""

    def now(self) -> datetime:
        """Wall time, aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds since an arbitrary start; never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait; cancellable."""
        ...


class Ids(Protocol):
    """New identities."""

    def new(self, prefix: str) -> str:
        """A new unique id such as `act-018f...`, sortable by time of making."""
        ...


class Randomness(Protocol):
    """Chance, for jitter."""

    def uniform(self, low: float, high: float) -> float:
        """A number in [low, high)."""
        ...
