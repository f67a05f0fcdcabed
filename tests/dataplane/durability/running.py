"""A durability run: events go in at one end, faults happen on the way, and ids are counted at the far receiver.

    ingest -> route -> transform (users' code) -> transmit -> receiver
                 \\______________________________/^

`python -m tests.dataplane.durability.running --events 1000000 --seed 7` (`make test-durability`) prints the seed, the
plan, what happened and the count; it exits with 1 when an acknowledged event is neither at the receiver nor, by users'
verdict, among the dead letters.
"""

import argparse
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from localcloud import ports
from localcloud.servers.kafka import KafkaServer
from services.provisioner.domain.pipeline import topics_of
from services.provisioner.operations.translation import pipeline_intent
from shared.contracts.objects import Pipeline
from tests.dataplane.durability.faults import MODES, Fault, plan_of
from tests.dataplane.durability.feeding import Feed, is_never
from tests.dataplane.durability.processes import PARTITIONS, Cast, Child, World
from tests.dataplane.streams import Reader, id_of, make_topic_plans

STUCK_S = 180.0
TICK_S = 0.1
SAY_EVERY_S = 15.0
BROKER_AWAY_S = 2.0
TOLD_MAX = 10


def say(*words: object, sep: str = " ") -> None:
    """At once, also into a file."""
    sys.stdout.write(sep.join(str(w) for w in words) + "\n")
    sys.stdout.flush()


def pipeline_of(receiver_port: int) -> Pipeline:
    """The pipeline of the picture above."""
    retry = {"attempts": 4, "max_s": 1.0, "global_delays_s": [2.0, 5.0, 15.0]}
    sink = {"type": "http", "url": f"http://127.0.0.1:{receiver_port}/events", "batch_max": 200}
    works = {
        "ingest": {"type": "ingest", "key_field": "key"},
        "route": {
            "type": "route",
            "branches": [{"when": "n % 2 == 0", "to": ["transform"]}],
            "default": ["transmit"],
        },
        "transform": {"type": "transform", "function": "score"},
        "transmit": {"type": "transmit", "sinks": [sink]},
    }
    edges = [("ingest", "route"), ("route", "transform"), ("route", "transmit"), ("transform", "transmit")]
    return Pipeline.model_validate(
        {
            "name": "durable",
            "partitions": PARTITIONS,
            "stages": [{"name": n, "group": f"g-{n}", "work": w, "retry": retry} for n, w in works.items()],
            "edges": [{"source": s, "target": t} for s, t in edges],
        }
    )


@dataclass(slots=True)
class Counted:
    """By id, at the far end."""

    acknowledged: int = 0
    arrived: int = 0
    duplicates: int = 0
    dead: int = 0
    dead_unexpected: list[str] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    sent_again: int = 0
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"acknowledged {self.acknowledged:,}  at the receiver {self.arrived:,}  dead letters by verdict {self.dead}"
            f" (others {len(self.dead_unexpected)})  LOST {len(self.lost)}\n"
            f"duplicates at the receiver {self.duplicates:,} ({self.duplicates / max(1, self.arrived):.2%});"
            f" sent again to the edge {self.sent_again:,}; {len(self.faults)} faults; {self.seconds:.0f} s;"
            f" {self.acknowledged / max(self.seconds, 1e-9):,.0f} events/s"
        )


def cast_of(folder: Path, nodes_each: int) -> tuple[Cast, Pipeline]:
    """Nodes as processes in a folder of their own, with a broker of their own."""
    chosen: list[int] = []
    for _ in range(3):
        chosen.append(ports.choose(set(chosen)))
    kafka = KafkaServer(folder / "kafka", chosen[0], chosen[1], secrets.token_urlsafe(16), folder / "kafka.log")
    kafka.start()
    pipeline = pipeline_of(chosen[2])
    make_topic_plans(kafka, topics_of(pipeline_intent(pipeline, 1)))
    cast = Cast(folder, kafka, chosen[2])
    try:
        cast.start(pipeline, nodes_each)
    except BaseException:
        cast.stop()
        raise
    return cast, pipeline


