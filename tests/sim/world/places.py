"""Places where a process may die or stand still: before and after every call of a port.

Whatever an operation does to the world it does by a port, so a crash between two of its lines is a crash between two of
these calls. Every verb of every store is a place by itself, and the product has none of them in it.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.sim.kernel.record import Record
from tests.sim.kernel.streams import Streams

STALL_S_MAX = 40.0


@dataclass(slots=True)
class Episode:
    """Shares of the calls of one process."""

    process: str
    crash: float
    stall: float


@dataclass
class Places:
    """`crash` ends a process; what becomes of it afterwards is the caller's."""

    streams: Streams
    record: Record
    crash: Callable[[str], None]
    now: list[Episode] = field(default_factory=list)

    async def maybe(self, process: str, place: str) -> None:
        """Die here, stand here, or nothing; chance is drawn only while there is an episode."""
        mine = [e for e in self.now if e.process == process]
        if not mine:
            return
        stream = self.streams.of(f"places/{process}")
        roll_crash, roll_stall, stall_s = stream.random(), stream.random(), stream.random() * STALL_S_MAX
        if roll_crash < max(e.crash for e in mine):
            self.record.reach(f"died {process} {place}")
            self.record.say(process, f"dies {place}")
            self.crash(process)
            await asyncio.sleep(0.0)  # of a dead process nothing goes on
        elif roll_stall < max(e.stall for e in mine):
            self.record.reach(f"stood {process} {place}")
            await asyncio.sleep(stall_s)
