"""The network between processes: every message takes time, may get lost, come late, come twice, or not pass at all.

Each link has a stream of its own and draws as often whatever happens, so that a fault that is taken out of a plan moves
nothing else. Between two processes that both live and can see each other, a message to a closed port is refused at once.
"""

import contextvars
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import log

from tests.sim.kernel.loop import SimLoop
from tests.sim.kernel.processes import Process
from tests.sim.kernel.record import Record
from tests.sim.kernel.streams import Streams

LATENCY_RATE = 1 / 0.002
LATE_S_MAX = 30.0


@dataclass(slots=True)
class Weather:
    """What an episode does to the messages of its links; shares are of messages, one way."""

    links: frozenset[tuple[str, str]]
    cut: bool = False
    lost: float = 0.0
    late: float = 0.0
    twice: float = 0.0


@dataclass
class Network:
    """`quantum_s` above 0 rounds delays up, so that messages meet at the same instant."""

    loop: SimLoop
    streams: Streams
    record: Record
    quantum_s: float = 0.0
    processes: Mapping[str, Process] = field(default_factory=dict)
    weather: list[Weather] = field(default_factory=list)
    sent: int = 0
    _links: dict[tuple[str, str], Callable[[], float]] = field(default_factory=dict)

    def send(self, source: str, target: str, deliver: Callable[[], None]) -> None:
        """One message, one way; `deliver` runs at its arrival, in nobody's name."""
        link = (source, target)
        roll = self._links.get(link)
        if roll is None:
            roll = self._links[link] = self.streams.of(f"net/{source}/{target}").random
        roll_lost, roll_late, roll_twice = roll(), roll(), roll()
        delay_s = 0.0005 - log(1.0 - roll()) / LATENCY_RATE  # exponential
        late_s, again_s = roll() * LATE_S_MAX, roll() * 5.0
        self.sent += 1
        lost = late = twice = 0.0
        for w in self.weather:
            if link in w.links:
                if w.cut:
                    lost = 1.0
                lost, late, twice = max(lost, w.lost), max(late, w.late), max(twice, w.twice)
        if roll_lost < lost:
            self.record.reach("net cut" if lost >= 1.0 else "net lost")
            return
        if roll_late < late:
            self.record.reach("net late")
            delay_s += late_s
        self._later(delay_s, deliver)
        if roll_twice < twice:
            self.record.reach("net twice")
            self._later(delay_s + again_s, deliver)

    def _later(self, delay_s: float, deliver: Callable[[], None]) -> None:
        if self.quantum_s:
            delay_s = (int(delay_s / self.quantum_s) + 1) * self.quantum_s
        self.loop.call_later(delay_s, deliver, context=contextvars.Context())
