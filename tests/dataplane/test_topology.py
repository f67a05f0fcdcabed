"""Many-to-many: events go along branches, get rows from tables, come back from the global retrier, and keep order."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import orjson
import pytest
import redis
from confluent_kafka import Message
from pydantic import ValidationError

from dataplane.stages.enriching import Enriching
from dataplane.stages.events import Done, Event, Failed, Outcome, Output, same
from dataplane.stages.global_retries import GlobalRetrier
from dataplane.stages.publishing import Publisher
from dataplane.stages.routing import Routing
from dataplane.stages.tables import parse_table
from localcloud.servers.kafka import KafkaServer
from localcloud.servers.valkey import ValkeyServer
from shared.contracts.objects import Pipeline, RetryPolicy
from shared.contracts.works import Enrich, Route
from shared.domain.errors import InvalidInput, NotFound
from tests.dataplane.streams import (
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


def event(value: object, event_id: str = "e") -> Event:
    return Event(event_id, 1.0, b"k", value if isinstance(value, bytes) else orjson.dumps(value), event_id, 0, 0)


def no_s3(url: str, _: int) -> bytes:
    raise NotFound(f"object {url}: there is no S3 here")


def route(**changes: object) -> Route:
    branches = [{"when": "delay > 60", "to": ["late", "all"]}, {"when": "delay > 15", "to": ["late"]}]
    return Route.model_validate({"branches": branches} | changes)


def taken(spec: Route, value: object) -> tuple[str, ...] | str:
    (outcome,) = Routing(spec, {n: n for n in ("late", "all", "rest")}).run([event(value)])
    if isinstance(outcome, Failed):
        return outcome.reason
    return outcome.outputs[0].topics or () if outcome.outputs else outcome.dropped


def test_an_event_takes_the_first_branch_or_all_that_hold_each_stage_once() -> None:
    assert taken(route(), {"delay": 90}) == ("late", "all")
    assert taken(route(), {"delay": 20}) == ("late",)
    assert taken(route(match="all"), {"delay": 90}) == ("late", "all")
    assert taken(route(default=["rest"]), {"delay": 1}) == ("rest",)
    assert taken(route(), {"delay": 1}) == "Unmatched"
    assert taken(route(unmatched="drop"), {"delay": "?"}) == "unmatched"
    assert taken(route(), b"\xff") == "Undecodable"


def pipeline_of(branches: list[dict[str, object]], edges: list[tuple[str, str]]) -> Pipeline:
    works: dict[str, dict[str, object]] = {
        "ingest": {"type": "ingest"},
        "route": {"type": "route", "branches": branches},
        "a": {"type": "normalize"},
        "b": {"type": "normalize"},
    }
    stages = [{"name": n, "group": n, "work": w} for n, w in works.items()]
    return Pipeline.model_validate(
        {"name": "p", "stages": stages, "edges": [{"source": s, "target": t} for s, t in edges]}
    )


EDGES = [("ingest", "route"), ("route", "a"), ("route", "b"), ("a", "b")]


@pytest.mark.parametrize(
    ("branches", "edges", "said"),
    [
        ([{"when": "x", "to": ["a"]}], EDGES, "route -> b is taken by no branch"),
        ([{"when": "x", "to": ["a", "b", "ingest"]}], EDGES, "goes to 'ingest', and no edge does"),
        ([{"when": "open('x')", "to": ["a", "b"]}], EDGES, "when: expression"),
        ([{"when": "x", "to": ["a", "b"]}], [*EDGES, ("b", "route")], "is a cycle"),
        ([{"when": "x", "to": ["a", "b"]}], [*EDGES, ("a", "b")], "a -> b is declared twice"),
    ],
)
def test_a_graph_that_cannot_be_is_refused(
    branches: list[dict[str, object]], edges: list[tuple[str, str]], said: str
) -> None:
    with pytest.raises(ValidationError, match=said):
        pipeline_of(branches, edges)
    assert pipeline_of([{"when": "x", "to": ["a", "b"]}], EDGES).stages


def enrich(source: Mapping[str, object], **changes: object) -> Enriching:
    given = {"source": dict(source), "field": "flight.carrier", "into": "carrier", "refresh_s": 0.1} | changes
    return Enriching(Enrich.model_validate(given), no_s3)


def only(work: Enriching, value: object) -> Outcome:
    (outcome,) = work.run([event(value)])
    return outcome


def row_of(outcome: Outcome) -> object:
    return json.loads(outcome.outputs[0].value).get("carrier") if isinstance(outcome, Done) else outcome.reason


UA = {"flight": {"carrier": "UA"}}


def test_a_table_in_a_file_is_read_again_and_serves_on_while_it_cannot_be(tmp_path: Path) -> None:
    file = tmp_path / "carriers.csv"
    work = enrich({"type": "file", "path": str(file), "format": "csv", "key": "code"})
    try:
        assert row_of(only(work, UA)) == "TableUnavailable"
        file.write_text("code,name\nUA,United\n")
        wait_until(lambda: row_of(only(work, UA)) == {"code": "UA", "name": "United"}, "the table is there")
        file.write_text("no,key\n1,2\n")
        wait_until(lambda: "has no 'code'" in work._lookup._why, "the bad table was seen")  # type: ignore[attr-defined]
        assert row_of(only(work, UA)) == {"code": "UA", "name": "United"}
        file.write_text("code,name\nUA,United Airlines\n")
        wait_until(lambda: "Airlines" in str(row_of(only(work, UA))), "the mended table is there")
        assert row_of(only(work, {"flight": 3})) is None
    finally:
        work.close()


def test_what_has_no_row_is_as_declared(tmp_path: Path) -> None:
    file = tmp_path / "t.json"
    file.write_text('{"AA": 1}')
    source: dict[str, object] = {"type": "file", "path": str(file)}
    wanted: list[tuple[dict[str, object], object]] = [
        ({}, None),
        ({"on_missing": "default", "default": {"name": "?"}}, {"name": "?"}),
        ({"on_missing": "dead_letter"}, "NoRow"),
    ]
    for changes, row in wanted:
        work = enrich(source, **changes)
        wait_until(lambda work=work, row=row: row_of(only(work, UA)) == row, f"{row}")  # type: ignore[misc]
        work.close()
    work = enrich(source, on_missing="drop")
    wait_until(lambda: only(work, UA) == Done((), "no_row"), "it is dropped")
    work.close()
    with pytest.raises(ValidationError, match="give both or neither"):
        enrich(source, on_missing="default")


def test_tables_are_bounded_and_say_what_is_wrong_with_them() -> None:
    with pytest.raises(InvalidInput, match="3 rows"):
        parse_table(b'[{"k":1},{"k":2},{"k":3}]', "json", "k", 2)
    for bad in (b"\xff", b"3", b'[{"x":1}]', b"[3]"):
        with pytest.raises(InvalidInput):
            parse_table(bad, "json", "k", 10)
    assert parse_table(b'{"k":"a"}\n{"k":"b"}\n', "jsonl", "k", 10) == {"a": {"k": "a"}, "b": {"k": "b"}}


def test_a_table_behind_a_url_and_one_in_valkey(empty_valkey: ValkeyServer, tmp_path: Path) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"UA": {"name": "United"}}')

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    work = enrich({"type": "http", "url": f"http://127.0.0.1:{server.server_address[1]}/"})
    wait_until(lambda: row_of(only(work, UA)) == {"name": "United"}, "the table is there")
    work.close()
    server.shutdown()
    thread.join()
    server.server_close()

    client = redis.Redis.from_url(empty_valkey.url)
    client.mset({"c:UA": '{"name": "United"}', "c:AA": "plain"})
    password = tmp_path / "password"
    password.write_text(str(urlsplit(empty_valkey.url).password))
    source: dict[str, object] = {"type": "valkey", "url": f"redis://127.0.0.1:{empty_valkey.port}", "prefix": "c:"}
    work = enrich(source | {"password_file": str(password)}, rows_max=2, refresh_s=3600)
    found = work.run([event({"flight": {"carrier": c}}) for c in ("UA", "AA", "XX")])
    assert [row_of(o) for o in found] == [{"name": "United"}, "plain", None]
    client.close()
    assert row_of(only(work, {"flight": {"carrier": "AA"}})) == "plain"
    work.close()
    away = enrich(source | {"url": "redis://127.0.0.1:1", "timeout_s": 0.2})
    assert row_of(only(away, UA)) == "TableUnavailable"


def test_a_row_of_valkey_serves_on_while_it_is_away(empty_valkey: ValkeyServer, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text(str(urlsplit(empty_valkey.url).password))
    source: dict[str, object] = {
        "type": "valkey",
        "url": f"redis://127.0.0.1:{empty_valkey.port}",
        "password_file": str(password),
    }
    client = redis.Redis.from_url(empty_valkey.url)
    client.set("UA", "1")
    client.close()
    work = enrich(source)
    assert row_of(only(work, UA)) == 1
    password.write_text("wrong")
    work.close()  # the next question connects anew, and is refused
    wait_until(lambda: time.monotonic() > work._lookup._kept["UA"][0] + 0.2, "the row is too old")  # type: ignore[attr-defined]
    assert row_of(only(work, UA)) == 1
    assert row_of(only(work, {"flight": {"carrier": "AA"}})) == "TableUnavailable"
    work.close()


@pytest.fixture
def name(kafka: KafkaServer, unique_name: str) -> str:
    make_topics(kafka, *(f"{unique_name}.{t}" for t in ("in", "out", "out2", "dead")))
    make_topics(kafka, *(f"{unique_name}.{t}" for t in ("retry1", "retry2")), partitions=1)
    return unique_name


def test_a_route_sends_each_event_where_it_belongs_and_nowhere_else(kafka: KafkaServer, name: str) -> None:
    spec = Route.model_validate(
        {"branches": [{"when": "n % 3 == 0", "to": ["a"]}, {"when": "n % 2 == 0", "to": ["a", "b"]}], "match": "all"}
        | {"unmatched": "drop"}
    )
    topics = {"a": f"{name}.out", "b": f"{name}.out2"}
    fill(kafka, f"{name}.in", events(120))
    with (
        running(plan_of(kafka, name, list(topics.values())), Routing(spec, topics)) as (_, measures, book),
        reading(kafka, f"{name}1", topics["a"]) as one,
        reading(kafka, f"{name}2", topics["b"]) as two,
    ):
        assert one.ids(80) == {f"e{n}" for n in range(120) if n % 3 == 0 or n % 2 == 0}
        assert two.ids(60) == {f"e{n}" for n in range(0, 120, 2)}
        wait_until(lambda: value_of(measures.lines(), "headrace_messages_dropped_total", reason="unmatched") == 40, "")
        assert len(one.messages) == 80
    dropped = sum(r.dropped.get("unmatched", 0) for r in book.changed(time.time(), held_back=False))
    assert dropped == 40


@dataclass
class Stubborn:
    """Fails an event until the script lets it go."""

    verdict: Callable[[Event, int], Failed | None]
    batch_max: int = 64
    tries: dict[str, int] = field(default_factory=dict)

    def run(self, batch: list[Event]) -> list[Outcome]:
        found: list[Outcome] = []
        for one in batch:
            self.tries[one.id] = self.tries.get(one.id, 0) + 1
            found.append(self.verdict(one, self.tries[one.id]) or same(one, one.value))
        return found

    def close(self) -> None:
        """Nothing is open."""


LATER = Failed(True, "Busy", "later")


@pytest.fixture
def retriers() -> Iterator[list[GlobalRetrier]]:
    made: list[GlobalRetrier] = []
    yield made
    for one in made:
        one.stop()


def test_the_global_retrier_brings_an_event_back_as_it_was_and_then_gives_up(
    kafka: KafkaServer, name: str, retriers: list[GlobalRetrier]
) -> None:
    retry = RetryPolicy(attempts=2, first_s=0.01, max_s=0.02, global_delays_s=(0.4, 0.8))
    plan = replace(
        plan_of(kafka, name, [f"{name}.out"], retry), topics_retry=(f"{name}.retry1", f"{name}.retry2"), ordered=True
    )

    def verdict(one: Event, _: int) -> Failed | None:
        return LATER if one.id == "e1" or (one.id == "e2" and one.tries < 2) else None

    sent_at = time.time() - 100
    fill(kafka, f"{name}.in", events(50), at=sent_at)
    waves: list[int] = []

    def both_are_back(got: list[Message]) -> bool:
        """While others go through: an event is given up only where they do."""
        if len(got) < 48 + 10 * len(waves):
            return False
        fill(kafka, f"{name}.in", events(10, prefix=f"w{len(waves)}-"))
        waves.append(1)
        return {"e1", "e2"} <= {id_of(m) for m in got}

    retriers.append(GlobalRetrier(plan))
    retriers[0].start()
    with (
        running(plan, Stubborn(verdict)) as (_, measures, book),
        reading(kafka, name, f"{name}.out", f"{name}.dead") as reader,
    ):
        by_id = {id_of(m): m for m in reader.until(both_are_back)}
        assert is_dead(by_id["e1"])
        assert (header(by_id["e1"], "reason"), header(by_id["e1"], "tries")) == ("Busy", "2")
        assert (float(header(by_id["e2"], "t")), fields_of(by_id["e2"])["n"]) == (sent_at, 2)
        lines = measures.lines()
        assert value_of(lines, "headrace_retries_total", tier="global") == 4
        dropped = [r.dropped for r in book.changed(time.time(), held_back=False) if r.dropped]
        assert sum(d.get("retrying", 0) for d in dropped) == 4
        wait_until(
            lambda: value_of(measures.lines(), "headrace_messages_in_total") == 50 + 10 * len(waves),
            "each is counted once",
        )


def test_a_retrier_that_ends_leaves_what_waits_to_the_next(
    kafka: KafkaServer, name: str, retriers: list[GlobalRetrier]
) -> None:
    retry = RetryPolicy(attempts=1, global_delays_s=(1.0,))
    plan = replace(plan_of(kafka, name, [f"{name}.out"], retry), topics_retry=(f"{name}.retry1",))
    fill(kafka, f"{name}.retry1", events(30))
    for _ in range(2):
        one = GlobalRetrier(plan)
        one.start()
        one.stop()
    retriers.append(GlobalRetrier(plan))
    retriers[0].start()
    with reading(kafka, name, f"{name}.in") as reader:
        assert reader.ids(30) == set(events(30))


def test_an_ordered_stage_hands_events_of_a_key_on_in_their_order(kafka: KafkaServer, name: str) -> None:
    def verdict(one: Event, tries: int) -> Failed | None:
        return LATER if int(one.id[1:]) % 7 == 3 and tries < 3 else None

    work = Stubborn(verdict, batch_max=20)
    plan = replace(plan_of(kafka, name, [f"{name}.out"], RetryPolicy(attempts=9, first_s=0.02)), ordered=True)
    keyed = KeyedFill(kafka, f"{name}.in")
    keyed.send(300, keys=5)
    with running(plan, work), reading(kafka, name, f"{name}.out") as reader:
        assert len(reader.ids(300)) == 300
    for key in range(5):
        got = [int(id_of(m)[1:]) for m in reader.messages if m.key() == f"k{key}".encode()]
        assert got == sorted(got)
        assert len(got) == 60


class KeyedFill:
    """Events whose keys repeat."""

    def __init__(self, kafka: KafkaServer, topic: str) -> None:
        self._publisher, self._topic = Publisher(access_of(kafka), "test"), topic

    def send(self, count: int, keys: int) -> None:
        for n in range(count):
            output = Output(f"e{n}", time.time(), f"k{n % keys}".encode(), b'{"n":%d}' % n, f"e{n}")
            assert self._publisher.put(self._topic, output) is None
        self._publisher.settle()
        self._publisher.close()
