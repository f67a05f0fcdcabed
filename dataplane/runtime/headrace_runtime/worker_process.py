"""One worker process as the server sees it: started, called with a deadline, ended.

An event that a worker died on, or did not finish by the deadline, fails non-recoverably when it is certain that it was
at fault; the events after it, which nobody ran, fail recoverably. A batch function that dies on several events leaves
open which one it was, and so does a coroutine function: all are recoverable, and the caller comes back with smaller batches.
"""

import contextlib
import json
import mmap
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from headrace_runtime.applying import Result
from headrace_runtime.failures import Failure
from headrace_runtime.frames import Closed, receive, send, unpack_results
from headrace_runtime.margins import kept_back_s
from headrace_runtime.measuring import Recorder
from headrace_runtime.worker import BAD_CODE, INDEX_BYTES, NOT_YET, READY, SECONDS, read_index, reset_index

LOAD_S_MAX = 60.0
KILLED_S_MAX = 10.0  # until the kernel has taken a killed process away
RETURN_S_MIN = 0.05  # before the caller's time is up, a worker that can gives back what it has
# A worker sees what this process sees, and nothing of its own environment or site.
_BOOT = "import json,sys;sys.path[:]=json.loads(sys.argv.pop(1));from headrace_runtime.worker import main;main()"


class LoadError(Exception):
    """A worker could not load the code: it will not be able to next time either."""


class NotYetError(Exception):
    """A worker could not set itself up just now; the message says why."""


class WorkerProcess:
    """Used by one thread at a time."""

    def __init__(self, folder: Path, measured: Recorder) -> None:
        """Starts nothing yet. What users' code measures goes to `measured`."""
        self._folder = folder
        self._measured = measured
        self._index_fd = os.memfd_create("headrace-index")
        os.ftruncate(self._index_fd, INDEX_BYTES)
        self._index = mmap.mmap(self._index_fd, INDEX_BYTES)
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: socket.socket | None = None
        self.functions: dict[str, str] = {}  # name: kind
        self.starts = 0

    @property
    def is_up(self) -> bool:
        """Whether it can be called."""
        return self._connection is not None and self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start and wait until the code is loaded and set up; LoadError or NotYetError when it is not."""
        self.kill()
        ours, theirs = socket.socketpair()
        cache = ["-X", f"pycache_prefix={sys.pycache_prefix}"] if sys.pycache_prefix else []
        arguments = [json.dumps(sys.path), str(self._folder), str(theirs.fileno()), str(self._index_fd)]
        try:
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", *cache, "-c", _BOOT, *arguments],
                    pass_fds=(theirs.fileno(), self._index_fd),
                    stdin=subprocess.DEVNULL,
                    process_group=0,  # what it starts ends with it
                )
        except OSError as e:  # no process or memory is left just now
            ours.close()
            raise NotYetError(f"a worker cannot be started: {e}") from e
        ours.settimeout(LOAD_S_MAX)
        self._connection = ours
        self.starts += 1
        try:
            kind, *rest = receive(ours)
        except (Closed, TimeoutError, ConnectionError) as e:
            self.kill()
            raise LoadError(f"the worker ended or hung while it loaded the code ({self._exit_text()})") from e
        if kind == NOT_YET:
            self.kill()
            raise NotYetError(rest[0].decode())
        if kind != READY:
            self.kill()
            raise LoadError(rest[0].decode() if kind == BAD_CODE else f"the worker said {kind!r:.40}")
        names = [blob.decode() for blob in rest]
        self.functions = dict(zip(names[::2], names[1::2], strict=True))

    def call(self, function: str, events: Sequence[bytes], deadline: float) -> list[Result]:
        """A result for each event by the monotonic `deadline`; the process is ended when it is not done by then."""
        if self._connection is None:
            return [Failure(True, "WorkerDown", "the worker is being started again")] * len(events)
        results: list[Result] = []
        reset_index(self._index)
        try:
            self._connection.settimeout(_left(deadline))
            left_s = _left(deadline)
            allowed_s = left_s - kept_back_s(left_s, RETURN_S_MIN)
            send(self._connection, [function.encode(), SECONDS.pack(allowed_s), *events])
            while len(results) < len(events):
                self._connection.settimeout(_left(deadline))
                measured, *packed = receive(self._connection)
                if measured:
                    self._measured.merge(json.loads(measured))
                results += unpack_results(packed, len(events) - len(results))
        except TimeoutError:
            self.kill()
            return self._blamed(function, results, len(events), "Timeout", "it did not end in time")
        except (Closed, ConnectionError):
            self.kill()
            text = f"users' process died ({self._exit_text()})"
        except (ValueError, TypeError, LookupError, struct.error) as e:  # users' code has written to our socket
            self.kill()
            text = f"users' process sent what is no answer ({type(e).__name__}: {e!s:.80})"
            del results[:]
        else:
            return results
        return self._blamed(function, results, len(events), "WorkerCrashed", text)

    def kill(self) -> None:
        """End it at once; users' code is not asked."""
        if self._connection:
            self._connection.close()
            self._connection = None
        if self._process:
            with contextlib.suppress(ProcessLookupError):  # all of its group have ended
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(KILLED_S_MAX)

    def ask_to_end(self) -> None:
        """Let it tear down what users' code set up."""
        if self._connection:
            with contextlib.suppress(OSError):  # it has ended already
                self._connection.shutdown(socket.SHUT_WR)

    def close(self, grace_s: float) -> None:
        """End it, after at most so long; it cannot be started again."""
        if self._process and self._process.poll() is None:
            try:
                self._process.wait(grace_s)
            except subprocess.TimeoutExpired:
                print(f"a worker did not tear down in {grace_s:g} s and is killed", file=sys.stderr)  # noqa: T201  the log
        self.kill()
        self._index.close()
        os.close(self._index_fd)

    def _blamed(self, function: str, done: list[Result], count: int, reason: str, text: str) -> list[Result]:
        at_fault = read_index(self._index)
        certain = self.functions.get(function) == "one" or count == 1
        rest: list[Result] = []
        for i in range(len(done), count):
            if i == at_fault and certain:
                rest.append(Failure(False, reason, f"{text} while it worked on this event"))
            else:
                rest.append(Failure(True, reason, f"{text} while it worked on other events of the batch"))
        return done + rest

    def _exit_text(self) -> str:
        code = self._process.returncode if self._process else None
        return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"


def _left(deadline: float) -> float:
    return max(0.001, deadline - time.monotonic())
