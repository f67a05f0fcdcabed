"""Worker processes as the server sees them: called with a deadline, and started again when they crash or hang.

An event that a worker died on, or did not finish by the deadline, fails non-recoverably when it is certain that it was
at fault; the events after it, which nobody ran, fail recoverably. A batch function that dies on several events leaves
open which one it was: all are recoverable, and the caller comes back with smaller batches.
"""

import json
import mmap
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from headrace_runtime.applying import Result
from headrace_runtime.failures import Failure
from headrace_runtime.frames import Closed, receive, send, unpack_results
from headrace_runtime.worker import BATCH, INDEX_BYTES, read_index, reset_index

LOAD_S_MAX = 60.0
ANSWER_MARGIN_S = 0.2  # of the caller's deadline, kept to send the answer
BACKOFF_FIRST_S = 0.1
BACKOFF_S_MAX = 10.0
CRASHES_CALM_S = 30.0  # a worker that lived so long starts the back-off anew
END_S = 10.0
# A worker sees what this process sees, and nothing of its own environment or site.
_BOOT = "import json,sys;sys.path[:]=json.loads(sys.argv.pop(1));from headrace_runtime.worker import main;main()"


class LoadError(Exception):
    """A worker could not load the code."""


class Worker:
    """One process; used by one thread at a time."""

    def __init__(self, folder: Path) -> None:
        """Starts nothing yet."""
        self._folder = folder
        self._index_fd = os.memfd_create("headrace-index")
        os.ftruncate(self._index_fd, INDEX_BYTES)
        self._index = mmap.mmap(self._index_fd, INDEX_BYTES)
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: socket.socket | None = None
        self._crashes = 0
        self._started_at = 0.0
        self.functions: dict[str, bool] = {}  # name: whether it takes batches
        self.starts = 0

    def start(self) -> None:
        """Start and wait until the code is loaded; LoadError when it is not."""
        ours, theirs = socket.socketpair()
        cache = ["-X", f"pycache_prefix={sys.pycache_prefix}"] if sys.pycache_prefix else []
        arguments = [json.dumps(sys.path), str(self._folder), str(theirs.fileno()), str(self._index_fd)]
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", *cache, "-c", _BOOT, *arguments],
            pass_fds=(theirs.fileno(), self._index_fd),
            stdin=subprocess.DEVNULL,
        )
        theirs.close()
        ours.settimeout(LOAD_S_MAX)
        self._connection, self._started_at = ours, time.monotonic()
        self.starts += 1
        try:
            kind, *rest = receive(ours)
        except (Closed, TimeoutError, ConnectionError) as e:
            self._end()
            raise LoadError(f"the worker ended or hung while it loaded the code ({self._exit_text()})") from e
        if kind != b"ready":
            self._end()
            raise LoadError(rest[0].decode())
        self.functions = {name[1:].decode(): name[:1] == BATCH for name in rest}

    def call(self, function: str, events: Sequence[bytes], deadline: float) -> list[Result]:
        """A result for each event by the monotonic `deadline`; the process is ended when it is not done by then."""
        if self._process is None or self._process.poll() is not None:
            self._restart(deadline)
        if self._connection is None:
            return [Failure(True, "WorkerDown", "the worker is being started again")] * len(events)
        results: list[Result] = []
        reset_index(self._index)
        try:
            self._connection.settimeout(max(0.001, deadline - time.monotonic()))
            send(self._connection, [function.encode(), *events])
            while len(results) < len(events):
                self._connection.settimeout(max(0.001, deadline - time.monotonic()))
                results += unpack_results(receive(self._connection))
        except TimeoutError:
            self._end()
            return self._blamed(
                results, len(events), "Timeout", "it did not end in time", batch_wide=self.functions[function]
            )
        except (Closed, ConnectionError):
            self._end()
            text = f"users' process died ({self._exit_text()})"
            return self._blamed(results, len(events), "WorkerCrashed", text, batch_wide=self.functions[function])
        return results

    def stop(self) -> None:
        """End the process; users' code is not asked."""
        self._end()
        self._index.close()
        os.close(self._index_fd)

    def _blamed(self, done: list[Result], count: int, reason: str, text: str, *, batch_wide: bool) -> list[Result]:
        at_fault = read_index(self._index)
        self._crashes += 1
        rest: list[Result] = []
        for i in range(len(done), count):
            if i == at_fault and (not batch_wide or count == 1):
                rest.append(Failure(False, reason, f"{text} while it worked on this event"))
            else:
                rest.append(Failure(True, reason, f"{text} while it worked on other events of the batch"))
        return done + rest

    def _restart(self, deadline: float) -> None:
        if time.monotonic() - self._started_at > CRASHES_CALM_S:
            self._crashes = 0
        wait_s = min(BACKOFF_S_MAX, BACKOFF_FIRST_S * 2 ** max(0, self._crashes - 2)) if self._crashes > 1 else 0.0
        due = self._started_at + wait_s
        if due > deadline:
            return
        time.sleep(max(0.0, due - time.monotonic()))
        try:
            self.start()
        except LoadError:
            self._crashes += 1

    def _end(self) -> None:
        if self._connection:
            self._connection.close()
            self._connection = None
        if self._process:
            self._process.kill()
            self._process.wait(END_S)

    def _exit_text(self) -> str:
        code = self._process.returncode if self._process else None
        return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"


class WorkerPool:
    """N workers; each call takes one that is free."""

    def __init__(self, folder: Path, count: int) -> None:
        """Starts nothing yet."""
        self._workers = [Worker(folder) for _ in range(count)]
        self._free: queue.SimpleQueue[Worker] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self.detail = "loading the code"
        self.ready = False

    @property
    def functions(self) -> dict[str, bool]:
        """The declared functions: whether each takes batches."""
        return self._workers[0].functions

    @property
    def restarts(self) -> int:
        """How often a worker was started again."""
        return sum(max(0, w.starts - 1) for w in self._workers)

    def start(self) -> None:
        """Start all; LoadError when the code cannot be loaded."""
        for worker in self._workers:
            try:
                worker.start()
            except LoadError as e:
                self.detail = str(e)
                raise
            self._free.put(worker)
        self.ready, self.detail = True, ""

    @contextmanager
    def taken(self, wait_s: float) -> Iterator[Worker]:
        """A free worker; queue.Empty when none became free in time."""
        worker = self._free.get(timeout=max(0.0, wait_s))
        try:
            yield worker
        finally:
            self._free.put(worker)

    def stop(self) -> None:
        """End all."""
        for worker in self._workers:
            worker.stop()
