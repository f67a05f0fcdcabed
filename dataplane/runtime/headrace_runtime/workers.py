"""The pool: each call takes a worker that is free; one that has died is started again, with back-off, while others serve."""

import queue
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from headrace_runtime.busy import BusyMeter
from headrace_runtime.measuring import Recorder
from headrace_runtime.worker_process import LoadError, NotYetError, WorkerProcess

BACKOFF_FIRST_S, BACKOFF_S_MAX = 0.1, 10.0
LOOP_CRASHES, LOOP_WINDOW_S = 5, 60.0
TEAR_DOWN_S_MAX = 5.0


class NoWorkerError(Exception):
    """No worker became free in time; the message says why."""


class WorkerPool:
    """N workers; may be used by many threads."""

    def __init__(self, folder: Path, count: int) -> None:
        """Starts nothing yet."""
        self.count = count
        self.measured = Recorder()
        self._workers = [WorkerProcess(folder, self.measured) for _ in range(count)]
        self._free: queue.SimpleQueue[WorkerProcess] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._reviving: set[threading.Thread] = set()
        self._crashes: deque[float] = deque(maxlen=LOOP_CRASHES)
        self._busy = BusyMeter(count, time.monotonic())
        self._detail = "loading the code"
        self._loaded = False
        self.on_change: Callable[[bool], None] = lambda _: None

    @property
    def functions(self) -> dict[str, str]:
        """The declared functions and their kinds."""
        return self._workers[0].functions

    @property
    def restarts(self) -> int:
        """How often a worker was started again."""
        return sum(max(0, w.starts - 1) for w in self._workers)

    @property
    def up(self) -> int:
        """Workers that run."""
        return sum(w.is_up for w in self._workers)

    @property
    def ready(self) -> bool:
        """Whether calls are served: a worker runs, or is on its way up again and has not said that it cannot."""
        return self._loaded and (not self._detail or self.up > 0)

    @property
    def is_looping(self) -> bool:
        """Workers have crashed again and again."""
        crashes = self._crashes
        return len(crashes) == LOOP_CRASHES and time.monotonic() - crashes[0] < LOOP_WINDOW_S

    @property
    def detail(self) -> str:
        """What it waits for, or what is wrong; empty when all is well."""
        looping = f"crash loop: {LOOP_CRASHES} crashes in {LOOP_WINDOW_S:g} s" if self.is_looping else ""
        return ": ".join(text for text in (looping, self._detail) if text)

    def busy_ratio(self) -> float:
        """Share of the workers' time that was spent in calls, over some seconds."""
        return self._busy.ratio(time.monotonic())

    def start(self) -> None:
        """Start all and wait; LoadError when the code cannot be loaded. A set-up that cannot succeed yet is tried again."""
        with ThreadPoolExecutor(min(self.count, 4), thread_name_prefix="start") as starting:
            started = list(starting.map(self._start_one, self._workers))
        for worker, error in zip(self._workers, started, strict=True):
            if error:
                self._detail = str(error)
                raise error
            self._free.put(worker)
        if not self._stopping.is_set():
            self._loaded = True
            self._say("")

    @contextmanager
    def taken(self, wait_s: float) -> Iterator[WorkerProcess]:
        """A free worker; NoWorkerError when none became free in time."""
        worker = self._take(time.monotonic() + wait_s)
        self._busy.began(time.monotonic())
        try:
            yield worker
        finally:
            self._busy.ended(time.monotonic())
            self._give_back(worker)

    def look(self) -> None:
        """Start again what has died while nobody used it; called now and then, by who asks for health."""
        for _ in range(self.count if self.up < self.count else 0):
            try:
                self._give_back(self._free.get_nowait())
            except queue.Empty:
                return

    def stop(self) -> None:
        """End all: in peace those that run and can."""
        self._stopping.set()
        for thread in list(self._reviving):
            thread.join()
        for worker in self._workers:
            worker.ask_to_end()
        until = time.monotonic() + TEAR_DOWN_S_MAX
        for worker in self._workers:
            worker.close(max(0.0, until - time.monotonic()))

    def _take(self, until: float) -> WorkerProcess:
        while True:
            try:
                worker = self._free.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                why = "every worker is busy" if self.up else "workers are being started again"
                raise NoWorkerError(f"{why}: come back later") from None
            if worker.is_up:
                return worker
            self._give_back(worker)  # it has died while nobody used it

    def _give_back(self, worker: WorkerProcess) -> None:
        if worker.is_up:
            self._free.put(worker)
            return
        self._crashes.append(time.monotonic())
        thread = threading.Thread(target=self._revive, args=(worker,), name="revive", daemon=True)
        with self._lock:
            self._reviving.add(thread)
        thread.start()

    def _revive(self, worker: WorkerProcess) -> None:
        recent = [c for c in self._crashes if time.monotonic() - c < LOOP_WINDOW_S]
        if len(recent) > self.count:
            self._stopping.wait(min(BACKOFF_S_MAX, BACKOFF_FIRST_S * 2.0 ** (len(recent) - self.count)))
        error = self._start_one(worker, patient=True)
        if error is None and not self._stopping.is_set():
            self._say("")
            self._free.put(worker)
        with self._lock:
            self._reviving.discard(threading.current_thread())

    def _start_one(self, worker: WorkerProcess, *, patient: bool = False) -> LoadError | None:
        """Until it runs; what it waits for is said meanwhile. `patient`: code that was loaded before may be again."""
        wait_s = BACKOFF_FIRST_S
        while not self._stopping.is_set():
            try:
                worker.start()
            except (NotYetError, LoadError) as e:
                if isinstance(e, LoadError) and not patient:
                    return e
                self._say(str(e))
            else:
                return None
            self._stopping.wait(wait_s)
            wait_s = min(BACKOFF_S_MAX, wait_s * 2)
        return None

    def _say(self, detail: str) -> None:
        if detail and detail != self._detail:
            print(f"worker: {detail}", file=sys.stderr)  # noqa: T201  the log of users' process
        self._detail = detail
        self.on_change(self.ready)
