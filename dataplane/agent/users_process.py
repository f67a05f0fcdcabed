"""Users' code on a node: the transform server as a process without rights.

As root it runs as a user of its own, in a session of its own, with resource limits, an environment that holds only what
the manifest declares, an interpreter that sees only the bundle, and confined by `users_boot`: no credential of the node
is in its reach, and neither are the metadata service nor the control plane. It is started again when it ends or takes
too much, with back-off; a crash loop is said in the node's health.
"""

import contextlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import structlog
from headrace_runtime.v1 import transform_pb2 as pb
from headrace_runtime.v1 import transform_pb2_grpc as pb_grpc

from dataplane.agent import users_boot
from dataplane.agent.bundle import Unpacked
from dataplane.agent.machine import USERS_PORTS
from dataplane.agent.process_metrics import family
from dataplane.agent.users_account import Account
from dataplane.agent.users_guard import Allowed, Guard
from dataplane.agent.users_output import UsersOutput
from dataplane.agent.users_place import SCRATCH, SOCKET
from dataplane.stages.transforming import open_socket

HEALTH_DEADLINE_S = 2.0
MEASURES_DEADLINE_S = 0.5
SILENT_S_MAX = 20.0
TEXT_LENGTH_MAX = 500  # of what users' process says of itself
BACKOFF_FIRST_S, BACKOFF_S_MAX = 0.2, 15.0
LOOP_CRASHES, LOOP_WINDOW_S = 5, 60.0
END_S_MAX = 17.0  # it lets calls end (10 s), then tears down (5 s)
KILLED_S_MAX, OUTPUT_S_MAX = 10.0, 2.0
EXIT_BAD_CODE = 3
UMASK = 0o077
LIMITS: dict[int, int] = {
    resource.RLIMIT_AS: 4 * 1024**3,
    resource.RLIMIT_CORE: 0,
    resource.RLIMIT_FSIZE: 1024**3,
    resource.RLIMIT_MSGQUEUE: 0,
    resource.RLIMIT_NOFILE: 1024,
    resource.RLIMIT_NPROC: 512,  # processes and threads of the user
}
LOG = structlog.get_logger()


