"""The event loops that Pulumi's SDK makes for our programs, closed when the SDK forgets to.

An inline program runs in a loop of a thread of the SDK. When the engine dies under it, the SDK's own clean-up fails at the
first message to the dead engine, and the loop with its sockets is never closed: a leak of three descriptors a crash.
"""

import asyncio
import threading
import time
from collections.abc import Callable

SDK_CLOSES_S_MAX = 2.0
POLL_S = 0.02


class ProgramLoops:
    """The loops of one run."""

    def __init__(self) -> None:
        """None yet."""
        self._loops: list[asyncio.AbstractEventLoop] = []
        self._lock = threading.Lock()

    def noted(self, program: Callable[[], None]) -> Callable[[], None]:
        """The same program, whose loop is remembered."""

        def run() -> None:
            with self._lock:
                self._loops.append(asyncio.get_running_loop())
            program()

        return run

    def close(self) -> None:
        """After the run: give the SDK its time, then close what it left open."""
        with self._lock:
            loops, self._loops = self._loops, []
        ends_at = time.monotonic() + SDK_CLOSES_S_MAX
        for loop in loops:
            while not loop.is_closed() and time.monotonic() < ends_at:
                time.sleep(POLL_S)
            if not loop.is_closed() and not loop.is_running():
                loop.close()
