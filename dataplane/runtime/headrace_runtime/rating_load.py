"""Drives load in steps on a server of its own that runs a copy of the code, open loop: a slow answer delays no request."""

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import grpc
from headrace_runtime.rating import Counts, Promise, Rating, Step, decide, step_of
from headrace_runtime.v1 import transform_pb2 as pb
from headrace_runtime.v1 import transform_pb2_grpc as pb_grpc
from headrace_runtime.worker_process import LoadError

READY_S_MAX, READY_POLL_S, HEALTH_S = 120.0, 0.05, 1.0
END_S_MAX = 15.0
WARM_SHARE = 0.2  # of a step, not counted
LATE_FACTOR = 4.0  # of the promised latency: after that a call is given up
MESSAGE_BYTES_MAX = 64 * 1024 * 1024
REQUESTS_MAX = 64  # made beforehand, used in turn


@dataclass(frozen=True, slots=True)
class Load:
    """How to drive: events of a call, seconds of a step, worker processes, the first rate in messages/s."""

    function: str
    batch: int
    step_s: float
    workers: int
    first: float


@dataclass(slots=True)
class _Seen:
    """What came back in the counted part of a step."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    latencies: list[float] = field(default_factory=list)
    answered: int = 0
    failed: int = 0
    open: int = 0


def rate_code(
    code: Path, events: Sequence[bytes], promise: Promise, load: Load, tell: Callable[[Step], None]
) -> Rating:
    """The rating of the code on this machine; `tell` hears of each step. LoadError when it cannot be served."""
    with _served(code, load.workers) as stub:
        requests = requests_of(events, load)
        stub.TransformBatch(requests[0], timeout=READY_S_MAX)  # the first call pays for what users' code puts off
        steps: list[Step] = []
        while not isinstance(next_ := decide(steps, promise, load.first), Rating):
            steps.append(drive_step(stub, requests, next_.rate, promise, load))
            tell(steps[-1])
        return next_


def requests_of(events: Sequence[bytes], load: Load) -> list[Any]:
    """Calls to send in turn; a sample that is shorter than a call is used again."""
    size = min(REQUESTS_MAX, max(1, len(events) // load.batch + 1))
    taken = cycle(events)
    return [
        pb.TransformBatchRequest(function=load.function, events=list(islice(taken, load.batch))) for _ in range(size)
    ]


@contextmanager
def _served(code: Path, workers: int) -> Iterator[Any]:
    with tempfile.TemporaryDirectory(prefix="hr-rate-") as folder:
        socket = Path(folder) / "t.sock"
        command = [sys.executable, "-m", "headrace_runtime", "serve", "--code", str(code), "--socket", str(socket)]
        process = subprocess.Popen([*command, "--workers", str(workers), "--end-with-stdin"], stdin=subprocess.PIPE)
        options = [(f"grpc.max_{way}_message_length", MESSAGE_BYTES_MAX) for way in ("receive", "send")]
        try:
            with grpc.insecure_channel(f"unix:{socket}", options=options) as channel:
                stub = pb_grpc.TransformServiceStub(channel)
                _await_ready(stub, process)
                yield stub
        finally:
            if process.stdin:
                process.stdin.close()
            process.wait(END_S_MAX)


def _await_ready(stub: Any, process: "subprocess.Popen[bytes]") -> None:
    give_up = time.monotonic() + READY_S_MAX
    while True:
        try:
            health = stub.GetHealth(pb.GetHealthRequest(), timeout=HEALTH_S)
            if health.ready:
                return
            why = health.detail
        except grpc.RpcError as e:
            why = e.code().name
        if process.poll() is not None:
            raise LoadError("its server ended while it loaded the code; what it said stands above")
        if time.monotonic() > give_up:
            raise LoadError(f"not ready after {READY_S_MAX:g} s: {why}")
        time.sleep(READY_POLL_S)


def drive_step(stub: Any, requests: Sequence[Any], rate: float, promise: Promise, load: Load) -> Step:
    """One rate for a while; the first part warms up."""
    seen = _Seen()
    calls_a_second = rate / load.batch
    calls = max(2, int(load.step_s * calls_a_second))
    counted_from = int(calls * WARM_SHARE)
    give_up_s = promise.latency_s * LATE_FACTOR
    began = time.perf_counter()
    counted_at = began
    for n in range(calls):
        due = began + n / calls_a_second
        time.sleep(max(0.0, due - time.perf_counter()))
        if n == counted_from:
            counted_at = due
        _send(stub, requests[n % len(requests)], due, give_up_s, seen if n >= counted_from else _Seen())
    sent_s = time.perf_counter() - counted_at
    until = time.perf_counter() + give_up_s + HEALTH_S
    while seen.open and time.perf_counter() < until:
        time.sleep(READY_POLL_S)
    took_s = max(sent_s, time.perf_counter() - counted_at - READY_POLL_S)
    messages = (calls - counted_from) * load.batch
    with seen.lock:
        counts = Counts(messages, seen.answered, seen.failed, seen.latencies, sent_s, took_s)
        return step_of(rate, counts, promise, give_up_s)


def _send(stub: Any, request: Any, due: float, give_up_s: float, seen: _Seen) -> None:
    with seen.lock:
        seen.open += 1

    def answered(call: Any) -> None:
        took = time.perf_counter() - due
        ok = call.code() is grpc.StatusCode.OK
        failed = sum(r.HasField("error") for r in call.result().results) if ok else 0
        with seen.lock:
            seen.open -= 1
            seen.latencies.append(took if ok else give_up_s)
            if ok:
                seen.answered += len(request.events)
                seen.failed += failed

    stub.TransformBatch.future(request, timeout=give_up_s).add_done_callback(answered)
