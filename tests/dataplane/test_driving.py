"""Load as nodes really take it: by requests to an edge, and by a topic that a stage reads; what it says is what was done."""

from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event as Flag
from typing import Any

import orjson
import pytest
from headrace_runtime.rating import Promise, holds, step_of
from hypothesis import given
from hypothesis import strategies as st

from dataplane.driving.__main__ import answer_to
from dataplane.driving.ledger import Ledger
from dataplane.feature_server.server import FeatureServer
from dataplane.serving.online_store import FeatureStore
from dataplane.stages.audits import AuditBook
from dataplane.stages.events import Event, Outcome, same
from dataplane.stages.http_server import NodeHttpServer
from dataplane.stages.ingest import Answer, Ingest
from dataplane.stages.measures import Measures
from dataplane.stages.normalizing import Normalizing
from dataplane.stages.transmitting import Transmitting
from localcloud import ports
from localcloud.certificates import DevelopmentAuthority
from localcloud.servers.kafka import KafkaServer
from localcloud.servers.valkey import ValkeyServer
from services.provisioner.adapters.load_process import LoadProcess
from services.provisioner.domain.load import LoadOrder, LoadStep, TopicFeed
from shared.contracts.objects import HttpIngest, HttpSink, Normalize, Transmit
from shared.contracts.serving import FeatureServing, OnlineStore
from shared.domain.errors import InvalidInput, Unavailable
from tests.conftest import PASSWORD
from tests.dataplane.streams import QUICK, access_of, make_topics, plan_of, reading, running
from tests.dataplane_client.nodes import Node

PATIENT_S = 60.0  # promised: whatever the machine does, it holds
EVENTS = tuple(orjson.dumps({"id": f"e{n}", "event_time": 1.0 + n, "n": n}) for n in range(20))


# ------------------------------------------------------------------------------------------------------------- ledger


