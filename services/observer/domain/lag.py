"""Lag: now, or the time of leaving, less event time. Quantiles are merged from histograms, never averaged.

The mean of nodes' p95 says 50.5 s where the true p95 is 1 s, or 1.6 s where it is 60 s; sums of buckets say what is
true. A dead consumer cannot freeze the number: while events wait, lag is extrapolated from the oldest unprocessed
one.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EventLag:
    """One event at one node, seconds; the raw value may be negative when the producer's clock is ahead."""

    lag_in: float
    lag_out: float | None = None

    @property
    def in_histogram(self) -> float:
        """Clamped: a histogram has no negative buckets."""
        return max(0.0, self.lag_in)

    @property
    def clock_skew(self) -> bool:
        """Whether the producer's clock runs ahead."""
        return self.lag_in < 0

    @property
    def process_duration(self) -> float | None:
        """Time spent in the node."""
        return None if self.lag_out is None else self.lag_out - self.lag_in


def event_lag(event_at: float, in_at: float, out_at: float | None = None) -> EventLag:
    """Lag of one event.

    >>> round(event_lag(100.0, 100.4, 101.0).process_duration or 0, 6)
    0.6
    """
    return EventLag(in_at - event_at, None if out_at is None else out_at - event_at)


def transits(nodes: Sequence[EventLag]) -> tuple[float, ...]:
    """Time between nodes: from the producer to the first, then from each lag out to the next lag in."""
    lasts = [0.0, *(n.lag_out or 0.0 for n in nodes[:-1])]
    return tuple(n.lag_in - before for n, before in zip(nodes, lasts, strict=True))


@dataclass(frozen=True, slots=True)
class ReportedLag:
    """What is reported for a scope; `seconds` is None when nothing came and nothing waits."""

    seconds: float | None
    source: str  # measured, extrapolated or idle
    p95_valid: bool


def reported_lag(  # noqa: PLR0913  the facts it is judged by
    now: float,
    *,
    p95_s: float | None,
    oldest_unprocessed_at: float | None,
    in_rate: float,
    pending: float,
    out_recently: bool,
) -> ReportedLag:
    """The measured p95, or an extrapolation when what waits is older than what lately left."""
    if oldest_unprocessed_at is not None:
        waiting_s = now - oldest_unprocessed_at
        if not out_recently or p95_s is None or waiting_s > p95_s:
            return ReportedLag(waiting_s, "extrapolated", out_recently and p95_s is not None)
    if p95_s is None or (in_rate <= 0 and pending <= 0 and not out_recently):
        return ReportedLag(None, "idle", p95_valid=False)
    return ReportedLag(p95_s, "measured", p95_valid=True)


Buckets = Mapping[float, float]
"""Cumulative counts (or rates) by upper bound, `inf` included."""


def merge(histograms: Iterable[Buckets]) -> dict[float, float]:
    """Sum by bound: merging is adding."""
    total: dict[float, float] = {}
    for histogram in histograms:
        for bound, count in histogram.items():
            total[bound] = total.get(bound, 0.0) + count
    return total


def quantile(q: float, buckets: Buckets) -> float | None:
    """The q-quantile by linear interpolation within a bucket; None when it is empty.

    In the last, unbounded bucket the answer is the largest finite bound: read it as "at least".

    >>> quantile(0.5, {1.0: 0.0, 2.0: 10.0, math.inf: 10.0})
    1.5
    """
    bounds = sorted(buckets)
    if not bounds or not math.isinf(bounds[-1]):
        return None
    total = max(buckets.values())
    if total <= 0:
        return None
    rank = q * total
    lower, below = 0.0, 0.0
    for bound in bounds:
        count = max(buckets[bound], below)  # repaired upward: scrapes are not atomic
        if count >= rank:
            if math.isinf(bound):
                return lower
            return lower + (bound - lower) * ((rank - below) / (count - below) if count > below else 1.0)
        lower, below = bound, count
    return lower


def share_over(limit_s: float, buckets: Buckets) -> float | None:
    """Share of events whose lag is over the limit, interpolated within its bucket; None when there are none."""
    bounds = sorted(buckets)
    if not bounds or not math.isinf(bounds[-1]):
        return None
    total = max(buckets.values())
    if total <= 0:
        return None
    lower, below = 0.0, 0.0
    for bound in bounds:
        count = max(buckets[bound], below)
        if limit_s <= bound:
            if math.isinf(bound):
                return (total - below) / total
            good = below + (count - below) * (limit_s - lower) / (bound - lower)
            return max(0.0, min(1.0, (total - good) / total))
        lower, below = bound, count
    return 0.0


def weighted_quantile(q: float, values: Sequence[tuple[float, float]]) -> float:
    """The exact q-quantile of (value, count) pairs: the least value with at least q of the mass at or below it."""
    ordered = sorted(values)
    total = sum(count for _, count in ordered)
    seen = 0.0
    for value, count in ordered:
        seen += count
        if seen >= q * total:
            return value
    return ordered[-1][0]