class Run:
    """One run over a world that is up."""

    def __init__(self, world: World, pipeline: Pipeline, events: int) -> None:
        self._events = events
        self._pipeline, self._cast, self._kafka = pipeline, world, world.kafka
        self._seen = bytearray(events)  # how often each id was received, up to 255
        self._read_to = 0
        self._undo: list[tuple[float, Callable[[], None]]] = []
        self._leaving: list[Child] = []
        self.counted = Counted()

    def go(self, faults: list[Fault], faults_min: int) -> Counted:
        """Faults go on until everything was acknowledged, and at least `faults_min`; then all is healed and waited for."""
        began = said = time.monotonic()
        feed = Feed(self._cast.edges, self._events)
        coming = iter(faults)
        fault = next(coming, None)
        due = began + (fault.after_s if fault else 0.0)
        try:
            while fault is not None and (not feed.is_done or len(self.counted.faults) < faults_min):
                time.sleep(TICK_S)  # between looks
                now = time.monotonic()
                self._undo_what_is_due(now)
                if now >= due:
                    self._strike(fault, now, began)
                    fault = next(coming, None)
                    due = now + (fault.after_s if fault else 0.0)
                if now - said > SAY_EVERY_S:
                    said = now
                    self._say(feed, began)
            self._undo_what_is_due(float("inf"))
            self._wait_for_the_rest(feed, began)
        finally:
            feed.stop()
        self._count(feed, began)
        return self.counted

    def stop(self) -> None:
        for _, undo in self._undo:
            undo()
        for child in self._leaving:
            child.kill()
        self._cast.stop()

    def _strike(self, fault: Fault, now: float, began: float) -> None:
        until = now + fault.for_s
        nodes = self._cast.everyone()
        node = nodes[int(fault.chance * len(nodes))]
        told = str(fault)
        match fault.action:
            case "kill node":
                node.kill()
                self._undo.append((until, node.again))
                told += f": {node.name}"
            case "freeze node":
                node.freeze()
                self._undo.append((until, node.thaw))
                told += f": {node.name}"
            case "kill transform server":
                server = self._cast.servers[int(fault.chance * len(self._cast.servers))]
                server.kill()
                self._undo.append((until, server.again))
                told += f": {server.name}"
            case "extra node":
                stages = self._pipeline.stages[1:]
                stage = stages[int(fault.chance * len(stages))]
                extra = self._cast.node(self._pipeline, stage)
                self._leaving.append(extra)
                self._undo.append((until + 2.0, extra.process.terminate))
                told += f": {extra.name}"
            case "kill broker":
                self._kafka.kill()
                self._undo.append((min(until, now + BROKER_AWAY_S), self._kafka.start))
            case "kill receiver":
                self._cast.receiver.kill()
                self._undo.append((until, self._cast.receiver.again))
            case "receiver":
                self._cast.misbehave(**MODES[fault.mode])
                self._undo.append((until, self._cast.misbehave))
        told = f"{now - began:6.1f} s  {told}"
        self.counted.faults.append(told)
        say(told)

    def _undo_what_is_due(self, now: float) -> None:
        due = [undo for at, undo in self._undo if at <= now]
        self._undo = [(at, undo) for at, undo in self._undo if at > now]
        for undo in due:
            undo()

    def _wait_for_the_rest(self, feed: Feed, began: float) -> None:
        """Until every acknowledged event is there, or nothing has moved for too long: then they are lost, or stuck."""
        best, moved = -1, time.monotonic()
        while time.monotonic() - moved < STUCK_S:
            self._read_notes()
            arrived = sum(map(bool, self._seen))
            expected = sum(not is_never(n) for n in range(self._events)) if feed.is_done else self._events + 1
            if arrived >= expected:
                return
            if arrived > best:
                best, moved = arrived, time.monotonic()
            time.sleep(0.5)  # between looks
            if int(time.monotonic() - began) % int(SAY_EVERY_S) == 0:
                self._say(feed, began)

    def _count(self, feed: Feed, began: float) -> None:
        found = self.counted
        found.seconds = time.monotonic() - began
        self._read_notes()
        reader = Reader(
            self._kafka, "dead", *(f"headrace.durable.{s}.dead" for s in ("route", "transform", "transmit"))
        )
        never = {str(n) for n in range(self._events) if is_never(n) and feed.acknowledged[n]}
        messages = reader.until(lambda got: never <= {id_of(m) for m in got})
        reader.close()
        dead = {id_of(m) for m in messages}
        found.acknowledged = sum(feed.acknowledged)
        found.arrived = sum(map(bool, self._seen))
        found.duplicates = sum(self._seen) - found.arrived
        found.dead = len(dead & never)
        found.dead_unexpected = sorted(dead - never)
        found.lost = [
            n for n in range(self._events) if feed.acknowledged[n] and not self._seen[n] and str(n) not in dead
        ]
        found.sent_again = feed.sent_again

    def _read_notes(self) -> None:
        if not self._cast.notes.exists():
            return
        with self._cast.notes.open("rb") as file:
            file.seek(self._read_to)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._read_to += len(whole)
        for line in whole.splitlines():
            n = int(line)
            self._seen[n] = min(255, self._seen[n] + 1)

    def _say(self, feed: Feed, began: float) -> None:
        self._read_notes()
        say(
            f"{time.monotonic() - began:6.1f} s  acknowledged {sum(feed.acknowledged):,}"
            f"  received {sum(map(bool, self._seen)):,}"
        )


def durability_run(events: int, seed: int, *, nodes_each: int, faults: tuple[int, int], gap_s: float) -> Counted:
    """A run from nothing to the count; the folder is kept when something was lost."""
    plan = plan_of(seed, faults[1], gap_s)
    say(f"seed {seed}; {events:,} events; {faults[0]} to {faults[1]} faults:", *plan, sep="\n  ")
    folder = Path(tempfile.mkdtemp(prefix="hr"))  # short: a Unix socket's path has 107 characters
    run = Run(*cast_of(folder, nodes_each), events)
    try:
        found = run.go(plan, faults[0])
    finally:
        run.stop()
    if found.lost:
        say(f"lost, first of them {found.lost[:TOLD_MAX]}; logs and topics are in {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    say(found)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--faults", type=int, default=300)
    parser.add_argument("--faults-min", type=int, default=20)
    parser.add_argument("--gap", type=float, default=4.0, help="seconds between faults, on average")
    given = parser.parse_args()
    found = durability_run(
        given.events, given.seed, nodes_each=2, faults=(given.faults_min, given.faults), gap_s=given.gap
    )
    return 1 if found.lost or found.acknowledged < given.events else 0


if __name__ == "__main__":
    sys.exit(main())
