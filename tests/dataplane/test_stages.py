"""Stages against the real broker."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from confluent_kafka import Consumer, TopicPartition

from dataplane.stages.audits import AuditBook
from dataplane.stages.events import Event, Failed, Outcome, same
from dataplane.stages.ingest import Ingest
from dataplane.stages.measures import Measures
from dataplane.stages.normalizing import Normalizing
from dataplane.stages.stage_loop import WAITING_MAX
from dataplane.stages.transmitting import Transmitting
from localcloud.servers.kafka import KafkaServer
from shared.contracts.objects import HttpIngest, HttpSink, Normalize, Transmit
from tests.dataplane.streams import (
    LABELS,
    QUICK,
    access_of,
    events,
    fields_of,
    fill,
    header,
    id_of,
    is_dead,
    make_topics,
    plan_of,
    reading,
    running,
    value_of,
    wait_until,
)
from tests.kafka_patience import patiently

SPEC = Normalize(required=("n",), rename={"pad": "padding"}, defaults={"colour": "red"})


@pytest.fixture
def name(kafka: KafkaServer, unique_name: str) -> str:
    make_topics(kafka, *(f"{unique_name}.{t}" for t in ("in", "out", "out2", "dead")))
    return unique_name


def committed(kafka: KafkaServer, name: str, partitions: int = 4) -> int:
    consumer = Consumer({**kafka.client_settings(), "group.id": f"{name}.group", "log_level": 0})
    wanted = [TopicPartition(f"{name}.in", p) for p in range(partitions)]
    places = patiently(lambda: consumer.committed(wanted, timeout=60))
    consumer.close()
    return sum(max(0, p.offset) for p in places)


def test_events_go_on_to_every_next_link_and_bad_ones_to_dead_letters(kafka: KafkaServer, name: str) -> None:
    bad = {"b1": b"\xff\xfe", "b2": b"[1]", "b3": b'{"no": "n"}', "b4": b""}
    fill(kafka, f"{name}.in", events(500) | bad, at=time.time() - 3)
    with running(plan_of(kafka, name, [f"{name}.out", f"{name}.out2"]), Normalizing(SPEC)) as (_, measures, book):
        with reading(kafka, f"{name}1", f"{name}.out") as one, reading(kafka, f"{name}2", f"{name}.out2") as two:
            assert one.ids(500) == two.ids(500) == set(events(500))
            value = fields_of(one.messages[0])
        assert (value["colour"], "pad" in value, "padding" in value) == ("red", False, True)
        with reading(kafka, f"{name}3", f"{name}.dead") as dead:
            reasons = {id_of(m): header(m, "reason") for m in dead.until(lambda found: len(found) == 4)}
            values = {id_of(m): m.value() for m in dead.messages}
        assert reasons == {"b1": "Undecodable", "b2": "NotAnObject", "b3": "FieldMissing", "b4": "Undecodable"}
        assert values == bad | {"b4": None} or values == bad
        wait_until(lambda: committed(kafka, name) == 504, "everything is committed")
        lines = measures.lines()
        assert value_of(lines, "headrace_messages_in_total") == 504
        assert value_of(lines, "headrace_messages_out_total") == 500
        assert value_of(lines, "headrace_messages_failed_total", kind="non_recoverable") == 4
        assert value_of(lines, "headrace_lag_out_seconds_bucket", le="2") == 0
        assert value_of(lines, "headrace_lag_out_seconds_count") == 500
        reports = book.changed(time.time(), held_back=False)
        assert sum(r.count for r in reports if r.point == "out") == 500
        assert sum(r.dropped.get("dead_letter", 0) for r in reports) == 4


@dataclass
class Scripted:
    """Users' work that fails as a test tells it to."""

    verdict: Callable[[Event, int], Failed | None]
    batch_max: int = 64
    tries: dict[str, int] = field(default_factory=dict)

    def run(self, events: list[Event]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for event in events:
            self.tries[event.id] = self.tries.get(event.id, 0) + 1
            outcomes.append(self.verdict(event, self.tries[event.id]) or same(event, event.value))
        return outcomes

    def close(self) -> None:
        pass


LATER = Failed(True, "Busy", "later")


def test_recoverable_events_are_tried_again_then_dead_and_pass_nobody_by(kafka: KafkaServer, name: str) -> None:
    def verdict(event: Event, tries: int) -> Failed | None:
        if event.id == "e3":
            return LATER
        return LATER if event.id == "e7" and tries == 1 else None

    work = Scripted(verdict)
    fill(kafka, f"{name}.in", events(300))
    with running(plan_of(kafka, name, [f"{name}.out"]), work) as (_, measures, _):
        with reading(kafka, name, f"{name}.out", f"{name}.dead") as reader:
            assert reader.ids(300) == set(events(300))
            (dead,) = [m for m in reader.messages if is_dead(m)]
        assert (id_of(dead), header(dead, "reason"), header(dead, "attempts")) == ("e3", "Busy", "2")
        assert (work.tries["e3"], work.tries["e7"]) == (3, 2)
        wait_until(lambda: committed(kafka, name) == 300, "everything is committed")
        assert value_of(measures.lines(), "headrace_retries_total", tier="local") == 3


def test_an_event_that_fails_alone_on_a_silent_stage_is_given_up_by_its_own_clock(
    kafka: KafkaServer, name: str
) -> None:
    work = Scripted(lambda _, __: LATER)
    fill(kafka, f"{name}.in", events(1))
    retry = QUICK.model_copy(update={"patience_s": 0.4})
    with running(plan_of(kafka, name, [f"{name}.out"], retry), work) as (_, measures, _):
        with reading(kafka, name, f"{name}.dead") as dead:
            (letter,) = dead.until(lambda found: len(found) == 1)
        assert (id_of(letter), header(letter, "reason"), header(letter, "class")) == ("e0", "Busy", "recoverable")
        assert int(header(letter, "attempts")) >= retry.attempts - 1
        wait_until(lambda: committed(kafka, name) == 1, "it is committed")
        assert value_of(measures.lines(), "headrace_messages_failed_total", kind="recoverable") == 1


def test_while_nothing_goes_through_no_event_dies_and_nothing_is_committed(kafka: KafkaServer, name: str) -> None:
    up = threading.Event()
    work = Scripted(lambda *_: None if up.is_set() else LATER)
    fill(kafka, f"{name}.in", events(200))
    with running(plan_of(kafka, name, [f"{name}.out"]), work) as (_, measures, _):
        wait_until(lambda: work.tries.get("e0", 0) > 6, "more tries than the policy has")
        assert committed(kafka, name) == 0
        assert value_of(measures.lines(), "headrace_messages_failed_total") == 0
        assert value_of(measures.lines(), "headrace_oldest_unprocessed_timestamp_seconds") > 0
        up.set()
        with reading(kafka, name, f"{name}.out") as reader:
            assert reader.ids(200) == set(events(200))
        wait_until(lambda: committed(kafka, name) == 200, "everything is committed")


def test_two_nodes_share_and_what_one_leaves_the_other_takes(kafka: KafkaServer, name: str) -> None:
    plan = plan_of(kafka, name, [f"{name}.out"])
    with reading(kafka, name, f"{name}.out") as reader, running(plan, Normalizing(Normalize())) as (_, first, _):
        with running(plan, Normalizing(Normalize())) as (_, second, _):
            sent: dict[str, bytes] = {}

            def both_work() -> bool:
                more = events(100, prefix=f"r{len(sent)}-")
                fill(kafka, f"{name}.in", more)
                sent.update(more)
                return min(value_of(m.lines(), "headrace_messages_in_total") for m in (first, second)) > 0

            wait_until(both_work, "both have work")
            assert reader.ids(len(sent)) == set(sent)
        last = events(100, prefix="last-")
        fill(kafka, f"{name}.in", last)
        assert reader.ids(len(sent) + 100) == set(sent) | set(last)


def test_silence_means_something_only_once_the_end_was_seen(kafka: KafkaServer, name: str) -> None:
    up = threading.Event()
    fill(kafka, f"{name}.in", events(WAITING_MAX + 500))
    with running(plan_of(kafka, name, [f"{name}.out"]), Scripted(lambda *_: None if up.is_set() else LATER)) as found:
        loop = found[0]
        assert loop.held_back()
        wait_until(lambda: loop.paused, "so many wait that it reads no more")
        assert loop.held_back()
        up.set()
        wait_until(lambda: not loop.held_back(), "it has read everything")


def test_partitions_that_were_paused_when_they_went_are_read_when_they_come_back(kafka: KafkaServer, name: str) -> None:
    up = threading.Event()
    held = WAITING_MAX + 500
    plan = plan_of(kafka, name, [f"{name}.out"])
    fill(kafka, f"{name}.in", events(held))
    with (
        reading(kafka, name, f"{name}.out") as reader,
        running(plan, Scripted(lambda *_: None if up.is_set() else LATER, batch_max=1000)) as (first, _, _),
    ):
        wait_until(lambda: first.paused, "so many wait that it reads no more")
        with running(plan, Normalizing(Normalize())) as (_, measures, _):
            wait_until(lambda: value_of(measures.lines(), "headrace_messages_in_total") > 0, "some are the other's now")
            wait_until(lambda: not first.paused, "the first has fewer")
        up.set()
        last = events(200, prefix="last-")
        fill(kafka, f"{name}.in", last)
        assert reader.ids(held + 200) == set(events(held)) | set(last)


class Sink:
    """An HTTP receiver that answers as a test tells it to."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.answer: Callable[[list[dict[str, object]]], int] = lambda _: 200
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                got = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status = sink.answer(got)
                if status == 200:
                    sink.ids += [e["id"] for e in got]
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/events"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()


@pytest.fixture
def sink() -> Iterator[Sink]:
    made = Sink()
    yield made
    made.server.shutdown()
    made.thread.join()
    made.server.server_close()


def test_an_http_sink_gets_everything_and_the_event_it_refuses_dies_alone(
    kafka: KafkaServer, name: str, sink: Sink
) -> None:
    answers = iter([503, 429])

    def answer(got: list[dict[str, object]]) -> int:
        return 422 if any(e["id"] == "e5" for e in got) else next(answers, 200)

    sink.answer = answer
    fill(kafka, f"{name}.in", events(1000))
    work = Transmitting(Transmit(sinks=(HttpSink(url=sink.url, batch_max=100),)))
    with running(plan_of(kafka, name, [f"{name}.out"]), work), reading(kafka, name, f"{name}.dead") as dead:
        (refused,) = dead.until(lambda found: len(found) == 1)
        assert (id_of(refused), header(refused, "reason")) == ("e5", "Http422")
        wait_until(lambda: len(set(sink.ids)) == 999, "all others")
        wait_until(lambda: committed(kafka, name) == 1000, "everything is committed")


def ingest_of(kafka: KafkaServer, topics: list[str], percent: Callable[[], int]) -> tuple[Ingest, Measures]:
    measures = Measures(LABELS, {})
    spec = HttpIngest(time_field="t", batch_max=1000)
    edge = Ingest(spec, access_of(kafka), "i-1", topics, percent, measures, AuditBook())
    edge.start()
    return edge, measures


def body_of(ids: list[str]) -> bytes:
    return json.dumps([{"id": i, "t": time.time()} for i in ids]).encode()


def test_the_edge_defers_what_the_ramp_does_not_admit_and_admits_it_later(kafka: KafkaServer, name: str) -> None:
    percent = [5]
    edge, measures = ingest_of(kafka, [f"{name}.out", f"{name}.out2"], lambda: percent[0])
    waiting, accepted = [f"e{n}" for n in range(1000)], []
    for phase in (5, 25, 100):
        percent[0] = phase
        answer = edge.submit(body_of(waiting), "application/json")
        found = json.loads(answer.body)
        assert (answer.status, [r["id"] for r in found["results"]]) == (200, waiting)
        accepted += [r["id"] for r in found["results"] if r["status"] == "accepted"]
        waiting = [r["id"] for r in found["results"] if r["status"] == "deferred"]
        assert bool(found["retry_after_s"]) == (phase < 100)
    assert (sorted(accepted), waiting) == (sorted(f"e{n}" for n in range(1000)), [])
    for topic in ("out", "out2"):
        with reading(kafka, f"{name}{topic}", f"{name}.{topic}") as reader:
            assert reader.ids(1000) == set(accepted)
    assert value_of(measures.lines(), "headrace_messages_out_total") == 1000
    edge.stop()


def test_the_edge_refuses_what_is_too_much_and_defers_what_the_broker_will_not_take(
    kafka: KafkaServer, name: str
) -> None:
    edge, _ = ingest_of(kafka, [f"{name}.out"], lambda: 100)
    assert edge.submit(body_of([f"e{n}" for n in range(1001)]), "application/json").status == 413
    assert edge.submit(b"{}", "application/json").status == 400
    edge.stop()
    nowhere, _ = ingest_of(kafka, [f"{name}.nowhere"], lambda: 100)
    found = json.loads(nowhere.submit(body_of(["a"]), "application/json").body)
    assert (found["deferred"], found["results"][0]["status"]) == (1, "deferred")
    nowhere.stop()


def test_a_session_that_breaks_in_the_middle_of_a_batch_loses_nothing(kafka: KafkaServer, name: str) -> None:
    broken = iter([True] * 3)

    def verdict(event: Event, tries: int) -> Failed | None:
        if int(event.id[1:]) % 97 == 96 and next(broken, False):
            raise RuntimeError("a defect, or a broker that is away")
        return LATER if event.id == "e5" and tries == 1 else None

    fill(kafka, f"{name}.in", events(400))
    with (
        running(plan_of(kafka, name, [f"{name}.out"]), Scripted(verdict)),
        reading(kafka, name, f"{name}.out") as reader,
    ):
        assert reader.ids(400) == set(events(400))
        wait_until(lambda: committed(kafka, name) == 400, "everything is committed")
        assert next(broken, None) is None, "every break was met"
