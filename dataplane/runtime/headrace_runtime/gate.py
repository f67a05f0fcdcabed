"""How many calls a server takes at once; who comes on top is told when to come back.

A call that waits here costs memory and its caller's deadline, and helps nobody: it waits better where its events are
safe. The push-back is how long the calls that are ahead will take, by the mean of the last ones.
"""

import threading

PUSH_BACK_S_MIN, PUSH_BACK_S_MAX = 0.01, 5.0
MEAN_SHARE = 0.1  # of the newest call in the moving mean


class Gate:
    """Used by many threads.

    >>> gate = Gate(limit=2, workers=1)
    >>> gate.enter(), gate.enter(), gate.enter()
    (True, True, False)
    >>> gate.leave(0.3); gate.turn_away()
    0.3
    >>> gate.taken, gate.turned_away
    (2, 1)
    """

    def __init__(self, limit: int, workers: int) -> None:
        """At most `limit` calls, waiting or running, on so many workers."""
        self.limit = limit
        self._workers = workers
        self._lock = threading.Lock()
        self._mean_s = 0.0
        self.inside = 0
        self.taken = self.turned_away = 0  # calls since the beginning

    def enter(self) -> bool:
        """Whether there is room; if so, it must be left."""
        with self._lock:
            if self.inside >= self.limit:
                return False
            self.inside += 1
            self.taken += 1
            return True

    def leave(self, took_s: float) -> None:
        """A call is over; it took so long at its worker (0: it had none)."""
        with self._lock:
            self.inside -= 1
            if took_s > 0.0:
                self._mean_s = took_s if self._mean_s == 0.0 else self._mean_s + MEAN_SHARE * (took_s - self._mean_s)

    def turn_away(self) -> float:
        """One more call is; when it may come back, seconds."""
        with self._lock:
            self.turned_away += 1
            return min(PUSH_BACK_S_MAX, max(PUSH_BACK_S_MIN, self._mean_s * self.inside / self._workers))