def test_what_was_committed_in_time_kept_up_and_what_was_not_did_not() -> None:
    promise = Promise(latency_s=1.0, errors_max=0.01)
    even, slow = Ledger((0, 5), 100, 10.0), Ledger((0, 5), 100, 10.0)
    for tick in range(1, 202):
        done, half = min(50, tick // 2), min(50, tick // 4)
        even.note((done, 5 + done), tick / 10)
        slow.note((half, 5 + half), tick / 10)
    kept = step_of(10.0, even.counts(100, 10.0, failed=0, warm=0.2, give_up_s=4.0), promise, 4.0)
    assert (kept.answered, kept.errors, round(kept.latency_s, 1)) == (10.0, 0.0, 0.2)
    lost = step_of(10.0, slow.counts(100, 10.0, failed=0, warm=0.2, give_up_s=4.0), promise, 4.0)
    assert (holds(kept, promise), holds(lost, promise)) == (True, False)
    assert (lost.answered < 0.95 * lost.offered, lost.latency_s > promise.latency_s) == (True, True)
    assert slow.waits_s(100, 20.0) == 0.0
    dead = even.counts(100, 10.0, failed=10, warm=0.2, give_up_s=4.0)
    assert (dead.failed, dead.messages) == (8, 80)


@given(
    looks=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40)), max_size=20),
    rate=st.floats(1.0, 1000.0),
    sent=st.integers(1, 60),
)
def test_commits_that_come_late_or_again_count_each_event_once(
    looks: list[tuple[int, int, int]], rate: float, sent: int
) -> None:
    ledger, most = Ledger((10, 20, 30), 120, rate), [0, 0, 0]
    for n, look in enumerate(looks):
        most = [max(a, b) for a, b in zip(most, look, strict=True)]
        ledger.note((10 + look[0], 20 + look[1], 30 + look[2]), float(n))
    assert ledger.done == sum(most)
    done = sum(n // 3 < most[n % 3] for n in range(sent))
    counts = ledger.counts(sent, sent / rate, failed=0, warm=0.0, give_up_s=1.0)
    assert (counts.answered, counts.messages, len(counts.latencies)) == (done, sent, sent)


# ----------------------------------------------------------------------------------------------------------- requests


@contextmanager
def edge(answer: Callable[[str, bytes, str], Answer | None]) -> Iterator[str]:
    """`host:port` of a node's edge."""
    server = NodeHttpServer("127.0.0.1", 0, lambda _: None, answer)
    server.start()
    try:
        yield f"127.0.0.1:{server.port}"
    finally:
        server.stop()


def order(way: dict[str, Any], *, rate: float = 40.0, events: tuple[bytes, ...] = EVENTS, latency_s: float = PATIENT_S) -> Any:  # fmt: skip
    return {
        "way": way, "tls_dir": "", "kafka": None, "step_s": 1.0, "first": rate, "latency_s": latency_s,
        "errors_max": 0.01, "events": [b64encode(e).decode() for e in events], "steps": [],
    }  # fmt: skip


def posts(address: str, body: str = "events") -> dict[str, Any]:
    return {"type": "post", "address": address, "body": body, "batch": 5}


@pytest.mark.slow
def test_an_ingest_edge_is_driven_and_every_event_that_was_answered_is_on_its_topic(
    kafka: KafkaServer, unique_name: str
) -> None:
    make_topics(kafka, f"{unique_name}.next")
    measures = Measures({}, {})
    ingest = Ingest(
        HttpIngest(batch_max=50), access_of(kafka), "n", (f"{unique_name}.next",), lambda: 100, measures, AuditBook()
    )
    ingest.start()
    try:
        with edge(lambda path, body, kind: ingest.submit(body, kind) if path == "/v1/events" else None) as address:
            step = answer_to(order(posts(address)))["step"]
            refused = answer_to(order(posts(address), events=(b'{"no": "id"}',)))
            large = answer_to(order({**posts(address), "batch": 51}))
    finally:
        ingest.stop()
    assert (step["wanted"], step["errors"]) == (40.0, 0.0)
    assert step["latency_s"] < PATIENT_S
    with reading(kafka, unique_name, f"{unique_name}.next") as reader:
        assert len(reader.until(lambda found: len(found) >= 45)) == 45  # 40 and the first look
    assert refused["error"]["code"] == "InvalidInput"
    assert "takes none of 5" in refused["error"]["message"]
    assert "413" in large["error"]["message"]


@pytest.mark.slow
def test_a_feature_edge_is_driven_and_the_store_is_only_read(
    empty_valkey: ValkeyServer, tmp_path: Path, unique_name: str
) -> None:
    (tmp_path / "password").write_text(PASSWORD)
    url = f"redis://127.0.0.1:{empty_valkey.port}/0"
    online = OnlineStore(url=url, view="planes", password_file=str(tmp_path / "password"), timeout_s=30.0)
    store = FeatureStore(online, unique_name)
    store.write([(f"N{n}", 1.0, {"n": n}) for n in range(10)])
    server = FeatureServer(FeatureServing(store=online), FeatureStore(online, unique_name), None, Measures({}, {}))
    known = tuple(orjson.dumps(f"N{n}") for n in range(10))
    try:
        with edge(lambda path, body, kind: server.answer(body, kind) if path == "/v1/features" else None) as address:
            step = answer_to(order(posts(address, "entities"), events=known))["step"]
            unknown = answer_to(order(posts(address, "entities"), events=(b'"N99"',)))
        assert store.read([f"N{n}" for n in range(10)]) == [{"n": n} for n in range(10)]
    finally:
        server.stop()
        store.close()
    assert (step["errors"], step["answered"] > 0) == (0.0, True)
    assert "nothing of any of 5" in unknown["error"]["message"]


def test_an_edge_that_turns_away_is_counted_as_failed_and_one_that_is_not_there_is_said() -> None:
    turned = iter([Answer(200, b'{"results": [{"status": "accepted"}], "accepted": 5}')])
    with edge(lambda *_: next(turned, Answer(429, b"{}", 1.0))) as address:
        step = answer_to(order(posts(address), latency_s=5.0))["step"]
    assert (step["errors"], step["held"]) == (1.0, False)
    gone = answer_to(order(posts(f"127.0.0.1:{ports.choose()}")))
    assert (gone["error"]["code"], "ConnectionRefused" in gone["error"]["message"]) == ("Unavailable", True)


# -------------------------------------------------------------------------------------------------------- called nodes


@pytest.mark.slow
def test_how_busy_the_called_nodes_are_is_told_with_the_step_and_silent_ones_are_no_measurement(tmp_path: Path) -> None:
    authority = DevelopmentAuthority(tmp_path / "tls", "test")
    node = Node(tmp_path, "called", authority, workers=1)
    identity = authority.service("provisioner")
    address = node.address()
    calls = {"type": "call", "address": address, "function": "", "batch": 1}
    made = order(calls, rate=4.0, events=(b'{"sleep": 0.2}',)) | {"tls_dir": str(identity), "step_s": 2.0}
    try:
        alone = answer_to(made)["step"]
        busy = answer_to(made | {"called": [address]})["step"]
        many = answer_to(made | {"called": [address], "first": 100.0, "latency_s": 1.0})["step"]
        gone = answer_to(made | {"called": [f"127.0.0.1:{ports.choose()}"]})
    finally:
        node.end()
    assert (alone["called_busy"], alone["called_refusals"]) == (0.0, 0.0)
    assert 0.0 < busy["called_busy"] <= 1.0
    assert (many["held"], many["called_refusals"] > 0.5) == (False, True)  # it does five a second
    assert gone["error"]["code"] == "Unavailable"
    assert "none of them says how busy it is" in gone["error"]["message"]


# ------------------------------------------------------------------------------------------------------------- topics


class Slow:
    """`Work` that takes 20 ms for an event."""

    batch_max = 5

    def run(self, events: list[Event]) -> list[Outcome]:
        Flag().wait(0.02 * len(events))  # the work itself: what is measured
        return [same(e, e.value) for e in events]

    def close(self) -> None:
        """Nothing is open."""


def feed(name: str, sink: str = "") -> TopicFeed:
    return TopicFeed(f"{name}.in", f"{name}.dead", f"{name}.group", sink)


def load(way: TopicFeed, rate: float, *events: bytes, latency_s: float = PATIENT_S) -> LoadOrder:
    return LoadOrder(way, 1.0, rate, latency_s, 0.01, events or EVENTS)


@pytest.fixture
def driver(kafka: KafkaServer, tmp_path: Path) -> LoadProcess:
    return LoadProcess(tmp_path, access_of(kafka))


@pytest.mark.slow
async def test_a_stage_is_driven_by_its_topic_and_done_is_what_it_committed(
    kafka: KafkaServer, driver: LoadProcess, unique_name: str
) -> None:
    make_topics(kafka, *(f"{unique_name}.{t}" for t in ("in", "out", "dead")))
    plan = plan_of(kafka, unique_name, (f"{unique_name}.out",), QUICK)
    with running(plan, Normalizing(Normalize(required=("n",)))):
        step = await driver.drive(load(feed(unique_name), 40.0))
        assert isinstance(step, LoadStep)
        assert (step.wanted, step.errors, step.latency_s < PATIENT_S) == (40.0, 0.0, True)
        half = await driver.drive(load(feed(unique_name), 40.0, b'{"n": 1}', b'{"m": 1}'))
        assert isinstance(half, LoadStep)
        assert half.errors == pytest.approx(0.5, abs=0.1)
        assert not half.held
        with pytest.raises(InvalidInput, match="takes none of 1 events: FieldMissing: field 'n' is required"):
            await driver.drive(load(feed(unique_name), 40.0, b'{"m": 1}'))
    with reading(kafka, unique_name, f"{unique_name}.out") as reader:
        assert len(reader.until(lambda found: len(found) >= 81)) == 81  # 20 + 40, and 1 + 20 of those with both
    with pytest.raises(Unavailable, match="nowhere"):
        await driver.drive(load(feed("nowhere"), 40.0))


@pytest.mark.slow
async def test_a_rate_that_a_stage_cannot_work_off_breaks_the_promise(
    kafka: KafkaServer, driver: LoadProcess, unique_name: str
) -> None:
    make_topics(kafka, *(f"{unique_name}.{t}" for t in ("in", "out", "dead")))
    with running(plan_of(kafka, unique_name, (f"{unique_name}.out",), QUICK), Slow()):  # at most fifty a second
        step = await driver.drive(load(feed(unique_name), 400.0, latency_s=0.5))
    assert isinstance(step, LoadStep)
    assert (step.held, step.answered < 100.0) == (False, True)


@pytest.mark.slow
async def test_what_a_stage_sends_by_http_comes_to_the_driver_and_to_nobody_when_there_is_none(
    kafka: KafkaServer, driver: LoadProcess, unique_name: str
) -> None:
    make_topics(kafka, *(f"{unique_name}.{t}" for t in ("in", "dead")))
    sink = f"127.0.0.1:{ports.choose()}"
    work = Transmitting(Transmit(sinks=(HttpSink(url=f"http://{sink}/sink/1"),)))
    with running(plan_of(kafka, unique_name, (), QUICK), work):
        step = await driver.drive(load(feed(unique_name, sink), 40.0))
        assert isinstance(step, LoadStep)
        assert step.errors == 0.0
        with edge(lambda *_: None) as taken, pytest.raises(Unavailable, match="another group with HTTP sinks"):
            await driver.drive(load(feed(unique_name, taken), 40.0))
