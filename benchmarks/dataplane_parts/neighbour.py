"""A group beside a noisy neighbour: its p99 in quiet windows and in windows of a spike, in turn within one run.

Windows alternate, so that whatever else the machine does falls on both sides; nothing of a window is left out, neither
the spike's first moment nor its last. Each side has 20,000 requests, pooled. The interval comes from a bootstrap over
pairs of windows, since requests of one moment are not independent of each other; the same ratio between every other
quiet window and the rest says what the machine alone makes of two equal sides. The neighbour's load comes from a process
of its own: two generators in one process would wait for each other's interpreter lock, which no group does.

Groups have machines of their own; here each has a core of its own, for its server and for those who call it, because a
core that both use is shared by this benchmark and not by Headrace (with shared cores of two the ratio was 1.35 to 3.1).
How long our server's threads were ready and had no core (Linux' schedstat) is told beside the ratio: where that grows
with the spike, something else is short.
"""

import gc
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import grpc
import numpy as np
import psutil
from headrace_runtime.v1 import transform_pb2 as pb
from headrace_runtime.v1 import transform_pb2_grpc as pb_grpc

from benchmarks.dataplane_parts.calls import CALL_S, EVENTS_OF_A_CALL, READY_S, Served, event, paced, served
from benchmarks.dataplane_parts.results import Row
from dataplane.stages.transforming import open_socket

QUIET_RATE, SPIKE = 20.0, 10.0  # of the neighbour: calls of 20 events of 1 KB
OUR_RATE = 250.0  # calls of one event of 1 KB: the smallest have least to hide a delay in
WINDOW_S, PAIRS = 1.0, 80
OPEN_MAX = 6  # a server of one worker takes eight at once
WARM_S = 5.0
SHARE = 0.99
RESAMPLES = 2_000
Windows = Sequence[Sequence[float]]


