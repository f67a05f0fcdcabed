"""A Prometheus histogram that is fed a batch at a time: one vectorised pass instead of a call for each event."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# The same everywhere, so that histograms merge; the SLO bounds 0.5 ... 60 s are among them.
LAG_BOUNDS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
DURATION_BOUNDS_S = (
    0.0001,
    0.00025,
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
)


class Histogram:
    """Counts by bucket; written by one thread, read by others (a read may miss the batch that is being added)."""

    def __init__(self, bounds: Sequence[float]) -> None:
        """`bounds` are the upper bounds, ascending; one more bucket has the rest."""
        self._bounds = np.asarray(bounds, dtype=np.float64)
        self._counts = np.zeros(len(bounds) + 1, dtype=np.int64)
        self._sum = 0.0

    def observe(self, values: NDArray[np.float64]) -> None:
        """Add a batch; negative values (a clock ahead of ours) count as zero."""
        clamped = np.maximum(values, 0.0)
        places = np.searchsorted(self._bounds, clamped, side="left")
        self._counts += np.bincount(places, minlength=len(self._counts))
        self._sum += float(clamped.sum())

    def observe_same(self, value: float, count: int) -> None:
        """Add one value `count` times."""
        self._counts[int(np.searchsorted(self._bounds, value, side="left"))] += count
        self._sum += value * count

    def lines(self, name: str, labels: str) -> list[str]:
        """Its lines in Prometheus' text format; `labels` without braces."""
        cumulative = self._counts.cumsum()
        bounds = [*(f"{bound:g}" for bound in self._bounds), "+Inf"]
        return [
            *(f'{name}_bucket{{{labels},le="{le}"}} {n}' for le, n in zip(bounds, cumulative.tolist(), strict=True)),
            f"{name}_sum{{{labels}}} {self._sum!r}",
            f"{name}_count{{{labels}}} {int(cumulative[-1])}",
        ]
