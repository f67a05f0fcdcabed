"""Users' code on a node: the transform server as a process without rights.

As root it runs as `nobody`, in a session of its own, with resource limits, an environment that holds only what the
manifest declares, and an interpreter that sees only the bundle: no credential of the node is in its reach. It is
started again when it ends, with back-off; a crash loop is said in the node's health.
"""

import contextlib
import json
import os
import pwd
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import structlog
from headrace_runtime.v1 import transform_pb2 as pb
from headrace_runtime.v1 import transform_pb2_grpc as pb_grpc

from dataplane.agent.bundle import Unpacked
from dataplane.stages.transforming import open_socket

USER = "nobody"
HEALTH_DEADLINE_S = 2.0
BACKOFF_FIRST_S, BACKOFF_S_MAX = 0.2, 15.0
LOOP_CRASHES, LOOP_WINDOW_S = 5, 60.0
END_S_MAX = 5.0
SOCKET_PATH_MAX = 100  # the kernel's limit is 108 bytes
SCRATCH, SOCKET = "scratch", "transform.sock"
EXIT_BAD_CODE = 3
UMASK = 0o077
LIMITS: dict[int, int] = {
    resource.RLIMIT_AS: 4 * 1024**3,
    resource.RLIMIT_CORE: 0,
    resource.RLIMIT_FSIZE: 1024**3,
    resource.RLIMIT_NOFILE: 1024,
    resource.RLIMIT_NPROC: 4096,  # of the user, all nodes of this machine together
}
# Ours, and before any of theirs: the process takes its own limits, which it cannot raise again, then the bundle's path.
_BOOT = """
import json, resource, site, sys
for limit, most in json.loads(sys.argv.pop(1)):
    hard = resource.getrlimit(limit)[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(limit, (most, most))
site.addsitedir(sys.argv.pop(1))
from headrace_runtime.command import main
sys.exit(main())
"""
LOG = structlog.get_logger()


@dataclass(slots=True)
class UsersProcess:
    """The transform server of one bundle."""

    bundle: Unpacked
    folder: Path  # of `place_for_users`: scratch, socket and compiled modules go below it
    workers: int = 1
    socket: Path = field(init=False)
    detail: str = field(init=False, default="not started")
    starts: int = field(init=False, default=0)
    _process: subprocess.Popen[bytes] | None = field(init=False, default=None)
    _channel: grpc.Channel | None = field(init=False, default=None)
    _crashes: deque[float] = field(init=False, default_factory=lambda: deque(maxlen=LOOP_CRASHES))
    _next_start: float = field(init=False, default=0.0)
    _scratch: Path = field(init=False)

    def __post_init__(self) -> None:
        """Make its scratch folder, which is all that it may write to."""
        self._scratch = self.folder / SCRATCH
        self._scratch.mkdir(mode=0o700, exist_ok=True)
        if os.geteuid() == 0:
            account = pwd.getpwnam(USER)
            os.chown(self._scratch, account.pw_uid, account.pw_gid)
        self.socket = self._scratch / SOCKET

    @property
    def pid(self) -> int | None:
        """While it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

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
        if self.pid is not None:
            return
        now = time.monotonic()
        if self._process is not None and self._next_start == 0.0:
            self._crashes.append(now)
            wait_s = min(BACKOFF_S_MAX, BACKOFF_FIRST_S * 2.0 ** (len(self._crashes) - 1))
            self._next_start = now + wait_s
            self.detail = f"users' process ended with {self._process.returncode}"
            LOG.warning(
                "users' process ended", code=self._process.returncode, again_in_s=wait_s, looping=self.is_looping
            )
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
        self.detail = answer.detail
        return bool(answer.ready)

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
            with contextlib.suppress(ProcessLookupError):  # all of its session have ended
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(END_S_MAX)
            self._let_go()

    def _let_go(self) -> None:
        """Close our end of what an ended process had as standard input."""
        if self._process and self._process.stdin:
            self._process.stdin.close()

    def _start(self) -> None:
        command = [interpreter(), "-I", "-S", "-X", f"pycache_prefix={self._scratch / 'compiled'}", "-c", _BOOT]
        command += [
            json.dumps(list(LIMITS.items())),
            str(self.bundle.site),
            "serve",
            "--code",
            str(self.bundle.code),
            "--socket",
            str(self.socket),
        ]
        command += ["--workers", str(self.workers), "--end-with-stdin"]
        scratch = str(self._scratch)
        environment = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": scratch, "TMPDIR": scratch}
        account = pwd.getpwnam(USER) if os.geteuid() == 0 else None
        self._let_go()
        self._process = subprocess.Popen(
            command,
            cwd=self._scratch,
            env=self.bundle.variables | environment,
            stdin=subprocess.PIPE,  # it ends when we do, however we end
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
            umask=UMASK,
            start_new_session=True,
        )
        self.starts += 1
        self._next_start = 0.0
        self.detail = "loading the code"


def place_for_users(state: Path) -> Path:
    """A folder that other users can reach, for bundle and scratch: in the node's own, else a temporary one."""
    place = state / "users"
    reachable = os.geteuid() != 0 or all(parent.stat().st_mode & 0o001 for parent in place.parents)
    if not reachable or len(str(place / SCRATCH / SOCKET)) > SOCKET_PATH_MAX:
        place = Path(tempfile.mkdtemp(prefix="headrace-"))
    place.mkdir(parents=True, exist_ok=True)
    place.chmod(0o755)
    return place


def interpreter() -> str:
    """The system's own Python under this environment: users' code brings its packages with it."""
    return str(getattr(sys, "_base_executable", sys.executable))
