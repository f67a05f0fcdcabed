"""Order per key: while an event is retried, later events of its key wait behind it, and follow in order when it is done.

A key lives in one partition, so order is the order of offsets. An event that is given up (dead letters, the global
retrier) is done here: those behind it go on.
"""

from collections.abc import Iterable

from dataplane.stages.events import Event
from dataplane.stages.retries import Waiting

Line = tuple[int, bytes]  # partition and key


class KeyOrder:
    """Of one session; used by one thread. False while nobody waits."""

    def __init__(self) -> None:
        """Nobody waits."""
        self._heads: dict[Line, int] = {}  # the offset that is retried
        self._behind: dict[Line, list[Waiting]] = {}
        self._count = 0

    def __bool__(self) -> bool:
        """Whether any key has an event that is retried, or that waits."""
        return bool(self._heads or self._behind)

    def __len__(self) -> int:
        """How many wait behind another."""
        return self._count

    def split(self, batch: Iterable[Waiting]) -> tuple[list[Waiting], list[Waiting]]:
        """Those that may go, and those that wait from now on."""
        free: list[Waiting] = []
        held: list[Waiting] = []
        for waiting in batch:
            line = _line(waiting.event)
            if line is not None and line in self._heads:
                held.append(waiting)
                self._hold(line, [waiting])
            else:
                free.append(waiting)
        return free, held

    def failed(self, again: Iterable[Waiting], behind: Iterable[Waiting]) -> None:
        """`again` will be retried; `behind` came after one of them in its batch, before all that wait already."""
        for waiting in again:
            line = _line(waiting.event)
            if line is not None:
                self._heads[line] = waiting.event.offset
        lines: dict[Line, list[Waiting]] = {}
        for waiting in behind:
            line = _line(waiting.event)
            if line is not None:
                lines.setdefault(line, []).append(waiting)
        for line, first in lines.items():
            later = self._behind.pop(line, [])
            self._count -= len(later)
            self._hold(line, first + later)

    def freed(self, done: Iterable[Event]) -> list[Waiting]:
        """What waited only for one of these, in order."""
        for event in done:
            line = _line(event)
            if line is not None and self._heads.get(line) == event.offset:
                del self._heads[line]
        free: list[Waiting] = []
        for line in [line for line in self._behind if line not in self._heads]:
            free += self._behind.pop(line)
        self._count -= len(free)
        return free

    def drop(self, partitions: set[int]) -> None:
        """Those partitions are another member's now."""
        self._heads = {line: offset for line, offset in self._heads.items() if line[0] not in partitions}
        self._behind = {line: waiting for line, waiting in self._behind.items() if line[0] not in partitions}
        self._count = sum(len(w) for w in self._behind.values())

    def _hold(self, line: Line, waiting: list[Waiting]) -> None:
        self._behind.setdefault(line, []).extend(waiting)
        self._count += len(waiting)


def _line(event: Event) -> Line | None:
    return None if event.key is None else (event.partition, event.key)
