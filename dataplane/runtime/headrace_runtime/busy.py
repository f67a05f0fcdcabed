"""The busy ratio: worker-seconds spent in calls, of those there were, over a moving window."""

import threading
from collections import deque

WINDOW_S = 5.0
SAMPLE_S = 0.5


class BusyMeter:
    """Of `slots` workers; every method takes the monotonic time.

    >>> meter = BusyMeter(slots=2, now=0.0)
    >>> meter.began(1.0); meter.ended(3.0)
    >>> meter.ratio(4.0)
    0.25
    >>> meter.ratio(60.0)
    0.0
    """

    def __init__(self, slots: int, now: float) -> None:
        """Idle."""
        self._slots = slots
        self._lock = threading.Lock()
        self._running = 0
        self._at, self._busy_s = now, 0.0
        self._samples: deque[tuple[float, float]] = deque([(now, 0.0)])

    def began(self, now: float) -> None:
        """A call got its worker."""
        with self._lock:
            self._advance(now)
            self._running += 1

    def ended(self, now: float) -> None:
        """It is over."""
        with self._lock:
            self._advance(now)
            self._running -= 1

    def ratio(self, now: float) -> float:
        """Between 0 and 1, over about WINDOW_S seconds."""
        with self._lock:
            self._advance(now)
            since, busy_s = self._samples[0]
            return min(1.0, (self._busy_s - busy_s) / (self._slots * (now - since))) if now > since else 0.0

    def _advance(self, now: float) -> None:
        gap_s = now - self._at
        if gap_s > WINDOW_S:  # nothing has changed for longer than the window
            self._busy_s += (gap_s - WINDOW_S) * self._running
            self._at = now - WINDOW_S
            self._samples.clear()
            self._samples.append((self._at, self._busy_s))
        self._busy_s += (now - self._at) * self._running
        self._at = now
        if now - self._samples[-1][0] >= SAMPLE_S:
            self._samples.append((now, self._busy_s))
        while len(self._samples) > 1 and now - self._samples[1][0] >= WINDOW_S:
            self._samples.popleft()
