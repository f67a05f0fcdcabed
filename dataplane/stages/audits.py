"""Loss audits: which ids passed a point of the pipeline, by event-time minute, as Theta sketches.

Sketches are cumulative for the life of the node: a later report of a minute replaces an earlier one. A report's id
repeats only with its content. Old minutes are let go after `MINUTES_MAX`, so memory is bounded, also while nobody
takes reports. A book with a folder is written there before offsets are committed, so a node that is killed and started
again goes on where its commits stand: what was done and committed is never missing from its audits.
"""

import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import structlog
from datasketches import compact_theta_sketch, theta_union, update_theta_sketch

LG_K = 13  # exact up to 8,192 ids a node, minute and point
MINUTE_S = 60
MINUTES_MAX = 120  # a point
IDLE_S = 5.0  # a partition silent for so long holds no watermark back
AHEAD_S_MAX = 300.0  # a time further ahead of our clock is a sender's mistake: not audited, so that it closes no minute
LEFT_AT_S = 1e11  # the watermark of a node that left in good order: nothing waits there, for ever
LOG = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class MinuteReport:
    """What one point saw of one minute so far; `sequence` grows with each change."""

    point: str
    minute: int
    sketch: bytes
    count: int
    dropped: dict[str, int]
    watermark: float
    sequence: int


@dataclass(slots=True)
class _Minute:
    sketch: Any = field(default_factory=lambda: update_theta_sketch(LG_K))
    count: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    sequence: int = 0
    changed: bool = False
    earlier: bytes = b""  # the sketch of the runs before this one
    written: int = 0  # the sequence that is on disk

    def serialized(self) -> bytes:
        if not self.earlier:
            return bytes(self.sketch.compact().serialize())
        union = theta_union(LG_K)
        union.update(compact_theta_sketch.deserialize(self.earlier))
        union.update(self.sketch)
        return bytes(union.get_result().serialize())


