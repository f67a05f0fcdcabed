"""Hostile events: an error for the one event, none lost, none stuck."""

import dataclasses
import json
import time

import orjson
import pytest
from confluent_kafka import Producer
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplane.stages.accepting import judge, parse_body
from dataplane.stages.audits import AHEAD_S_MAX, AuditBook
from dataplane.stages.events import Event
from dataplane.stages.ingest import Ingest
from dataplane.stages.measures import Measures
from dataplane.stages.normalizing import Normalizing
from dataplane.stages.routing import Routing
from dataplane.stages.transmitting import Transmitting
from localcloud.servers.kafka import KafkaServer
from services.provisioner.domain.pipeline import topics_of
from services.provisioner.operations.translation import pipeline_intent
from shared.contracts.node import EVENT_BYTES_MAX
from shared.contracts.objects import HttpIngest, HttpSink, Normalize, Route, Transmit
from tests.dataplane.streams import (
    LABELS,
    access_of,
    header,
    id_of,
    is_dead,
    make_topic_plans,
    make_topics,
    plan_of,
    reading,
    running,
    value_of,
    wait_until,
)
from tests.provisioner.examples import departures

TEN_MB = "x" * 10_000_000
NOW = 1_700_000_000.0
HOSTILE: list[bytes] = [
    b'{"id":"big","t":1.0,"pad":"' + TEN_MB.encode() + b'"}',
    b'{"id":"latin","t":1.0,"name":"Z\xfcrich"}',
    b"\xff\xfe{\x00}\x00",
    b'{"id":"nan","t":NaN}',
    b'{"id":"inf","t":1e999}',
    b'{"id":"\\ud800","t":1.0}',
    b'{"id":"deep","t":1.0,"x":' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    b'{"id":["list"],"t":1.0}',
    b'{"id":"text-time","t":"soon"}',
    b'{"id":"before","t":-5}',
    b'{"id":"far","t":1e15}',
    b"null",
    b"[]",
    b'"text"',
    b"{",
    b'{"t":1.0}',
]


def test_the_edge_names_each_hostile_event_and_takes_every_other(kafka: KafkaServer, unique_name: str) -> None:
    make_topics(kafka, f"{unique_name}.out")
    measures = Measures(LABELS, {})
    spec = HttpIngest(time_field="t")
    edge = Ingest(spec, access_of(kafka), "i-1", [f"{unique_name}.out"], lambda: 100, measures, AuditBook())
    edge.start()
    skewed = {"ahead": time.time() + 3e8, "behind": 1.0, "now": time.time()}
    lines: list[bytes] = []
    for n, bad in enumerate(HOSTILE):
        lines += [bad, orjson.dumps({"id": f"good{n}", "t": time.time()})]
    lines += [orjson.dumps({"id": i, "t": t}) for i, t in skewed.items()]
    results = json.loads(edge.submit(b"\n".join(lines), "application/x-ndjson").body)["results"]
    good = {f"good{n}" for n in range(len(HOSTILE))} | set(skewed)
    assert {r["id"] for r in results if r["status"] == "accepted"} == good
    invalid = [r for r in results if r["status"] == "invalid"]
    assert len(invalid) == len(HOSTILE)
    assert all(r["error"]["remedy"] for r in invalid)
    with reading(kafka, unique_name, f"{unique_name}.out") as reader:
        assert reader.ids(len(good)) == good
    edge.stop()


