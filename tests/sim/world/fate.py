"""Stores that are far away and sometimes fail: every call takes time, may be refused, or succeeds and nobody hears.

The state itself is that of the memory adapters; one call or one transaction happens at one instant.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from math import log
from typing import Any

from shared.domain.errors import Unavailable
from tests.sim.kernel.loop import sleep
from tests.sim.kernel.record import Record
from tests.sim.kernel.streams import Streams
from tests.sim.world.places import Places

LATENCY_S = 0.003
LATENCY_RATE = 1 / LATENCY_S  # calls a second, one after the other
LATE = 0.1
SLOW_S_MAX = 8.0
FINE = (0.0, 0.0, 0.0, False)


@dataclass(slots=True)
class Trouble:
    """An episode of a store: shares of calls; `down` refuses all."""

    store: str
    failed: float = 0.0  # rolled back, as after a serialization failure or a lost connection
    unheard: float = 0.0  # committed, and the answer is lost
    slow: float = 0.0
    down: bool = False


@dataclass
class Troubles:
    """What goes on now."""

    now: list[Trouble] = field(default_factory=list)

    def of(self, store: str) -> tuple[float, float, float, bool]:
        """(failed, unheard, slow, down) of a store."""
        mine = [t for t in self.now if t.store == store]
        if not mine:
            return FINE
        return (
            max(t.failed for t in mine),
            max(t.unheard for t in mine),
            max(t.slow for t in mine),
            any(t.down for t in mine),
        )


class Fate:
    """One process' connection to one store."""

    def __init__(
        self, store: str, process: str, streams: Streams, troubles: Troubles, record: Record, places: Places
    ) -> None:
        self._store, self._troubles, self._record = store, troubles, record
        self._process, self.places = process, places
        self._roll = streams.of(f"store/{store}/{process}").random

    async def before(self, verb: str = "a call") -> bool:
        """The way there; Unavailable when it does not get through. Gives whether the answer will be lost."""
        if self.places.now:
            await self.places.maybe(self._process, f"before {verb} of {self._store}")
        roll = self._roll
        roll_failed, roll_unheard, roll_slow = roll(), roll(), roll()
        wait_s, slow_s = -log(1.0 - roll()) / LATENCY_RATE, roll() * SLOW_S_MAX  # exponential
        failed, unheard, slow, down = self._troubles.of(self._store) if self._troubles.now else FINE
        if roll_slow < slow:
            self._record.reach(f"store slow {self._store}")
            wait_s += slow_s
        await sleep(wait_s)
        if down or roll_failed < failed:
            self._record.reach(f"store {'down' if down else 'failed'} {self._store}")
            raise self._unavailable("no connection" if down else "rolled back")
        return roll_unheard < unheard

    async def back(self, *, unheard: bool) -> None:
        """The way back of something that others may see meanwhile."""
        await sleep(-log(1.0 - self._roll()) / LATENCY_RATE)
        await self.after()
        self.heard(unheard=unheard)

    async def after(self, verb: str = "a call") -> None:
        """It is done, and the caller knows."""
        if self.places.now:
            await self.places.maybe(self._process, f"after {verb} of {self._store}")

    def on_its_way_s(self, most_s: float) -> float:
        """How long something that was sent takes until it has its effect: one in ten nearly as long as it may."""
        roll, late_s = self._roll(), self._roll() * most_s
        return late_s if roll < LATE else min(most_s, 10 * LATENCY_S * roll)

    def reached(self, mark: str) -> None:
        """What happened here."""
        self._record.reach(mark)

    def heard(self, *, unheard: bool) -> None:
        """Unavailable when the answer is lost."""
        if unheard:
            self._record.reach(f"store unheard {self._store}")
            raise self._unavailable("the answer was lost")

    def _unavailable(self, why: str) -> Unavailable:
        return Unavailable(f"{self._store}: {why}", retry_after_s=1.0)


class Remote:
    """Any store port over a memory adapter: each verb is one call, which happens at one instant or not at all."""

    def __init__(self, inner: Any, fate: Fate) -> None:
        self._inner, self._fate = inner, fate

    def __getattr__(self, verb: str) -> Callable[..., Awaitable[Any]]:
        method, fate = getattr(self._inner, verb), self._fate

        async def call(*given: Any, **named: Any) -> Any:
            unheard = await fate.before(verb)
            answer = await method(*given, **named)
            if fate.places.now:
                await fate.after(verb)
            if unheard:
                fate.heard(unheard=unheard)
            return answer

        setattr(self, verb, call)  # asked for once
        return call
