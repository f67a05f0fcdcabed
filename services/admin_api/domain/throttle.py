"""Bad credentials are answered slowly: after a few within a minute, an address waits.

Only failures count, so a good token is never held up by its own use; an address behind which both live is.
"""

from collections import OrderedDict, deque

BAD_MAX = 10
WINDOW_S = 60.0
ADDRESSES_MAX = 10_000


class BadTokenThrottle:
    """Counts failures per address; `now` is monotonic seconds."""

    def __init__(self) -> None:
        self._bad: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_s(self, address: str, now: float) -> float:
        """Seconds until this address may try again; 0 when it may now."""
        times = self._bad.get(address)
        if times is None:
            return 0.0
        while times and times[0] <= now - WINDOW_S:
            times.popleft()
        return max(0.0, times[0] + WINDOW_S - now) if len(times) >= BAD_MAX else 0.0

    def failed(self, address: str, now: float) -> None:
        """One more failure."""
        self._bad.setdefault(address, deque(maxlen=BAD_MAX)).append(now)
        self._bad.move_to_end(address)
        while len(self._bad) > ADDRESSES_MAX:
            self._bad.popitem(last=False)
