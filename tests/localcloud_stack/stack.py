"""The commands of the embedded stack, on a directory of a test's own."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from localcloud.status import Status, is_same_process, read_status

COMMAND_S_MAX = 240.0
WAIT_S = 90.0


class Stack:
    """`up`, `down` and the rest, as a person types them."""

    def __init__(self, directory: Path) -> None:
        """`directory`: its `.headrace`."""
        self.directory = directory

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        name, *rest = arguments
        command = [sys.executable, "-m", "localcloud.cli", name, "--directory", str(self.directory), *rest]
        settings = {**os.environ, **environment}
        return subprocess.run(command, env=settings, capture_output=True, text=True, timeout=COMMAND_S_MAX, check=False)

    def status(self) -> Status:
        """What the supervisor last saw."""
        status = read_status(self.directory)
        assert status is not None
        return status

    def pid(self, name: str) -> int:
        """The process id of a part that runs."""
        [part] = [part for part in self.status().parts if part.name == name]
        assert part.pid is not None, part
        return part.pid

    def state(self, name: str) -> str:
        """A part's state."""
        [part] = [part for part in self.status().parts if part.name == name]
        return part.state

    def alive(self) -> list[str]:
        """The parts whose processes run."""
        return [part.name for part in self.status().parts if part.pid and is_same_process(part.pid, part.created)]


def wait_for(condition: Callable[[], bool], what: str = "the condition") -> None:
    """Return when it holds; fails after WAIT_S."""
    deadline = time.monotonic() + WAIT_S
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come about within {WAIT_S} s"
        pause.wait(0.05)
