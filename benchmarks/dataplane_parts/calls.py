"""Transform calls: by the Unix socket and by TCP through the balancer; small and large."""

import gc
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import psutil
from headrace_runtime.memory import keep_memory
from headrace_runtime.v1 import transform_pb2 as pb
from headrace_runtime.v1 import transform_pb2_grpc as pb_grpc

from benchmarks.dataplane_parts.results import Row, line_fit, quantile
from dataplane.client.settings import ClientSettings
from dataplane.client.threads import GroupClient
from dataplane.stages.transforming import open_socket
from localcloud.certificates import DevelopmentAuthority
from shared.contracts.node import FleetRoute, Routes

CODE = """
from headrace_runtime import transform

@transform(batch=True)
def score(events):
    return [e | {"score": min(1.0, max(0.0, (e.get("n", 0) % 60) / 60))} for e in events]
"""
EVENTS_OF_A_CALL = 20
CALLS_EACH = 300  # of a block; blocks alternate, so that both ways see the same machine
BLOCKS = 5
CALLS_A_SECOND = 100.0
SIZES = (1024, 256 * 1024, 1024**2, 2 * 1024**2, 4 * 1024**2, 6 * 1024**2, 8 * 1024**2 - 1024)
CALLS_OF_A_SIZE = 15
READY_S, CALL_S = 30.0, 30.0
Call = Callable[[Any], Any]


def event(size: int) -> bytes:
    """A JSON object of about so many bytes."""
    text = "JFK-LAX departure, on time; " * (size // 28 + 1)
    return json.dumps({"id": "0123456789", "n": 7, "text": text[: max(0, size - 60)]}).encode()


@dataclass(frozen=True, slots=True)
class Served:
    """A transform server."""

    socket: Path
    stub: pb_grpc.TransformServiceStub
    pid: int

    def cpu_s(self) -> float:
        """Processor time of this process, the server and its workers, so far: other work of the machine is not in it."""
        server = psutil.Process(self.pid)
        times = [p.cpu_times() for p in (psutil.Process(), server, *server.children(recursive=True))]
        return sum(t.user + t.system for t in times)


@contextmanager
def served(folder: Path, workers: int = 1) -> Iterator[Served]:
    """`headrace-runtime serve` on a Unix socket."""
    (folder / "code").mkdir(parents=True, exist_ok=True)
    (folder / "code" / "scoring.py").write_text(CODE)
    command = [sys.executable, "-m", "headrace_runtime", "serve", "--code", str(folder / "code")]
    command += ["--socket", str(folder / "t.sock"), "--workers", str(workers), "--end-with-stdin"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE)
    with open_socket(folder / "t.sock") as channel:
        stub = pb_grpc.TransformServiceStub(channel)
        give_up = time.monotonic() + READY_S
        while not _ready(stub):
            if time.monotonic() > give_up:
                raise TimeoutError("the transform server did not get ready")
            time.sleep(0.05)
        yield Served(folder / "t.sock", stub, process.pid)
    if process.stdin:
        process.stdin.close()
    process.wait(READY_S)


def _ready(stub: Any) -> bool:
    try:
        return bool(stub.GetHealth(pb.GetHealthRequest(), timeout=1).ready)
    except grpc.RpcError:
        return False


@contextmanager
def balanced(folder: Path, socket: Path) -> Iterator[GroupClient]:
    """The balancing client, over mutual TLS, to a node's face in front of that socket; the routes are its last copy."""
    tls = DevelopmentAuthority(folder / "tls", "bench").service("observer")
    command = [sys.executable, "-m", "benchmarks.dataplane_parts.front_process", str(tls), str(socket)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    port = process.stdout.readline().strip() if process.stdout else ""
    fleet = FleetRoute(fleet="g-r1", revision=1, weight=1, endpoints=(f"127.0.0.1:{port}",))
    (folder / "copy").mkdir()
    (folder / "copy" / "routes-g.json").write_text(Routes(group="g", generation=1, fleets=(fleet,)).model_dump_json())
    client = GroupClient(ClientSettings("g", "127.0.0.1:1", tls, folder / "copy"))
    yield client
    client.close()
    process.terminate()
    process.wait(READY_S)


def paced(call: Call, request: Any, calls: int, rate: float) -> list[float]:
    """Latencies from when each call was due, in seconds; one thread."""
    found = []
    began = time.perf_counter()
    for n in range(calls):
        due = began + n / rate
        time.sleep(max(0.0, due - time.perf_counter()))
        call(request)
        found.append(time.perf_counter() - due)
    return found


def tcp_beside_unix(folder: Path) -> list[Row]:
    """The same calls both ways, in alternating blocks."""
    request = pb.TransformBatchRequest(events=[event(1024)] * EVENTS_OF_A_CALL)
    with served(folder) as server, balanced(folder, server.socket) as client:
        ways: dict[str, Call] = {
            "unix": lambda r: server.stub.TransformBatch(r, timeout=CALL_S),
            "tcp": lambda r: client.call(r, CALL_S),
        }
        found: dict[str, list[float]] = {"unix": [], "tcp": []}
        for name, call in ways.items():
            paced(call, request, CALLS_EACH, CALLS_A_SECOND)  # warm
            found[name].clear()
        gc.disable()
        for _ in range(BLOCKS):
            for name, call in ways.items():
                found[name] += paced(call, request, CALLS_EACH, CALLS_A_SECOND)
        gc.enable()
    text = f"{EVENTS_OF_A_CALL} events of 1 KB a call, {CALLS_A_SECOND:g} calls/s"
    return [
        Row(
            f"call {name}, TCP through the balancer ({text})",
            1000 * quantile(found["tcp"], share),
            "ms",
            1.3,
            False,
            "the Unix socket's, same code and load",
            1000 * quantile(found["unix"], share),
        )
        for name, share in (("p99", 0.99), ("p50", 0.5))
    ]


def payloads(folder: Path) -> tuple[list[Row], dict[str, object]]:
    """Latency against payload, and the line through it."""
    keep_memory()  # this process stands for the node
    medians, costs = [], []
    with served(folder) as server:
        for size in SIZES:
            request = pb.TransformBatchRequest(events=[event(size)])
            paced(lambda r: server.stub.TransformBatch(r, timeout=CALL_S), request, 3, 20.0)
            rate, before = 5.0, server.cpu_s()
            times = paced(lambda r: server.stub.TransformBatch(r, timeout=CALL_S), request, CALLS_OF_A_SIZE, rate)
            costs.append((server.cpu_s() - before) / CALLS_OF_A_SIZE)
            medians.append(quantile(times, 0.2))  # what other work of the machine adds is not about payload
    cost_r2 = line_fit(SIZES, costs)[2]
    intercept, slope, r2 = line_fit(SIZES, medians)
    shown = {f"{size // 1024} KB": f"{1000 * m:.2f} ms" for size, m in zip(SIZES, medians, strict=True)}
    notes: dict[str, object] = {
        "payloads": shown,
        "payload line": f"{1000 * intercept:.2f} ms + {1000 * slope * 1024**2:.2f} ms/MiB",
    }
    return [
        Row("latency against payload, 1 KB to 8 MB: r2 of the line", r2, "", 0.98, True),
        Row("processor time against payload, 1 KB to 8 MB: r2", cost_r2, "", 0.98, True),
    ], notes
