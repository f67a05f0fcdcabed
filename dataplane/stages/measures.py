"""What a node measures of its stage, and how Prometheus reads it. Names and meaning are those of the contracts' table.

All are updated once a batch. A counter is written by one thread; ingest, which has many, holds the lock.
"""

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from dataplane.stages.events import FILTERED
from dataplane.stages.histogram import DURATION_BOUNDS_S, LAG_BOUNDS_S, Histogram

REASONS_MAX = 50  # distinct label values; users' code makes them up
OTHER = "other"
BUSY_WINDOW_S = 5.0
Tier = Literal["local", "global"]


class Measures:
    """Of one node; `labels` are constant: workspace, pipeline, stage, group, fleet, revision, node."""

    def __init__(self, labels: Mapping[str, str], info: Mapping[str, str]) -> None:
        """`info` (environment, runtime) goes onto `headrace_node_info`."""
        self._info = dict(info)
        self._lock = threading.Lock()
        self._labels = dict(labels)
        self.lag_in, self.lag_out = Histogram(LAG_BOUNDS_S), Histogram(LAG_BOUNDS_S)
        self.transform = Histogram(DURATION_BOUNDS_S)
        self._in = self._out = self._transform_errors = 0
        self._retries = {"local": 0, "global": 0}
        self._failed: Counter[tuple[str, str]] = Counter()
        self._dropped: Counter[str] = Counter()
        self._oldest: float | None = None
        self._busy = BusyRatio()

    def relabel(self, labels: Mapping[str, str]) -> None:
        """A node learns its pipeline and stage after it has started."""
        with self._lock:
            self._labels |= labels

    def labels(self) -> str:
        """The constant labels as they stand in a line."""
        with self._lock:
            return _labels(self._labels)

    def inform(self, info: Mapping[str, str]) -> None:
        """More for `headrace_node_info`."""
        with self._lock:
            self._info |= info

    def took(self, times: Sequence[float], now: float) -> None:
        """Events were accepted by the stage."""
        lags = now - np.asarray(times, dtype=np.float64)
        with self._lock:
            self.lag_in.observe(lags)
            self._in += len(times)

    def handed_on(self, times: Sequence[float], now: float) -> None:
        """Events were acknowledged by what comes after the stage."""
        if not times:
            return
        lags = now - np.asarray(times, dtype=np.float64)
        with self._lock:
            self.lag_out.observe(lags)
            self._out += len(times)

    def failed(self, reason: str, *, recoverable: bool) -> None:
        """An event was given up: it is a dead letter now."""
        with self._lock:
            self._failed[("recoverable" if recoverable else "non_recoverable", self._bounded(reason))] += 1

    def dropped(self, reason: str, count: int) -> None:
        """Events were dropped by declared design."""
        with self._lock:
            self._dropped[reason] += count

    def retried(self, count: int, tier: Tier = "local") -> None:
        """Events will be tried again: here, or by the global retrier."""
        with self._lock:
            self._retries[tier] += count

    def transformed(self, seconds_each: float, count: int, errors: int) -> None:
        """Users' code ran over a batch."""
        with self._lock:
            self.transform.observe_same(seconds_each, count)
            self._transform_errors += errors

    def set_oldest(self, time: float | None) -> None:
        """Event time of the oldest event that was read and is not done; None: nothing waits."""
        self._oldest = time

    def worked(self, busy_s: float, total_s: float) -> None:
        """Of `total_s` seconds, `busy_s` were spent on events."""
        with self._lock:
            self._busy.add(busy_s, total_s)

    def _bounded(self, reason: str) -> str:
        known = {r for _, r in self._failed}
        return reason if reason in known or len(known) < REASONS_MAX else OTHER

    def lines(self) -> list[str]:
        """Everything in Prometheus' text format."""
        with self._lock:
            base = _labels(self._labels)
            out = [
                *_typed("headrace_node_info", "gauge", [f"headrace_node_info{{{base},{_labels(self._info)}}} 1"]),
                *_typed("headrace_lag_in_seconds", "histogram", self.lag_in.lines("headrace_lag_in_seconds", base)),
                *_typed("headrace_lag_out_seconds", "histogram", self.lag_out.lines("headrace_lag_out_seconds", base)),
                *_typed(
                    "headrace_transform_seconds", "histogram", self.transform.lines("headrace_transform_seconds", base)
                ),
                *_counter("headrace_messages_in_total", base, self._in),
                *_counter("headrace_messages_out_total", base, self._out),
                *_counter("headrace_transform_errors_total", base, self._transform_errors),
                *_typed("headrace_busy_ratio", "gauge", [f"headrace_busy_ratio{{{base}}} {self._busy.ratio:.4f}"]),
            ]
            name = "headrace_retries_total"
            out += _typed(name, "counter", [f'{name}{{{base},tier="{t}"}} {n}' for t, n in self._retries.items()])
            failed = self._failed or {("recoverable", ""): 0, ("non_recoverable", ""): 0}
            name = "headrace_messages_failed_total"
            rows = [f"{name}{{{base},{_labels({'kind': k, 'reason': r})}}} {n}" for (k, r), n in failed.items()]
            out += _typed(name, "counter", rows)
            name = "headrace_messages_dropped_total"
            dropped = self._dropped or {FILTERED: 0}
            rows = [f"{name}{{{base},{_labels({'reason': r})}}} {n}" for r, n in dropped.items()]
            out += _typed(name, "counter", rows)
            if self._oldest is not None:
                name = "headrace_oldest_unprocessed_timestamp_seconds"
                out += _typed(name, "gauge", [f"{name}{{{base}}} {self._oldest!r}"])
            return out


class BusyRatio:
    """Share of time at work, over windows of some seconds.

    >>> ratio = BusyRatio()
    >>> ratio.add(3.0, 6.0)
    >>> ratio.ratio
    0.5
    """

    def __init__(self) -> None:
        """Idle."""
        self.ratio = 0.0
        self._busy_s = self._total_s = 0.0

    def add(self, busy_s: float, total_s: float) -> None:
        """A stretch of time."""
        self._busy_s += busy_s
        self._total_s += total_s
        if self._total_s >= BUSY_WINDOW_S:
            self.ratio = min(1.0, self._busy_s / self._total_s)
            self._busy_s = self._total_s = 0.0


def _labels(pairs: Mapping[str, str]) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in pairs.items())


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _typed(name: str, kind: str, rows: list[str]) -> list[str]:
    return [f"# TYPE {name} {kind}", *rows] if rows else []


def _counter(name: str, labels: str, value: int) -> list[str]:
    return _typed(name, "counter", [f"{name}{{{labels}}} {value}"])
