"""What users' code prints goes to the node's log, up to a rate: a flood of it fills no disk and takes no processor.

The pipe is read slowly once the rate is used up, so whoever prints too much waits; what is left out is counted.
"""

import threading
import time
from typing import IO

import structlog

BLOCK_BYTES = 16 * 1024
LINE_BYTES_MAX = 2_000
RATE_BYTES_S, BURST_BYTES = 64 * 1024, 256 * 1024
SKIPPED_BLOCK_S = 0.02  # a pause after each block that is left out: at most 0.8 MB/s are read
SAY_EVERY_S = 10.0
LOG = structlog.get_logger()


class Allowance:
    """A token bucket of bytes.

    >>> allowance = Allowance(rate_s=10.0, burst=100.0, now=0.0)
    >>> allowance.take(100, now=0.0), allowance.take(1, now=0.0), allowance.take(10, now=1.0)
    (True, False, True)
    """

    def __init__(self, rate_s: float, burst: float, now: float) -> None:
        """Full."""
        self._rate_s, self._burst = rate_s, burst
        self._left, self._at = burst, now

    def take(self, amount: int, now: float) -> bool:
        """Whether so much may pass; what may not takes nothing."""
        self._left = min(self._burst, self._left + (now - self._at) * self._rate_s)
        self._at = now
        if amount > self._left:
            return False
        self._left -= amount
        return True


class UsersOutput:
    """A thread that reads one pipe to its end."""

    def __init__(self, pipe: IO[bytes]) -> None:
        """Begins at once."""
        self._pipe = pipe
        self.left_out = 0
        self._said_at = self._said = 0.0
        self._thread = threading.Thread(target=self._run, name="users-output", daemon=True)
        self._thread.start()

    def join(self, timeout_s: float) -> None:
        """Wait until all writers have closed it."""
        self._thread.join(timeout_s)

    def _run(self) -> None:
        allowance = Allowance(RATE_BYTES_S, BURST_BYTES, time.monotonic())
        rest = b""
        with self._pipe:
            while block := self._pipe.read1(BLOCK_BYTES):  # type: ignore[attr-defined]  # of a buffered pipe
                if not allowance.take(len(block), time.monotonic()):
                    self.left_out += len(block)
                    rest = b""
                    self._say()
                    time.sleep(SKIPPED_BLOCK_S)
                    continue
                *lines, rest = (rest + block).split(b"\n")
                for line in lines:
                    self._show(line)
                if len(rest) > LINE_BYTES_MAX:
                    self._show(rest)
                    rest = b""
        if rest:
            self._show(rest)

    def _show(self, line: bytes) -> None:
        if line.strip():
            LOG.info("users' code", said=line[:LINE_BYTES_MAX].decode(errors="replace"))

    def _say(self) -> None:
        now = time.monotonic()
        if not self._said_at or now - self._said_at >= SAY_EVERY_S:
            self._said_at = now
            LOG.warning("users' code prints too much", bytes_left_out=self.left_out, bytes_s_max=RATE_BYTES_S)
