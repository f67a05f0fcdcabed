"""What the balancing client gains and what it costs.

1. Three nodes, one of them slow: an open loop of calls through the client, and beside it, in the same run, round robin
   over the same nodes. Latency counts from the moment a call was due.
2. One node: the same calls one after another through the client over TCP and TLS, and beside it over the Unix socket of
   users' server, interleaved.
"""

import asyncio
import json
import math
import os
import platform
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from typing import Any

import grpc
from headrace_runtime.v1 import transform_pb2 as pb
from headrace_runtime.v1.transform_pb2_grpc import TransformServiceStub

from dataplane.client.connections import OPTIONS
from dataplane.client.tasks import AsyncGroupClient
from dataplane.client.threads import GroupClient
from dataplane.stages.transforming import open_socket
from shared.grpc.tls import channel_credentials
from tests.dataplane_client.nodes import Cluster, cluster

RATE = 75.0
SECONDS = float(os.environ.get("BENCH_SECONDS", "20"))
WARM_UP_S = 3.0
FAST_S, SLOW_S = 0.005, 0.060  # of users' code; a node runs two at once
TIMEOUT_S = 10.0
ROUNDS = 1500
KILOBYTE = 1024
SIDECAR_RATIO_MAX = 1.3
ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "balancing.json"
One = Callable[[], Awaitable[str]]


def at(seconds: Sequence[float], quantile: float) -> float:
    """The quantile in milliseconds: the least that so many were no slower than."""
    ordered = sorted(seconds)
    return 1000.0 * ordered[max(0, math.ceil(quantile * len(ordered)) - 1)]


async def open_loop(one: One, seconds: float) -> tuple[list[float], Counter[str]]:
    """Start a call every 1/RATE s, whether or not earlier ones have ended: latencies, and who answered."""
    took: list[float] = []
    nodes: Counter[str] = Counter()
    began = time.perf_counter()

    async def run(due: float) -> None:
        nodes[await one()] += 1
        took.append(time.perf_counter() - due)

    async with asyncio.TaskGroup() as tasks:
        for number in range(int(seconds * RATE)):
            due = began + number / RATE
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.create_task(run(due))
    return took, nodes


def node_of(result: Any) -> str:
    """Who answered; RuntimeError when the call failed: then nothing here means anything."""
    if result.HasField("error"):
        raise RuntimeError(f"a call failed: {result.error.reason}: {result.error.message}")
    return str(json.loads(result.outputs[0])["node"])


async def one_slow_in_three(nodes: Cluster) -> list[dict[str, Any]]:
    """Rows of the first part."""
    event = [b'{"n":1}']
    identity = nodes.authority.service("caller")
    channels = [grpc.aio.secure_channel(a, channel_credentials(identity), OPTIONS) for a in nodes.addresses.values()]
    turns = cycle([TransformServiceStub(c) for c in channels])
    request = pb.TransformBatchRequest(function="act", events=event)

    async def in_turn() -> str:
        return node_of((await next(turns).TransformBatch(request, timeout=TIMEOUT_S)).results[0])

    async with AsyncGroupClient(nodes.settings()) as client:

        async def balanced() -> str:
            return node_of((await client.transform("act", event, TIMEOUT_S))[0])

        found = {}
        for name, one in (("balanced", balanced), ("in turn", in_turn)):
            await open_loop(one, WARM_UP_S)
            found[name] = await open_loop(one, SECONDS)
    for channel in channels:
        await channel.close()
    (ours, who), (theirs, who_theirs) = found["balanced"], found["in turn"]
    baseline = "round robin over the same three nodes, same rate, same run"
    rows = [
        row(f"one slow of three, {name}", at(ours, q), "ms", baseline, at(theirs, q))
        for name, q in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))
    ]
    spreads = (at(s, 0.99) / at(s, 0.5) for s in (ours, theirs))
    rows.append(row("one slow of three, spread p99/p50", next(spreads), "", baseline, next(spreads)))
    shares = (100 * c["c"] / c.total() for c in (who, who_theirs))
    rows.append(row("one slow of three, calls to the slow one", next(shares), "%", baseline, next(shares)))
    return rows


def beside_the_socket(nodes: Cluster) -> list[dict[str, Any]]:
    """Rows of the second part."""
    event = b'{"n":1,"pad":"%s"}' % (b"x" * KILOBYTE)
    request = pb.TransformBatchRequest(function="act", events=[event])
    client = GroupClient(nodes.settings("sidecar"))
    took: dict[str, list[float]] = {"tcp": [], "socket": []}
    with open_socket(nodes.nodes["a"].socket) as channel:
        direct = TransformServiceStub(channel)

        def over_socket() -> Any:
            return direct.TransformBatch(request, timeout=TIMEOUT_S).results[0]

        def over_tcp() -> Any:
            return client.transform("act", [event], TIMEOUT_S)[0]

        for number in range(ROUNDS):
            for name, one in (("tcp", over_tcp), ("socket", over_socket)):
                began = time.perf_counter()
                node_of(one())
                if number >= ROUNDS // 10:
                    took[name].append(time.perf_counter() - began)
    client.close()
    baseline = f"the Unix socket of the same node, {FAST_S * 1000:.0f} ms of users' code, 1 KB, interleaved"
    return [
        row(f"call over TCP, {n}", at(took["tcp"], q), "ms", baseline, at(took["socket"], q), g)
        for n, q, g in (("p50", 0.5, None), ("p99", 0.99, SIDECAR_RATIO_MAX))
    ]


def row(  # noqa: PLR0913  a row's columns
    metric: str, value: float, unit: str, baseline: str, baseline_value: float, goal: float | None = None
) -> dict[str, Any]:
    """One row; a goal is the ratio's greatest."""
    ratio = value / baseline_value
    return {
        "metric": metric,
        "value": round(value, 2),
        "unit": unit,
        "baseline": baseline,
        "baseline_value": round(baseline_value, 2),
        "ratio": round(ratio, 3),
        "goal": goal,
        "met": None if goal is None else ratio <= goal,
    }


def report(rows: list[dict[str, Any]]) -> None:
    """Rows for machines, a table for people."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    machine = f"{os.cpu_count()} cores, {platform.machine()}, load {os.getloadavg()[0]:.1f}"
    now = datetime.now(UTC).isoformat(timespec="seconds")
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps({"machine": machine, "commit": commit, "date": now, "rows": rows}, indent=2) + "\n")
    print(f"{machine}; {RATE:.0f} calls/s for {SECONDS:.0f} s; nodes answer in 5, 5 and 60 ms")
    print(f"{'':44}{'client':>10}{'baseline':>10}{'ratio':>8}{'goal':>7}")
    for r in rows:
        print(f"{r['metric']:44}{r['value']:>10}{r['baseline_value']:>10}{r['ratio']:>8}{r['goal'] or '':>7}")


def main() -> None:
    """Run both parts."""
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as place, cluster(Path(place)) as nodes:
        for name, seconds in (("a", FAST_S), ("b", FAST_S), ("c", SLOW_S)):
            nodes.nodes[name].slow(seconds)
        rows = asyncio.run(one_slow_in_three(nodes))
        nodes.routes({"scores-r1": (1, ["a"])})
        rows += beside_the_socket(nodes)
    report(rows)


if __name__ == "__main__":
    main()
