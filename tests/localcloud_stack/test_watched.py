"""How a process is kept running, with real processes and a clock that the test moves."""

import sys
import time
from pathlib import Path

import pytest

from localcloud.process import Launch, StackProcess
from localcloud.watched import FAILURES_MAX, State, Watched


class Script(StackProcess):
    """Runs a line of Python; ready once it has written its mark."""

    name = "script"
    ready_s_max = 20.0

    def __init__(self, place: Path, line: str) -> None:
        super().__init__(place / "script.log")
        self._mark = place / "mark"
        self._line = line

    def prepare(self) -> None:
        self._mark.unlink(missing_ok=True)

    def launch(self) -> Launch:
        program = f"import pathlib, time; mark = pathlib.Path({str(self._mark)!r}); {self._line}"
        return Launch((sys.executable, "-c", program))

    def is_ready(self) -> bool:
        return self._mark.exists()


SERVES = "mark.touch(); time.sleep(600)"
DIES = "raise SystemExit('no good')"


def settle(watched: Watched, state: State, now: float) -> None:
    """Step at one instant of the test's clock until the real process has brought it to `state`."""
    deadline = time.monotonic() + 60
    while watched.state is not state:
        watched.step(now)
        assert time.monotonic() < deadline, (watched.state, watched.reason)


def test_it_starts_and_is_stopped(tmp_path: Path) -> None:
    watched = Watched(Script(tmp_path, SERVES))
    settle(watched, State.RUNNING, 0.0)
    assert watched.process.pid is not None
    watched.stop()
    assert watched.state is State.STOPPED
    assert not watched.process.alive()


def test_what_was_killed_is_started_again_after_a_pause(tmp_path: Path) -> None:
    watched = Watched(Script(tmp_path, SERVES))
    settle(watched, State.RUNNING, 0.0)
    watched.process.kill()
    try:
        watched.step(100.0)
        assert watched.state is State.WAITING
        watched.step(100.4)
        assert watched.state is State.WAITING  # half a second has not passed
        settle(watched, State.RUNNING, 100.6)
        assert watched.restarts == 1
    finally:
        watched.stop()


def test_the_pause_doubles_and_then_it_is_given_up(tmp_path: Path) -> None:
    watched = Watched(Script(tmp_path, DIES))
    now, pauses = 0.0, []
    while watched.state is not State.GIVEN_UP:
        failures = watched.failures
        while watched.failures == failures:
            watched.step(now)
        pauses.append(watched.due - now)
        now = watched.due
    assert pauses[:4] == [0.5, 1.0, 2.0, 4.0]
    assert watched.failures == FAILURES_MAX + 1
    assert "no good" in watched.reason


def test_what_is_never_ready_is_ended_and_said(tmp_path: Path) -> None:
    watched = Watched(Script(tmp_path, "time.sleep(600)"))
    settle(watched, State.STARTING, 0.0)
    watched.step(21.0)
    assert watched.state is State.WAITING
    assert "was not ready within 20 s" in watched.reason
    assert not watched.process.alive()


def test_a_missing_program_is_a_failure_with_a_remedy(tmp_path: Path) -> None:
    class Missing(Script):
        def launch(self) -> Launch:
            return Launch((str(tmp_path / "nothing-here"),))

    watched = Watched(Missing(tmp_path, ""))
    watched.step(0.0)
    assert watched.state is State.WAITING
    assert "nothing-here is not there: run `make setup`" in watched.reason


@pytest.mark.parametrize("quiet_s", [59.0, 61.0])
def test_a_minute_of_running_forgives(tmp_path: Path, quiet_s: float) -> None:
    watched = Watched(Script(tmp_path, SERVES))
    settle(watched, State.RUNNING, 0.0)
    watched.failures = 3
    watched.step(time.monotonic() + quiet_s)
    try:
        assert watched.failures == (0 if quiet_s > 60 else 3)
    finally:
        watched.stop()
