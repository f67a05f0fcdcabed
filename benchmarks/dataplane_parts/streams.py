"""The broker's side: topics, filling them, ingest one by one and in batches, and a chain of six stages."""

import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from benchmarks.dataplane_parts.calls import event, served
from benchmarks.dataplane_parts.loop_process import Task
from benchmarks.dataplane_parts.results import Row, quantile
from dataplane.stages.audits import AuditBook
from dataplane.stages.http_server import NodeHttpServer
from dataplane.stages.ingest import Ingest
from dataplane.stages.kafka_clients import connection, producer_settings
from dataplane.stages.measures import Measures
from shared.contracts.node import KafkaAccess
from shared.contracts.objects import HttpIngest

PARTITIONS = 12
COUNT = 100_000
RUNS = 3
INGEST_S, INGEST_BATCH = 5.0, 500
STAGES, CHAIN_COUNT, CHAIN_S = 6, 20_000, 15.0
CORE_GOAL, BARE_GOAL, USERS_GOAL, BATCH_GOAL, LAG_GOAL_S = 20_000.0, 0.5, 0.3, 20.0, 0.5
CHILD_S = 400.0


def make_topics(access: KafkaAccess, *names: str) -> None:
    """With PARTITIONS each."""
    admin = AdminClient(connection(access))
    for made in admin.create_topics([NewTopic(n, PARTITIONS, 1) for n in names]).values():
        made.result(30.0)


def fill(access: KafkaAccess, topic: str, count: int) -> None:
    """Events of 1 KB with our headers, times within two minutes."""
    producer, value, now = Producer(producer_settings(access, "fill")), event(1024), time.time()
    for n in range(count):
        key = f"k{n % 5000}".encode()
        while True:
            try:
                producer.produce(
                    topic, value, key, headers=[("id", f"e{n}".encode()), ("t", repr(now - n % 120).encode())]
                )
            except BufferError:
                producer.poll(0.05)
            else:
                break
    producer.flush()


