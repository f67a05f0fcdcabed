"""Wakes the event streams of this process when something changed; what changed they read from the store."""

import asyncio


class Changes:
    """A bell that all streams hear."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Event] = set()
        self.closed = False

    def ring(self) -> None:
        """Something changed."""
        for waiter in self._waiting:
            waiter.set()

    def close(self) -> None:
        """Streams end, so that the server can."""
        self.closed = True
        self.ring()

    async def wait(self, timeout_s: float) -> None:
        """Until the next ring, at most `timeout_s`."""
        waiter = asyncio.Event()
        self._waiting.add(waiter)
        try:
            async with asyncio.timeout(timeout_s):
                await waiter.wait()
        except TimeoutError:
            return
        finally:
            self._waiting.discard(waiter)
