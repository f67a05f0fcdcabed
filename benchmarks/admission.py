"""How long an admission takes: `Begin` at 200/s, open loop, through real gRPC with mutual TLS, PostgreSQL and Valkey.

Beside it, from the same client in the same run: the least that any durable answer costs, one fsynced single-row
transaction of the same PostgreSQL at the same rate. Latency counts from the moment a request was due, so a server that
falls behind cannot hide it. Asked are, in turn: growth of one of 500 groups (granted, then ended), a repetition of it
(the same answer), and a deployment (blocked: nothing has judged its group), which reads the verdicts too.
"""

import asyncio
import json
import math
import os
import platform
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

from pydantic import SecretStr
from sqlalchemy import text

from localcloud import ports
from localcloud.certificates import DevelopmentAuthority
from localcloud.process import StackProcess
from localcloud.servers.postgres import PostgresServer, SchemaAccess
from localcloud.servers.temporal import TemporalServer
from localcloud.servers.valkey import ValkeyServer
from services.observer.adapters.postgres_ledger import PostgresLedger
from services.observer.domain.topology import Topology
from shared.clients.observer import ObserverClient
from shared.contracts.admission import BeginAnswer, BeginInput, EndInput
from shared.database import Database
from shared.domain.activity import ActivityKind, ActivityOutcome
from shared.domain.errors import HeadraceError
from shared.grpc.client import open_channel

RATE = 200.0
SECONDS = float(os.environ.get("BENCH_SECONDS", "20"))
WARM_UP_S = 3.0
GROUPS = 500
STRIDE = 37  # one group after another, each of another pipeline
ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "admission.json"
READY_S_MAX = 60.0


@dataclass(frozen=True, slots=True)
class Latencies:
    """Seconds from when each request was due."""

    seconds: tuple[float, ...]
    errors: int

    def at(self, quantile: float) -> float:
        """The quantile in milliseconds: the least that so many were no slower than."""
        ordered = sorted(self.seconds)
        return 1000.0 * ordered[max(0, math.ceil(quantile * len(ordered)) - 1)]


async def open_loop(one: Callable[[int], Awaitable[None]], seconds: float) -> Latencies:
    """Start a request every 1/RATE s, whether or not earlier ones have ended."""
    done: list[float] = []
    errors = 0
    began = perf_counter()

    async def run(number: int, due: float) -> None:
        nonlocal errors
        try:
            await one(number)
        except HeadraceError:
            errors += 1
        done.append(perf_counter() - due)

    async with asyncio.TaskGroup() as tasks:
        for number in range(int(seconds * RATE)):
            due = began + number / RATE
            await asyncio.sleep(max(0.0, due - perf_counter()))
            tasks.create_task(run(number, due))
    return Latencies(tuple(done), errors)


class Asking:
    """The requests; grants are ended at once, outside the measured time."""

    def __init__(self, client: ObserverClient, name: str) -> None:
        self._client, self._name = client, name
        self._ending: set[asyncio.Task[None]] = set()
        self.outcomes: dict[str, int] = {}

    async def __call__(self, number: int) -> None:
        """Ask once."""
        kind = ActivityKind.DEPLOY if number % 4 == 3 else ActivityKind.SCALE_OUT
        again = number % 4 == 2  # the request before, once more
        intention = number - 1 if again else number
        group = f"g{intention * STRIDE % GROUPS}"
        answer = await self._client.begin(
            BeginInput(
                kind=kind,
                scope=f"group/{group}",
                ttl_s=60.0,
                request_id=f"{self._name}-{intention}",
                holder=f"scale/{group}",
                signal_age_s=1.0,
            )
        )
        self.outcomes[answer.outcome] = self.outcomes.get(answer.outcome, 0) + 1
        if answer.outcome == "granted" and number % 4 != 1:  # its repetition ends it
            task = asyncio.create_task(self._end(answer))
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    async def _end(self, answer: BeginAnswer) -> None:
        if answer.lease:
            lease = answer.lease
            await self._client.end(
                EndInput(activity_id=lease.activity_id, token=lease.token, outcome=ActivityOutcome.DONE)
            )

    async def settle(self) -> None:
        """Wait until every grant is ended; one that could not be ended lapses by itself."""
        await asyncio.gather(*self._ending, return_exceptions=True)