def run_loop(task: Task) -> tuple[float, float]:
    """Messages a second of the wall's clock, and of the process' own processor time."""
    given = asdict(task) | {"access": task.access.model_dump()}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.dataplane_parts.loop_process", json.dumps(given)],
        capture_output=True,
        text=True,
        timeout=CHILD_S,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{task.kind}: {done.stderr[-2000:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    return task.count / found["seconds"], task.count / found["cpu_s"]


def loops(access: KafkaAccess, folder: Path) -> list[Row]:
    """A stage beside the bare loop, run by turns."""
    topics = ("bench.in", "bench.out", "bench.out.dead")
    make_topics(access, *topics)
    fill(access, topics[0], COUNT)
    found: dict[str, list[tuple[float, float]]] = {"bare": [], "pass": [], "users": []}
    with served(folder) as server:
        for _ in range(RUNS):
            for kind, rates in found.items():
                rates.append(run_loop(Task(kind, access, topics[0], topics[1], COUNT, str(server.socket))))
    wall = {kind: quantile([w for w, _ in rates], 0.5) for kind, rates in found.items()}
    core = {kind: quantile([c for _, c in rates], 0.5) for kind, rates in found.items()}
    bare = "bare confluent-kafka consume-produce loop, acks=all, idempotent"
    return [
        Row(
            "stage pass-through, 1-KB events, all accounting",
            wall["pass"],
            "msg/s",
            BARE_GOAL,
            True,
            bare,
            wall["bare"],
        ),
        Row("stage pass-through, a core", core["pass"], "msg/s", CORE_GOAL, True),
        Row("users' code in batches", wall["users"], "msg/s", USERS_GOAL, True, bare, wall["bare"]),
    ]


@contextmanager
def edge(access: KafkaAccess, topic: str) -> Iterator[int]:
    """An ingest node's port."""
    ingest = Ingest(
        HttpIngest(id_field="id", time_field="at", batch_max=INGEST_BATCH),
        access,
        "bench-ingest",
        (topic,),
        lambda: 100,
        Measures({}, {}),
        AuditBook(),
    )
    ingest.start()
    server = NodeHttpServer("127.0.0.1", 0, lambda _: None, lambda _, body, kind: ingest.submit(body, kind))
    server.start()
    yield server.port
    server.stop()
    ingest.stop()


def ingest_batches(access: KafkaAccess) -> list[Row]:
    """One connection, one request after another: an event each, and 500 each; both are acknowledged when it answers."""
    make_topics(access, "bench.edge")
    rates: dict[int, float] = {}
    with edge(access, "bench.edge") as port:
        for size in (1, INGEST_BATCH, 1, INGEST_BATCH):
            rates[size] = max(rates.get(size, 0.0), _sent(port, size))
    return [
        Row(
            f"ingest in batches of {INGEST_BATCH}, one connection",
            rates[INGEST_BATCH],
            "event/s",
            BATCH_GOAL,
            True,
            "single sends at equal durability",
            rates[1],
        )
    ]


def _sent(port: int, size: int) -> float:
    text = "x" * 900
    connection_ = http.client.HTTPConnection("127.0.0.1", port)
    began, accepted, n = time.monotonic(), 0, 0
    while time.monotonic() - began < INGEST_S:
        body = json.dumps([{"id": f"{size}-{n + i}", "at": 1.5e9, "text": text} for i in range(size)])
        n += size
        connection_.request("POST", "/v1/events", body, {"Content-Type": "application/json"})
        accepted += json.loads(connection_.getresponse().read())["accepted"]
    connection_.close()
    return accepted / (time.monotonic() - began)


def six_stages(access: KafkaAccess) -> tuple[list[Row], dict[str, object]]:
    """What a chain of six stages sustains, and its lag end to end at half of that."""
    topics = [f"bench.chain{n}" for n in range(STAGES + 1)]
    make_topics(access, *topics, *(f"{t}.dead" for t in topics))
    running = [_link(access, topics[n], topics[n + 1]) for n in range(STAGES)]
    producer = Producer(producer_settings(access, "chain-source"))
    with _arrivals(access, topics[-1]) as arrived:
        _send(producer, topics[0], CHAIN_COUNT, 0.0)
        _until(lambda: len(arrived) >= CHAIN_COUNT)
        first, last = arrived[len(arrived) // 10][0], arrived[-1][0]
        rating = 0.9 * CHAIN_COUNT / (last - first)
        arrived.clear()
        wanted = int(rating / 2 * CHAIN_S)
        _send(producer, topics[0], wanted, rating / 2)
        _until(lambda: len(arrived) >= wanted)
        lags = [at - sent for at, sent in arrived]
    for process in running:
        process.terminate()
    for process in running:
        process.wait(CHILD_S)
    notes: dict[str, object] = {
        "chain of six, sustained msg/s": round(rating),
        "chain lag p50 s": round(quantile(lags, 0.5), 4),
    }
    row = Row("lag end to end p95, six stages at half the rating", quantile(lags, 0.95), "s", LAG_GOAL_S, False)
    return [row], notes


def _link(access: KafkaAccess, topic_in: str, topic_out: str) -> "subprocess.Popen[bytes]":
    """A node has one stage; here too each has a process of its own."""
    given = asdict(Task("link", access, topic_in, topic_out, 0)) | {"access": access.model_dump()}
    return subprocess.Popen([sys.executable, "-m", "benchmarks.dataplane_parts.loop_process", json.dumps(given)])


def _send(producer: Producer, topic: str, count: int, rate: float) -> None:
    """Open loop at `rate`; 0: at once. The event's time is when it was due."""
    value, began = event(1024), time.time()
    for n in range(count):
        due = began + n / rate if rate else time.time()
        if rate and due > time.time():
            producer.poll(max(0.0, due - time.time()))
        while True:
            try:
                producer.produce(
                    topic, value, str(n).encode(), headers=[("id", f"{rate}-{n}".encode()), ("t", repr(due).encode())]
                )
            except BufferError:
                producer.poll(0.05)
            else:
                break
    producer.flush()


@contextmanager
def _arrivals(access: KafkaAccess, topic: str) -> Iterator[list[tuple[float, float]]]:
    """When each event came out of the last topic, and its event time."""
    consumer = Consumer(
        connection(access) | {"group.id": "chain-end", "auto.offset.reset": "earliest", "fetch.wait.max.ms": 10}
    )
    consumer.subscribe([topic])
    found: list[tuple[float, float]] = []
    ended = threading.Event()

    def read() -> None:
        while not ended.is_set():
            for message in consumer.consume(500, 0.05):
                headers = dict(message.headers() or ())
                found.append((time.time(), float(headers["t"] or 0)))

    thread = threading.Thread(target=read)
    thread.start()
    yield found
    ended.set()
    thread.join()
    consumer.close()


def _until(holds: Callable[[], bool]) -> None:
    give_up = time.monotonic() + CHILD_S
    while not holds():
        if time.monotonic() > give_up:
            raise TimeoutError(f"not done after {CHILD_S:g} s")
        time.sleep(0.05)
