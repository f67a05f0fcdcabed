"""What users' code measures: counters, values, model scores; and how much of its call's time is left.

Kept in the worker, sent with its results, added up by the server; a node shows them to Prometheus with its own labels.
"""

import math
import re
import threading
import time
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Any

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
NAMES_MAX = 50  # of each kind; what comes after goes under `other`
OTHER = "other"
NOT_FINITE = "not_finite"  # counts scores and values that are NaN or infinite
VALUE_BOUNDS = tuple(float(f"{digit}e{power}") for power in range(-4, 6) for digit in (1, 2, 5))
SCORE_BOUNDS = tuple(round(0.05 * n, 2) for n in range(21))  # 0, 0.05, ... 1
COUNTER, VALUE, SCORE = "counter", "value", "score"
BOUNDS = {VALUE: VALUE_BOUNDS, SCORE: SCORE_BOUNDS}


@dataclass(slots=True)
class Series:
    """One counter (`sum`), or one histogram: `counts` by bucket, not cumulative, the last without a bound."""

    sum: float = 0.0
    counts: list[int] = field(default_factory=list)


class Recorder:
    """Of one process; any thread may write."""

    def __init__(self) -> None:
        """Nothing measured."""
        self._lock = threading.Lock()
        self._series: dict[tuple[str, str], Series] = {}

    def add(self, kind: str, name: str, number: float) -> None:
        """One measurement; ValueError for a name that Prometheus could not show."""
        if not _NAME.fullmatch(name):
            raise ValueError(f"measure {name!r}: use 1-63 of a-z, 0-9 and '_', a letter first")
        if not math.isfinite(number):
            kind, name, number = COUNTER, NOT_FINITE, 1.0
        with self._lock:
            series = self._find(kind, name)
            series.sum += number
            if kind in BOUNDS:
                series.counts[bisect_left(BOUNDS[kind], number)] += 1

    def merge(self, changes: list[list[Any]]) -> None:
        """Add what another process has `taken`; ValueError when it is not that: the process runs users' code."""
        for kind, name, total, counts in changes:
            known = kind in BOUNDS or kind == COUNTER
            if not known or not _NAME.fullmatch(name) or len(counts) != len(BOUNDS.get(kind, ())) + 1:
                raise ValueError(f"measure {name!r:.80} of kind {kind!r:.80} is none of ours")
            if not math.isfinite(total):
                raise ValueError(f"measure {name!r}: {total} is not finite")
        with self._lock:
            for kind, name, total, counts in changes:
                series = self._find(kind, name)
                series.sum += total
                series.counts = [a + b for a, b in zip(series.counts, counts, strict=True)]

    def taken(self) -> list[list[Any]]:
        """Everything since the last time, as JSON: kind, name, sum, counts."""
        with self._lock:
            if not self._series:
                return []
            found, self._series = self._series, {}
        return [[kind, name, s.sum, s.counts] for (kind, name), s in found.items()]

    def shown(self) -> list[tuple[str, str, Series]]:
        """Kind, name and a copy of each."""
        with self._lock:
            return [(kind, name, Series(s.sum, list(s.counts))) for (kind, name), s in sorted(self._series.items())]

    def _find(self, kind: str, name: str) -> Series:
        found = self._series.get((kind, name))
        if found is None:
            if sum(k == kind for k, _ in self._series) >= NAMES_MAX:
                name = OTHER
            found = self._series.setdefault((kind, name), Series(0.0, [0] * (len(BOUNDS.get(kind, ())) + 1)))
        return found


class _Call:
    """The call that this worker is in; a worker has one at a time."""

    ends_at = math.inf


recorder = Recorder()
_call = _Call()


def count(name: str, amount: float = 1.0) -> None:
    """Add to a counter."""
    if not amount >= 0:
        raise ValueError(f"counter {name!r}: {amount} added: a counter only grows")
    recorder.add(COUNTER, name, amount)


def observe(name: str, value: float) -> None:
    """A value of a distribution (buckets 1, 2, 5 a decade, 0.0001 to 500,000)."""
    recorder.add(VALUE, name, value)


def score(value: float, name: str = "score") -> None:
    """A model's score (buckets of 0.05 between 0 and 1): the control plane compares old and new code by them."""
    recorder.add(SCORE, name, value)


def remaining_s() -> float:
    """Seconds until the caller gives up; infinite outside a call. For users' own requests to others."""
    return max(0.0, _call.ends_at - time.monotonic())


def call_ends_at(moment: float) -> None:
    """The worker's, before each call: a monotonic time."""
    _call.ends_at = moment
