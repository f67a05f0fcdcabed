"""How slow a member is just now: a moving average that rises fast and falls slowly.

A member that turns slow must lose traffic within a few answers. So an answer slower than the estimate moves it by `RISE`
of the difference at once, whatever the time since the last one; a faster answer moves it by `1 - exp(-elapsed / FALL_S)`.
Without answers the estimate falls too, by `IDLE_FALL_S`, so that nobody is kept away for ever; slower, because each time
it has fallen too far costs somebody a slow call. After Finagle's peak EWMA
(com.twitter.finagle.loadbalancer.PeakEwma), which jumps to the peak.
"""

import math

RISE = 0.8
FALL_S = 5.0
IDLE_FALL_S = 20.0
FAILURE_FACTOR = 2.0  # a failure counts as an answer twice as slow as thought: failing fast must not attract calls
FAILURE_S_MIN, FAILURE_S_MAX = 0.01, 5.0


class Latency:
    """Of one member."""

    __slots__ = ("_at", "_estimate_s")

    def __init__(self) -> None:
        """Nothing is known."""
        self._estimate_s: float | None = None
        self._at = 0.0

    def observe(self, took_s: float, now: float) -> None:
        """An answer came."""
        before = self._estimate_s
        if before is None:
            self._estimate_s = took_s
        elif took_s > before:
            self._estimate_s = before + RISE * (took_s - before)
        else:
            self._estimate_s = took_s + (before - took_s) * math.exp((self._at - now) / FALL_S)
        self._at = now

    def observe_failure(self, took_s: float, now: float) -> None:
        """A call failed after so long."""
        known = self._estimate_s or 0.0
        self._estimate_s = min(FAILURE_S_MAX, max(took_s, FAILURE_FACTOR * known, FAILURE_S_MIN))
        self._at = now

    def estimate_s(self, now: float) -> float | None:
        """Seconds that an answer takes; None before the first one.

        >>> latency = Latency()
        >>> latency.observe(0.010, now=0.0)
        >>> latency.observe(0.100, now=0.1)
        >>> round(latency.estimate_s(0.1), 3), round(latency.estimate_s(5.1), 3)
        (0.082, 0.064)
        """
        if self._estimate_s is None:
            return None
        return self._estimate_s * math.exp((self._at - now) / IDLE_FALL_S)