@contextmanager
def running(directory: Path) -> Iterator[tuple[SchemaAccess, Path, str]]:
    """Servers and the Observer's process: its schema, the client's identity, its address."""
    password = secrets.token_urlsafe(24)
    postgres = PostgresServer(directory / "postgres", ports.choose(), password, directory / "postgres.log")
    valkey = ValkeyServer(directory / "valkey", ports.choose(), password, directory / "valkey.log")
    temporal = TemporalServer(directory / "temporal", ports.choose(), directory / "temporal.log")
    started: list[StackProcess] = []
    observer: subprocess.Popen[bytes] | None = None
    try:
        servers: tuple[StackProcess, ...] = (postgres, valkey, temporal)
        for server in servers:
            server.start()
            started.append(server)
        postgres.create_database("headrace")
        access = postgres.create_schema("headrace", "observer", "observer", password)
        authority = DevelopmentAuthority(directory / "tls", "bench")
        listen, metrics, nobody = (f"127.0.0.1:{ports.choose()}" for _ in range(3))
        environment = {
            "PATH": os.environ["PATH"],
            "HEADRACE_DATABASE_URL": access.url,
            "HEADRACE_DATABASE_SCHEMA": access.schema,
            "HEADRACE_REDIS_URL": valkey.url,
            "HEADRACE_TEMPORAL_ADDRESS": temporal.address,
            "HEADRACE_TEMPORAL_NAMESPACE": temporal.namespace,
            "HEADRACE_PROMETHEUS_URL": f"http://{nobody}",
            "HEADRACE_KAFKA_BOOTSTRAP": nobody,
            "HEADRACE_PROVISIONER_ADDRESS": nobody,
            "HEADRACE_TLS_DIR": str(authority.service("observer")),
            "HEADRACE_LISTEN": listen,
            "HEADRACE_METRICS_LISTEN": metrics,
            "AWS_REGION": "us-east-1",
        }
        subprocess.run(
            [sys.executable, "-m", "shared.database.migrate", "observer"], env=environment, cwd=ROOT, check=True
        )
        with (directory / "observer.log").open("wb") as sink:
            observer = subprocess.Popen(
                [sys.executable, "-m", "services.observer"], env=environment, cwd=ROOT, stderr=sink
            )
        yield access, authority.service("autoscaler"), listen
    finally:
        if observer is not None:
            observer.terminate()
            observer.wait(20)
        for running_server in reversed(started):
            running_server.stop()


async def measure(access: SchemaAccess, identity: Path, address: str) -> tuple[Latencies, Latencies, dict[str, int]]:
    """`Begin`, the baseline, and what was answered."""
    database = Database(SecretStr(access.url), access.schema, "bench")
    groups = frozenset(f"g{i}" for i in range(GROUPS))
    pipelines = {f"p{i}": {f"s{j}": f"g{i * 5 + j}" for j in range(5)} for i in range(GROUPS // 5)}
    await PostgresLedger(database, 30.0).keep_topology(Topology(groups, pipelines))  # nothing is in hand yet
    async with database.transaction() as connection:
        await connection.execute(text("CREATE TABLE one_row (id bigint PRIMARY KEY, at float8)"))
        synced = await connection.scalar(text("SHOW fsync")), await connection.scalar(text("SHOW synchronous_commit"))
        assert synced == ("on", "on"), synced
    channel = open_channel(address, identity)
    client = ObserverClient(channel)
    async with asyncio.timeout(READY_S_MAX):
        while True:
            try:
                await client.activities()
                break
            except HeadraceError:
                await asyncio.sleep(0.2)

    async def one_row(number: int) -> None:
        async with database.transaction() as connection:
            await connection.execute(
                text("INSERT INTO one_row VALUES (:id, :at)"), {"id": number, "at": perf_counter()}
            )

    warm = Asking(client, "warm")
    await open_loop(warm, WARM_UP_S)
    await warm.settle()
    asking = Asking(client, "bench")
    begins = await open_loop(asking, SECONDS)
    await asking.settle()
    await open_loop(lambda n: one_row(-1 - n), WARM_UP_S)
    rows = await open_loop(one_row, SECONDS)
    await channel.close()
    await database.close()
    return begins, rows, asking.outcomes


def report(begins: Latencies, rows: Latencies, outcomes: dict[str, int]) -> None:
    """Rows for machines, a table for people. No number was set as a goal: the baseline says what is possible."""
    baseline = "one fsynced single-row PostgreSQL transaction, same client, same rate, same run"
    found = [
        {
            "metric": f"Begin {name} at {RATE:.0f}/s",
            "value": round(begins.at(q), 2),
            "unit": "ms",
            "baseline": baseline,
            "baseline_value": round(rows.at(q), 2),
            "ratio": round(begins.at(q) / rows.at(q), 2),
            "goal": None,
            "met": None,
        }
        for name, q in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))
    ]
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()
    load = os.getloadavg()[0]
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(
        json.dumps(
            {
                "machine": f"{os.cpu_count()} cores, {platform.machine()}, load {load:.1f}",
                "commit": commit,
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
                "requests": len(begins.seconds),
                "errors": begins.errors,
                "outcomes": outcomes,
                "rows": found,
            },
            indent=2,
        )
        + "\n"
    )
    print(f"{len(begins.seconds)} requests at {RATE:.0f}/s, {begins.errors} errors, {outcomes}, load {load:.1f}")
    print(f"{'':12}{'Begin, ms':>12}{'one row, ms':>14}{'ratio':>8}")
    for row in found:
        name = str(row["metric"]).split()[1]
        print(f"{name:12}{row['value']:>12}{row['baseline_value']:>14}{row['ratio']:>8}")


def main() -> None:
    """Run it; exit code 1 when a request failed."""
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as place:
        directory = Path(place)
        directory.chmod(0o755)
        with running(directory) as (access, identity, address):
            begins, rows, outcomes = asyncio.run(measure(access, identity, address))
    report(begins, rows, outcomes)
    if begins.errors or rows.errors:
        sys.exit(1)


if __name__ == "__main__":
    main()
