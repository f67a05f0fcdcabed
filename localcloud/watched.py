"""A process that is kept running: what state it is in, and when it is started again.

    WAITING ──due──> STARTING ──ready──> RUNNING
       ^                │ ended, or late     │ ended
       └────────────────┴────────────────────┘      GIVEN_UP after too many failures in a row

The wait doubles with each failure in a row, up to a limit; a minute of running forgives them all.
"""

import time
from dataclasses import dataclass
from enum import StrEnum

import psutil

from localcloud.errors import StackError
from localcloud.process import StackProcess

DELAY_S_MIN = 0.5
DELAY_S_MAX = 30.0
FAILURES_MAX = 10
FORGIVEN_AFTER_S = 60.0


class State(StrEnum):
    """Where a process is."""

    WAITING = "waiting"
    STARTING = "starting"
    RUNNING = "running"
    GIVEN_UP = "given up"
    STOPPED = "stopped"


def restart_delay_s(failures: int) -> float | None:
    """Seconds until the next start after `failures` in a row; None: no more.

    >>> [restart_delay_s(n) for n in (1, 2, 3, 7, 8, 10, 11)]
    [0.5, 1.0, 2.0, 30.0, 30.0, 30.0, None]
    """
    if failures > FAILURES_MAX:
        return None
    return float(min(DELAY_S_MAX, DELAY_S_MIN * 2 ** (failures - 1)))


@dataclass(slots=True)
class Watched:
    """A process with its state; `step` moves it on and never blocks longer than one probe."""

    process: StackProcess
    state: State = State.WAITING
    since: float = 0.0  # monotonic, of the state
    due: float = 0.0  # monotonic, of the next start
    failures: int = 0  # in a row
    restarts: int = 0  # in all
    ready_s: float | None = None  # of the last start
    reason: str = ""  # of the last failure
    created: float = 0.0  # the system's time of the process' start: with the pid it names the process for good

    @property
    def name(self) -> str:
        """The process' name."""
        return self.process.name

    def step(self, now: float) -> bool:
        """Look once and act; returns whether the state has changed."""
        before = (self.state, self.failures)
        match self.state:
            case State.WAITING if now >= self.due:
                self._spawn(now)
            case State.STARTING:
                self._look_whether_ready(now)
            case State.RUNNING if not self.process.alive():
                self._fail(f"{self.name} ended with {self.process.exit_code}. {self.process.last_words()}", now)
                self.process.kill()  # what it had started must not hold its ports
            case State.RUNNING if self.failures and now - self.since > FORGIVEN_AFTER_S:
                self.failures = 0
            case _:
                pass
        return (self.state, self.failures) != before

    def stop(self) -> None:
        """End the process for good."""
        self.process.stop()
        self.state = State.STOPPED

    def _spawn(self, now: float) -> None:
        try:
            self.process.spawn()
        except (StackError, OSError) as error:
            self._fail(str(error), now)
            return
        pid = self.process.pid
        self.created = psutil.Process(pid).create_time() if pid else 0.0
        self.state, self.since = State.STARTING, now

    def _look_whether_ready(self, now: float) -> None:
        if not self.process.alive():
            code = self.process.exit_code
            self._fail(f"{self.name} ended with {code} before it was ready. {self.process.last_words()}", now)
        elif self.process.is_ready():
            self.process.after_start()
            now = time.monotonic()
            self.ready_s = now - self.since
            self.state, self.since = State.RUNNING, now
        elif now - self.since > self.process.ready_s_max:
            late = f"{self.name} was not ready within {self.process.ready_s_max:.0f} s. {self.process.last_words()}"
            self.process.kill()
            self._fail(late, now)

    def _fail(self, reason: str, now: float) -> None:
        self.failures += 1
        self.reason = reason
        delay = restart_delay_s(self.failures)
        if delay is None:
            self.state, self.since = State.GIVEN_UP, now
            return
        self.restarts += 1
        self.state, self.since, self.due = State.WAITING, now, now + delay