class Neighbour:
    """The load on the other group."""

    def __init__(self, socket: Path) -> None:
        """Ready to drive."""
        command = [sys.executable, "-m", "benchmarks.dataplane_parts.neighbour_process", str(socket)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._hear()

    @property
    def pid(self) -> int:
        """Of its process."""
        return self._process.pid

    def drive(self, rate: float, calls: int) -> None:
        """Begin; `ended` waits."""
        if self._process.stdin:
            self._process.stdin.write(json.dumps([rate, calls]) + "\n")
            self._process.stdin.flush()

    def ended(self) -> float:
        """Seconds that its calls took."""
        return float(self._hear())

    def stop(self) -> None:
        """No more."""
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait(READY_S)

    def _hear(self) -> str:
        said = self._process.stdout.readline() if self._process.stdout else ""
        if not said:
            raise RuntimeError("the neighbour's load ended")
        return said


@contextmanager
def _neighbour(socket: Path) -> Iterator[Neighbour]:
    made = Neighbour(socket)
    try:
        yield made
    finally:
        made.stop()


def noisy_neighbour(folder: Path) -> tuple[list[Row], dict[str, object]]:
    """One group's p99 while another's rate is what it was, and ten times that."""
    with (
        served(folder / "a") as ours,
        served(folder / "b") as theirs,
        _neighbour(theirs.socket) as neighbour,
        each_on_a_core([os.getpid(), ours.pid], [neighbour.pid, theirs.pid]),
    ):
        _window(ours, neighbour, QUIET_RATE * SPIKE, WARM_S)
        quiet: list[list[float]] = []
        spiked: list[list[float]] = []
        waits = [coreless_s(ours.pid)]
        gc.disable()
        for _ in range(PAIRS):
            for rate, windows in ((QUIET_RATE, quiet), (QUIET_RATE * SPIKE, spiked)):
                windows.append(_window(ours, neighbour, rate, WINDOW_S))
                waits.append(coreless_s(ours.pid))
        gc.enable()
    before, during = pooled(quiet), pooled(spiked)
    low, high = interval(quiet, spiked)
    grown = np.diff(waits)
    waited = [float(grown[side::2].sum()) / (PAIRS * WINDOW_S) for side in (0, 1)]
    notes: dict[str, object] = {
        "neighbour": f"p99 {before:.2f} ms quiet, {during:.2f} ms in spikes: ratio {during / before:.3f}, "
        f"95 % of resamples of pairs of windows {low:.3f} to {high:.3f}; "
        f"between two halves of the quiet windows {pooled(quiet[1::2]) / pooled(quiet[::2]):.3f}; "
        f"our server's threads ready without a core {waited[0]:.2f} s a second quiet, {waited[1]:.2f} in spikes; "
        f"{sum(map(len, quiet))} and {sum(map(len, spiked))} requests, load {os.getloadavg()[0]:.1f}"
    }
    text = f"p99 of a group while its neighbour goes from {QUIET_RATE:g} to {QUIET_RATE * SPIKE:g} calls/s"
    return [Row(text, during, "ms", 1.1, False, "windows without the spike, in turn with it", before)], notes


def _window(ours: Served, neighbour: Neighbour, rate: float, seconds: float) -> list[float]:
    request = pb.TransformBatchRequest(events=[event(1024)])
    neighbour.drive(rate, int(rate * seconds))
    found = open_loop(ours, request, int(OUR_RATE * seconds), OUR_RATE)
    neighbour.ended()
    return found


def open_loop(server: Served, request: pb.TransformBatchRequest, calls: int, rate: float) -> list[float]:
    """Latencies from when each call was due, in seconds: also of those that waited for one of `OPEN_MAX` places."""
    found: list[float] = []
    places, began = threading.BoundedSemaphore(OPEN_MAX), time.perf_counter()

    def ended(call: grpc.Future, due: float) -> None:
        found.append(time.perf_counter() - due)
        places.release()
        call.result()

    for n in range(calls):
        due = began + n / rate
        time.sleep(max(0.0, due - time.perf_counter()))
        places.acquire()  # given back by the callback
        call = server.stub.TransformBatch.future(request, timeout=CALL_S)
        call.add_done_callback(partial(ended, due=due))
    for _ in range(OPEN_MAX):
        places.acquire()
    return found


@contextmanager
def each_on_a_core(*sides: Sequence[int]) -> Iterator[None]:
    """While it lasts, each side's processes, with what they have started, share one core, and no two sides the same.

    RuntimeError where there are fewer cores than sides.
    """
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < len(sides):
        raise RuntimeError(f"{len(sides)} groups want a core each; this machine lets us use {len(cores)}")
    try:
        for core, pids in zip(cores, sides, strict=False):
            _bind(pids, {core})
        yield
    finally:
        _bind([pid for pids in sides for pid in pids], set(cores))


def _bind(pids: Iterable[int], cores: set[int]) -> None:
    mine = os.getpid()
    for pid in pids:
        started = [] if pid == mine else psutil.Process(pid).children(recursive=True)
        for process in (pid, *(child.pid for child in started)):
            for thread in Path(f"/proc/{process}/task").iterdir():
                with suppress(ProcessLookupError):  # a thread that has ended meanwhile
                    os.sched_setaffinity(int(thread.name), cores)


def coreless_s(pid: int) -> float:
    """How long the threads of a process and of its children were ready to run, and waited for a core, so far."""
    found = 0
    for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
        for thread in Path(f"/proc/{process.pid}/task").iterdir():
            with suppress(OSError):  # a thread that has ended meanwhile
                found += int((thread / "schedstat").read_text().split()[1])
    return found / 1e9


def pooled(windows: Windows) -> float:
    """p99 of all windows' requests together, in ms.

    >>> pooled([[0.001] * 50, [0.001] * 49 + [0.5]])
    1.0
    """
    return 1000 * float(np.quantile(np.concatenate([np.asarray(w) for w in windows]), SHARE, method="inverted_cdf"))


def interval(quiet: Windows, spiked: Windows) -> tuple[float, float]:
    """95 % of what the ratio becomes when pairs of windows are drawn anew."""
    chance, ratios = np.random.default_rng(1), []
    for _ in range(RESAMPLES):
        drawn = chance.integers(0, len(quiet), len(quiet))
        ratios.append(pooled([spiked[n] for n in drawn]) / pooled([quiet[n] for n in drawn]))
    low, high = np.quantile(ratios, [0.025, 0.975])
    return float(low), float(high)


def drive(socket: Path, lines: Iterable[str]) -> None:
    """The neighbour's side: each line is a rate and how many calls; says what they took."""
    request = pb.TransformBatchRequest(events=[event(1024)] * EVENTS_OF_A_CALL)
    with open_socket(socket) as channel:
        stub = pb_grpc.TransformServiceStub(channel)
        print("ready", flush=True)
        for line in lines:
            rate, calls = json.loads(line)
            began = time.perf_counter()
            paced(lambda r: stub.TransformBatch(r, timeout=CALL_S), request, calls, rate)
            print(time.perf_counter() - began, flush=True)