def test_what_others_write_to_a_stages_topic_goes_on_or_dies_and_holds_nothing_up(
    kafka: KafkaServer, unique_name: str
) -> None:
    name = unique_name
    make_topics(kafka, *(f"{name}.{t}" for t in ("in", "out", "dead")))
    producer = Producer(kafka.client_settings())
    values = [h for h in HOSTILE if len(h) < 1_000_000] + [b"", b'{"n":1}']
    headers: list[list[tuple[str, str | bytes | None]]] = [
        [],
        [("id", b"\xff\xff"), ("t", b"nan"), ("tries", b"99999999999")],
        [("t", b"-1"), ("root", b""), ("tries", b"-3")],
        [("t", b"9e99"), ("id", None)],
        [("t", str(time.time() + 3e8).encode()), ("tries", b"7")],
    ]
    for n, value in enumerate(values * 5):
        producer.produce(f"{name}.in", value, headers=headers[n // len(values)])
    assert producer.flush(60) == 0
    count = len(values) * 5
    with running(plan_of(kafka, name, [f"{name}.out"]), Normalizing(Normalize())) as (_, measures, book):
        with reading(kafka, name, f"{name}.out", f"{name}.dead") as reader:
            found = reader.until(lambda got: len(got) >= count)
        dead = [m for m in found if is_dead(m)]
        assert len(found) == count
        assert {header(m, "reason") for m in dead} == {"Undecodable", "NotAnObject"}
        assert all(id_of(m) for m in found)
        assert all(r.minute < time.time() + AHEAD_S_MAX for r in book.changed(time.time(), held_back=False))
        new = count - len(values)  # those with tries say that they were here before
        wait_until(lambda: value_of(measures.lines(), "headrace_messages_in_total") == new, "all were counted")


def test_an_event_as_large_as_a_topic_takes_dies_with_its_reason_and_what_is_made_too_large_too(
    kafka: KafkaServer, unique_name: str
) -> None:
    name = unique_name
    topics = topics_of(pipeline_intent(departures(), 1))
    plans = {"in": topics[1], "out": topics[1], "dead": topics[2]}
    assert plans["in"].bytes_max < plans["dead"].bytes_max
    make_topic_plans(kafka, [dataclasses.replace(p, name=f"{name}.{n}") for n, p in plans.items()])
    producer = Producer(kafka.client_settings() | {"message.max.bytes": plans["in"].bytes_max})
    whole = plans["in"].bytes_max - 1_000
    for value in (b"\xff" * whole, b'"' + b"x" * (whole - 2) + b'"', b'{"x":"%b"}' % (b"y" * EVENT_BYTES_MAX), b"{}"):
        producer.produce(f"{name}.in", value)
    assert producer.flush(60) == 0
    with (
        running(plan_of(kafka, name, [f"{name}.out"]), Normalizing(Normalize())),
        reading(kafka, name, f"{name}.out", f"{name}.dead") as reader,
    ):
        found = reader.until(lambda got: len(got) >= 4)
    assert sorted(header(m, "reason") for m in found if is_dead(m)) == ["NotAnObject", "TooLarge", "Undecodable"]


def test_a_time_far_ahead_closes_no_minute() -> None:
    book = AuditBook()
    book.saw("in", [("a", NOW - 30, 0), ("skewed", NOW + 3e8, 0), ("b", NOW + 20, 0)], NOW)
    reports = book.changed(NOW, held_back=True)
    assert sum(r.count for r in reports) == 2
    assert max(r.watermark for r in reports) <= NOW


@pytest.mark.parametrize("value", [b"1,2", b'{"a":1},{"b":2}', b"", b"\xff", b"]["])
def test_a_value_that_would_spoil_a_batch_never_reaches_the_receiver(value: bytes) -> None:
    work = Transmitting(Transmit(sinks=(HttpSink(url="http://127.0.0.1:1/"),)))
    bad, good = work.run([Event("a", 1.0, None, value, "a", 0, 0), Event("b", 1.0, None, b"{}", "b", 0, 1)])
    work.close()
    assert getattr(bad, "reason", "") == "Undecodable"
    assert getattr(good, "reason", "") == "HttpUnreachable"


@settings(deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=8))
def test_any_lines_give_a_result_each(lines: list[bytes]) -> None:
    body = b"\n".join(line.replace(b"\n", b"").replace(b"\r", b"") or b"x" for line in lines)
    events = parse_body(body, "application/x-ndjson")
    judged = judge(events, HttpIngest(), 100)
    assert len(judged) == len(events)
    assert all(j.status == "invalid" and j.error and j.error.remedy for j in judged)


@settings(deadline=None)
@given(st.binary(max_size=80))
def test_any_value_has_an_outcome_in_every_stage_of_ours(value: bytes) -> None:
    event = Event("a", 1.0, None, value, "a", 0, 0)
    route = Route.model_validate({"branches": [{"when": "a.b[0] > 1 or c in d", "to": ["x"]}], "default": ["x"]})
    for work in (Normalizing(Normalize(required=("a",), defaults={"b": 1})), Routing(route, {"x": "x"})):
        assert len(work.run([event])) == 1
