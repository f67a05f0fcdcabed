"""Nothing that was acknowledged is lost, whoever is killed; counted by id at the far end."""

import dataclasses
import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dataplane.stages.audits import AuditBook
from dataplane.stages.ingest import Ingest
from dataplane.stages.measures import Measures
from dataplane.stages.stage_loop import StagePlan
from localcloud.servers.kafka import KafkaServer
from shared.contracts.objects import HttpIngest
from tests.dataplane.streams import LABELS, access_of, id_of, is_dead, make_topics, plan_of, reading

ROOT = Path(__file__).resolve().parents[2]
KILLS, NODES, SEED = 8, 2, 20131
MORE_BETWEEN_KILLS = 400
AGAIN_AFTER_A_KILL_MAX = 1000  # what was handed on since the last commit, a tenth of a second before
pytestmark = pytest.mark.slow


class Nodes:
    """Stage processes of one consumer group."""

    def __init__(self, plan: StagePlan) -> None:
        given = dataclasses.asdict(plan) | {"access": plan.access.model_dump()}
        del given["retry"]
        self._given = json.dumps(given)
        self.running = [self._start() for _ in range(NODES)]

    def replace(self, which: int) -> None:
        """Kill -9 one, and start another."""
        self.running[which].kill()
        self.running[which].wait(10)
        self.running[which] = self._start()

    def stop(self) -> None:
        for process in self.running:
            process.kill()
            process.wait(10)

    def _start(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen([sys.executable, "-m", "tests.dataplane.stage_process", self._given], cwd=ROOT)


class Feed:
    """Sends through the ingest edge until it is stopped; remembers what was acknowledged."""

    def __init__(self, edge: Ingest) -> None:
        self._edge = edge
        self.acknowledged: set[str] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._send)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _send(self) -> None:
        batch = 0
        while not self._stopping.wait(0.02):
            batch += 1
            body = json.dumps([{"id": f"b{batch}-{n}", "t": time.time()} for n in range(20)]).encode()
            results = json.loads(self._edge.submit(body, "application/json").body)["results"]
            self.acknowledged |= {r["id"] for r in results if r["status"] == "accepted"}


@contextmanager
def feeding(kafka: KafkaServer, topic: str) -> Iterator[Feed]:
    spec = HttpIngest(time_field="t")
    edge = Ingest(spec, access_of(kafka), "edge", [topic], lambda: 100, Measures(LABELS, {}), AuditBook())
    edge.start()
    feed = Feed(edge)
    yield feed
    feed.stop()
    edge.stop()


@pytest.mark.timeout(300)
def test_no_acknowledged_event_is_lost_while_nodes_are_killed_in_midstream(
    kafka: KafkaServer, unique_name: str
) -> None:
    name, chance = unique_name, random.Random(SEED)
    make_topics(kafka, *(f"{name}.{t}" for t in ("in", "out", "dead")), partitions=6)
    nodes = Nodes(plan_of(kafka, name, [f"{name}.out"]))
    try:
        with reading(kafka, name, f"{name}.out", f"{name}.dead") as reader, feeding(kafka, f"{name}.in") as feed:
            for _ in range(KILLS):
                seen = len(reader.messages)
                reader.until(lambda found, seen=seen: len(found) >= seen + MORE_BETWEEN_KILLS)  # type: ignore[misc]
                nodes.replace(chance.randrange(NODES))
            feed.stop()
            reader.until(lambda found: len({id_of(m) for m in found}) >= len(feed.acknowledged))
        arrived = [id_of(m) for m in reader.messages]
        assert feed.acknowledged - set(arrived) == set()
        assert set(arrived) - feed.acknowledged == set()
        assert not [m for m in reader.messages if is_dead(m)]
        assert len(arrived) - len(set(arrived)) <= KILLS * AGAIN_AFTER_A_KILL_MAX
    finally:
        nodes.stop()