class AuditBook:
    """Of one node and stage; written by its worker threads, read by the reporter."""

    def __init__(self, folder: Path | None = None) -> None:
        """Nothing seen, or what the folder holds."""
        self._lock = threading.Lock()
        self._watermarks: dict[str, Watermark] = {"in": Watermark(), "out": Watermark()}
        self._folder = folder
        self._left = False
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
        self._minutes: dict[tuple[str, int], _Minute] = read_minutes(folder) if folder else {}

    def saw(self, point: str, seen: Iterable[tuple[str, float, int]], now: float) -> None:
        """Ids with their event times and partitions passed `in` or `out`."""
        with self._lock:
            watermark = self._watermarks[point]
            minute, of = None, -1
            for root, time, partition in seen:
                if time > now + AHEAD_S_MAX:
                    continue
                start = int(time // MINUTE_S) * MINUTE_S
                if minute is None or start != of:
                    minute, of = self._minute(point, start), start
                minute.sketch.update(root)
                minute.count += 1
                watermark.advance(partition, min(time, now), now)

    def dropped(self, times: Sequence[float], reason: str, now: float) -> None:
        """Events of these times will not come out, by declared design."""
        with self._lock:
            for time in (t for t in times if t <= now + AHEAD_S_MAX):
                self._minute("out", int(time // MINUTE_S) * MINUTE_S).dropped[reason] += 1

    def forget(self, partitions: Iterable[int]) -> None:
        """Those partitions hold no watermark back any more."""
        with self._lock:
            for watermark in self._watermarks.values():
                watermark.forget(partitions)

    def changed(self, now: float, *, held_back: bool) -> list[MinuteReport]:
        """What changed since it was `taken`; `held_back`: silence of a partition means nothing just now."""
        with self._lock:
            return [
                MinuteReport(
                    point,
                    start,
                    minute.serialized(),
                    minute.count,
                    dict(minute.dropped),
                    LEFT_AT_S if self._left else self._watermarks[point].at(now, held_back=held_back),
                    minute.sequence,
                )
                for (point, start), minute in self._minutes.items()
                if minute.changed
            ]

    def leave(self) -> None:
        """The node ends in good order: the minutes it reports last hold nobody's watermark back."""
        with self._lock:
            self._left = True

    def write(self) -> None:
        """Keep what changed in the folder; to be called before what was seen is committed. OSError when it cannot be."""
        if self._folder is None:
            return
        with self._lock:
            changed = [(key, m) for key, m in self._minutes.items() if m.written < m.sequence]
            written = [(self._folder / _file_of(key), m.sequence, _record(m)) for key, m in changed]
            wanted = {_file_of(key) for key in self._minutes}
        for file, _, record in written:
            fresh = file.with_suffix(".new")
            fresh.write_bytes(record)
            fresh.replace(file)
        with self._lock:
            for (_, minute), (_, sequence, _) in zip(changed, written, strict=True):
                minute.written = sequence
        if changed:
            for file in self._folder.glob(f"*{SUFFIX}"):
                if file.name not in wanted:
                    file.unlink(missing_ok=True)

    def heartbeat(self, now: float, *, held_back: bool) -> list[MinuteReport]:
        """The newest minute of each point again, so that the watermark moves also when no event comes."""
        with self._lock:
            newest: dict[str, int] = {}
            for point, start in self._minutes:
                newest[point] = max(start, newest.get(point, 0))
            for key in newest.items():
                minute = self._minutes[key]
                minute.sequence += 1
                minute.changed = True
        return self.changed(now, held_back=held_back)

    def taken(self, reports: Iterable[MinuteReport]) -> None:
        """The Observer has these; a minute that changed meanwhile stays changed."""
        with self._lock:
            for report in reports:
                minute = self._minutes.get((report.point, report.minute))
                if minute and minute.sequence == report.sequence:
                    minute.changed = False

    def _minute(self, point: str, start: int) -> _Minute:
        minute = self._minutes.get((point, start))
        if minute is None:
            minute = self._minutes[(point, start)] = _Minute()
            of_point = sorted(key for key in self._minutes if key[0] == point)
            for key in of_point[: max(0, len(of_point) - MINUTES_MAX)]:
                del self._minutes[key]
        minute.sequence += 1
        minute.changed = True
        return minute


SUFFIX = ".audit"


def _file_of(key: tuple[str, int]) -> str:
    point, start = key
    return f"{point}.{start}{SUFFIX}"


def _record(minute: _Minute) -> bytes:
    head = {"count": minute.count, "dropped": dict(minute.dropped), "sequence": minute.sequence}
    return orjson.dumps(head) + b"\n" + minute.serialized()


def read_minutes(folder: Path) -> dict[tuple[str, int], _Minute]:
    """What earlier runs left; a file that cannot be read is said and let go of: its minute is then not complete."""
    found: dict[tuple[str, int], _Minute] = {}
    for file in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            point, start, _ = file.name.split(".")
            head, _, sketch = file.read_bytes().partition(b"\n")
            known = orjson.loads(head)
            compact_theta_sketch.deserialize(sketch)
            sequence = int(known["sequence"]) + 1
            found[(point, int(start))] = _Minute(
                count=int(known["count"]),
                dropped=Counter(known["dropped"]),
                sequence=sequence,
                changed=True,
                earlier=sketch,
            )
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as e:
            LOG.warning("audit not read", file=str(file), error=str(e))
            file.unlink(missing_ok=True)
    return found


class Watermark:
    """No earlier event is expected: the least, over partitions, of the newest event time seen there.

    >>> mark = Watermark()
    >>> mark.advance(0, 100.0, now=1000.0); mark.advance(1, 90.0, now=1000.0)
    >>> mark.at(1001.0, held_back=False)
    90.0
    >>> mark.advance(0, 105.0, now=1006.0)
    >>> mark.at(1006.0, held_back=False)  # partition 1 has been silent
    105.0
    >>> mark.at(1020.0, held_back=False)  # all have: nothing older than that waits
    1015.0
    """

    def __init__(self) -> None:
        """Nothing seen."""
        self._newest: dict[int, float] = {}
        self._heard: dict[int, float] = {}

    def advance(self, partition: int, time: float, now: float) -> None:
        """An event of this time was seen."""
        if time > self._newest.get(partition, 0.0):
            self._newest[partition] = time
        self._heard[partition] = now

    def forget(self, partitions: Iterable[int]) -> None:
        """They are another member's."""
        for partition in partitions:
            self._newest.pop(partition, None)
            self._heard.pop(partition, None)

    def at(self, now: float, *, held_back: bool) -> float:
        """The watermark; `held_back`: we do not read, so silence says nothing."""
        live = [t for p, t in self._newest.items() if held_back or now - self._heard[p] < IDLE_S]
        if live:
            return min(live)
        return 0.0 if held_back else now - IDLE_S