@dataclass(slots=True)
class UsersProcess:
    """The transform server of one bundle."""

    bundle: Unpacked
    folder: Path  # of `place_for_users`: scratch, socket and compiled modules go below it
    node: str = ""
    workers: int = 1
    allowed: Allowed = field(default_factory=Allowed)
    ports: tuple[int, ...] = USERS_PORTS
    socket: Path = field(init=False)
    detail: str = field(init=False, default="not started")
    runtime_version: str = field(init=False, default="")
    is_crash_looping: bool = field(init=False, default=False)  # its workers, by its own account
    starts: int = field(init=False, default=0)
    _account: Account = field(init=False)
    _guard: Guard = field(init=False)
    _process: subprocess.Popen[bytes] | None = field(init=False, default=None)
    _output: UsersOutput | None = field(init=False, default=None)
    _channel: grpc.Channel | None = field(init=False, default=None)
    _crashes: deque[float] = field(init=False, default_factory=lambda: deque(maxlen=LOOP_CRASHES))
    _next_start: float = field(init=False, default=0.0)
    _answered_at: float = field(init=False, default=0.0)
    _scratch: Path = field(init=False)

    def __post_init__(self) -> None:
        """Claim a user and make its scratch folder anew, which is all that it may write to."""
        self._account = Account(self.node or str(self.folder))
        self._account.end_all()  # what an agent that was killed has left running
        self._scratch = self.folder / SCRATCH
        self._guard = Guard(self.allowed, self._scratch)
        self._empty_scratch()
        self.socket = self._scratch / SOCKET

    @property
    def pid(self) -> int | None:
        """While it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    @property
    def uid(self) -> int | None:
        """The user it runs as; None: the agent's own, which is not root."""
        return self._account.uid

    @property
    def output_left_out(self) -> int:
        """Bytes that it printed above the rate, since it was started."""
        return self._output.left_out if self._output else 0

    @property
    def code_is_bad(self) -> bool:
        """Loading the code failed: starting again would not help."""
        return self._process is not None and self._process.poll() == EXIT_BAD_CODE

    @property
    def is_looping(self) -> bool:
        """It has crashed again and again."""
        full = len(self._crashes) == LOOP_CRASHES
        return full and time.monotonic() - self._crashes[0] < LOOP_WINDOW_S

    def tend(self) -> None:
        """Start it when it does not run and its back-off is over; called every second or so."""
        why = ""
        if self.pid is not None:
            everything = self._account.processes() or family(self.pid)  # a child that left its parent counts too
            why = self._guard.look(everything) or self._silence()
            if not why:
                return
            self._end_at_once()
        now = time.monotonic()
        if self._process is not None and self._next_start == 0.0:
            self._crashes.append(now)
            wait_s = min(BACKOFF_S_MAX, BACKOFF_FIRST_S * 2.0 ** (len(self._crashes) - 1))
            self._next_start = now + wait_s
            self.detail = why or f"users' process ended with {self._process.returncode}"
            LOG.warning("users' process ended", why=self.detail, again_in_s=wait_s, looping=self.is_looping)
        if now >= self._next_start:
            self._start()

    def is_ready(self) -> bool:
        """Whether it has loaded the code and answers; `detail` says why not."""
        if self.pid is None:
            return False
        if self._channel is None:
            self._channel = open_socket(self.socket)
        try:
            stub = pb_grpc.TransformServiceStub(self._channel)
            answer = stub.GetHealth(pb.GetHealthRequest(), timeout=HEALTH_DEADLINE_S)
        except grpc.RpcError as e:
            self.detail = f"transform server: {e.code().name}"
            return False
        self._answered_at = time.monotonic()
        self.detail = answer.detail[:TEXT_LENGTH_MAX]
        self.runtime_version = answer.runtime_version[:TEXT_LENGTH_MAX]
        self.is_crash_looping = answer.crash_looping
        return bool(answer.ready)

    def measures(self) -> list[Any]:
        """What users' code has measured; nothing while it does not answer."""
        if self._channel is None or self.pid is None:
            return []
        try:
            stub = pb_grpc.TransformServiceStub(self._channel)
            return list(stub.GetMeasures(pb.GetMeasuresRequest(), timeout=MEASURES_DEADLINE_S).measures)
        except grpc.RpcError as e:  # an older runtime has no such call
            LOG.debug("users' measures not read", why=e.code().name)
            return []

    def stop(self) -> None:
        """Ask, then end; with everything it has started."""
        if self._channel:
            self._channel.close()
            self._channel = None
        if self._process:
            if self._process.poll() is None:
                self._process.terminate()
                try:
                    self._process.wait(END_S_MAX)
                except subprocess.TimeoutExpired:
                    self.detail = "it did not end by itself"
            self._end_at_once()
        self._account.release()

    def _end_at_once(self) -> None:
        """The process, its session, and everything else of its user."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):  # all of its session have ended
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(KILLED_S_MAX)
        self._account.end_all()
        self._let_go()

    def _silence(self) -> str:
        """It answers for its health from its first moment on, also while it loads the code."""
        silent = time.monotonic() - self._answered_at > SILENT_S_MAX
        return f"users' server has not answered for {SILENT_S_MAX:g} s: {self.detail}" if silent else ""

    def _let_go(self) -> None:
        """Close our end of what an ended process had as standard input, and read its last words."""
        if self._process and self._process.stdin:
            self._process.stdin.close()
        if self._output:
            self._output.join(OUTPUT_S_MAX)
            self._output = None

    def _empty_scratch(self) -> None:
        shutil.rmtree(self._scratch, ignore_errors=True)
        self._scratch.mkdir(mode=0o700, exist_ok=True)
        if self._account.uid is not None:
            os.chown(self._scratch, self._account.uid, self._account.uid)

    def _start(self) -> None:
        self._account.end_all()  # a session's leader may leave others behind
        self._let_go()
        self._empty_scratch()
        uid, scratch = self._account.uid, str(self._scratch)
        told = {
            "limits": list(LIMITS.items()),
            "scratch": scratch,
            "reads": [str(self.bundle.site), str(self.bundle.code), sys.base_prefix],
            "ports": list(self.ports),
        }
        command = [interpreter(), "-I", "-S", "-X", f"pycache_prefix={self._scratch / 'compiled'}"]
        command += ["-c", Path(users_boot.__file__).read_text(), json.dumps(told), str(self.bundle.site)]
        command += ["serve", "--code", str(self.bundle.code), "--socket", str(self.socket)]
        command += ["--workers", str(self.workers), "--end-with-stdin"]
        environment = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": scratch, "TMPDIR": scratch}
        self._process = subprocess.Popen(
            command,
            cwd=self._scratch,
            env=self.bundle.variables | environment,
            stdin=subprocess.PIPE,  # it ends when we do, however we end
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            user=uid,
            group=uid,
            extra_groups=None if uid is None else [],
            umask=UMASK,
            start_new_session=True,
        )
        if self._process.stdout:
            self._output = UsersOutput(self._process.stdout)
        self.starts += 1
        self._next_start = 0.0
        self._answered_at = time.monotonic()
        self.detail = "loading the code"


def interpreter() -> str:
    """The system's own Python under this environment: users' code brings its packages with it."""
    return str(getattr(sys, "_base_executable", sys.executable))
