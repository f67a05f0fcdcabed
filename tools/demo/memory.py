"""The peak of the stack's resident memory, sampled."""

import threading

from tools.demo.world import resident_mb

EVERY_S = 2.0


class PeakMemory:
    """Samples in a thread until stopped."""

    def __init__(self) -> None:
        self.megabytes = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def _sample(self) -> None:
        while not self._ended.wait(EVERY_S):
            self.megabytes = max(self.megabytes, resident_mb())

    def stop(self) -> None:
        """End sampling."""
        self._ended.set()
        self._thread.join(timeout=EVERY_S * 2)
