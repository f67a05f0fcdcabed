"""One process of the stack: how it is started, known to be ready, and stopped.

Each runs in a session of its own, so that a terminal's Ctrl-C reaches the supervisor only, and so that stopping it also
stops what it started. Its output goes to a log file that is kept small.
"""

import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from localcloud.errors import NotReadyError, PortInUseError, ToolMissingError
from localcloud.ports import is_free

LOG_BYTES_MAX = 20 * 1024 * 1024
LOG_LINES_SHOWN = 12
PROBE_EVERY_S = 0.05
KILL_WAIT_S = 5.0


@dataclass(frozen=True, slots=True)
class Launch:
    """What is started: a command with its whole environment, and the user it runs as (None: ours)."""

    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    user: tuple[int, int] | None = None  # uid, gid
    directory: Path | None = None


class StackProcess(ABC):
    """Something that runs; subclasses say what is started, on which ports, and when it is ready."""

    name: str
    ready_s_max: float = 90.0
    stop_s_max: float = 10.0
    stop_signal: signal.Signals = signal.SIGTERM
    layer: int = 0  # what stands on what: servers 0, the cloud 1, Headrace's own processes 2

    def __init__(self, log: Path) -> None:
        """`log`: the file that receives the output; one older file is kept beside it."""
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._asked_to_stop = False

    @abstractmethod
    def launch(self) -> Launch:
        """What to start; raises ToolMissingError."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether it answers now; must return within a second or two and never raise for "not yet"."""

    def ports(self) -> tuple[int, ...]:
        """The loopback ports it listens on."""
        return ()

    def prepare(self) -> None:
        """What must be on disk before it starts; called at every start."""

    def after_start(self) -> None:
        """What must be set once it answers; called at every start, so it must be idempotent."""

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process and self.alive() else None

    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs or before it was started."""
        return self._process.poll() if self._process else None

    def start(self) -> None:
        """Start and wait until ready; raises StackError and leaves nothing running when it does not get there."""
        self.spawn()
        try:
            self.wait_ready()
            self.after_start()
        except BaseException:
            self.kill()
            raise

    def spawn(self) -> None:
        """Start without waiting."""
        self.prepare()
        for port in self.ports():
            if not is_free(port):
                raise PortInUseError(
                    f"port {port}, where {self.name} should listen, is in use by {holder_of(port)}: stop that program, "
                    "or remove .headrace/stack.json so that other ports are chosen."
                )
        launch = self.launch()
        self._asked_to_stop = False
        uid, gid = launch.user or (None, None)
        rotate(self.log)
        with self.log.open("ab") as log:
            try:
                self._process = subprocess.Popen(
                    launch.command,
                    env=dict(launch.environment),
                    cwd=launch.directory,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    user=uid,
                    group=gid,
                    extra_groups=[] if launch.user else None,
                )
            except FileNotFoundError as error:
                raise ToolMissingError(
                    f"{self.name}: {launch.command[0]} is not there: run `make setup`, which gets it."
                ) from error

    def wait_ready(self) -> None:
        """Return when it answers; raises NotReadyError with the log's last lines."""
        deadline = time.monotonic() + self.ready_s_max
        while True:
            if not self.alive():
                raise NotReadyError(f"{self.name} ended with {self.exit_code} before it was ready. {self.last_words()}")
            if self.is_ready():
                return
            if time.monotonic() > deadline:
                raise NotReadyError(f"{self.name} was not ready within {self.ready_s_max:.0f} s. {self.last_words()}")
            time.sleep(PROBE_EVERY_S)

    def ask_to_stop(self) -> None:
        """Send the signal that ends it in good order, once (a second one means haste to many); does not wait."""
        if self._process and self.alive() and not self._asked_to_stop:
            self._asked_to_stop = True
            self._process.send_signal(self.stop_signal)

    def stop(self) -> None:
        """Ask it to end, wait, then kill; also what it has started."""
        if self._process is None:
            return
        self.ask_to_stop()
        try:
            self._process.wait(self.stop_s_max)
        except subprocess.TimeoutExpired:
            self.kill()
        kill_session(self._process.pid)

    def kill(self) -> None:
        """End it at once."""
        if self._process is None:
            return
        kill_session(self._process.pid)
        if self.alive():
            self._process.kill()
        try:
            self._process.wait(KILL_WAIT_S)
        except subprocess.TimeoutExpired as error:
            raise NotReadyError(f"{self.name} (process {self._process.pid}) does not end even when killed.") from error

    def memory_mb(self) -> float:
        """Resident memory, of it and of what it has started."""
        return memory_mb(self.pid) if self.pid else 0.0

    def last_words(self) -> str:
        """The end of the log, to put in an error."""
        try:
            lines = self.log.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:]
        except OSError:
            return "It wrote no log."
        return f"The end of {self.log}:\n    " + "\n    ".join(lines)


def memory_mb(pid: int) -> float:
    """Resident memory of a process and of what it has started."""
    try:
        root = psutil.Process(pid)
        family = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0.0
    return sum(resident_bytes(one) for one in family) / 1e6


def resident_bytes(process: psutil.Process) -> int:
    """Resident memory, what is shared with others counted once among them; 0 when it is gone."""
    try:
        return int(process.memory_full_info().pss)
    except psutil.AccessDenied:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def kill_session(leader: int) -> None:
    """Kill whatever is left of the session that a process led."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return  # nothing is left (or only what has ended and waits to be reaped)


def rotate(log: Path) -> None:
    """Move a log that has grown too large aside; one old file is kept."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > LOG_BYTES_MAX:
        log.replace(log.with_suffix(".old" + log.suffix))


def holder_of(port: int) -> str:
    """Who listens on a port, in words."""
    for connection in psutil.net_connections("inet"):
        if (
            connection.status == psutil.CONN_LISTEN
            and connection.laddr
            and connection.laddr.port == port
            and connection.pid
        ):
            try:
                return f"process {connection.pid} ({psutil.Process(connection.pid).name()})"
            except psutil.NoSuchProcess:
                break
    return "another program"
