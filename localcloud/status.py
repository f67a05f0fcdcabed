"""`status.json`: what the supervisor last saw, for `up`, `status`, `down`; and ending what a dead one left."""

import json
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path

import psutil

from localcloud.process import kill_session
from localcloud.state import read_json, write_private

END_S_MAX = 15.0
CLOCK_STEP_S = 1.0  # how far two readings of one process' start time may lie apart


class Phase(StrEnum):
    """Where the stack as a whole is."""

    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Part:
    """One process, or one piece of work of the start."""

    name: str
    state: str
    pid: int | None = None
    created: float = 0.0
    restarts: int = 0
    ready_s: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    """The stack, as the supervisor last saw it."""

    phase: Phase
    pid: int
    created: float
    profile: str = "default"
    took_s: float | None = None
    error: str = ""
    parts: Sequence[Part] = field(default_factory=tuple)

    def supervisor_alive(self) -> bool:
        """Whether the supervisor that wrote this still runs."""
        return is_same_process(self.pid, self.created)


def write_status(directory: Path, status: Status) -> None:
    """Replace the status."""
    write_private(directory / "status.json", json.dumps(asdict(status), indent=1))


def read_status(directory: Path) -> Status | None:
    """The status; None when there never was a start."""
    content = read_json(directory / "status.json")
    if not content:
        return None
    parts = tuple(Part(**part) for part in content.pop("parts"))
    return Status(**{**content, "phase": Phase(content["phase"]), "parts": parts})


def is_same_process(pid: int, created: float) -> bool:
    """Whether a process id still means the process that was started then."""
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - created) < CLOCK_STEP_S and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def end_leftovers(status: Status) -> list[str]:
    """End the processes of a supervisor that died, newest first; returns their names."""
    ended = []
    for part in reversed(status.parts):
        if part.pid is None or not is_same_process(part.pid, part.created):
            continue
        ended.append(part.name)
        # SIGINT is PostgreSQL's fast shutdown; all others end on SIGTERM.
        os.kill(part.pid, signal.SIGINT if part.name == "postgres" else signal.SIGTERM)
        deadline = time.monotonic() + END_S_MAX
        while is_same_process(part.pid, part.created) and time.monotonic() < deadline:
            time.sleep(0.05)
        kill_session(part.pid)
    return ended
