"""Feature server and ingest server on a real store, a real broker and a real transform group."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from dataplane.agent.group_servers import GroupServer, make_server
from dataplane.client.threads import GroupClient
from dataplane.serving.online_store import FeatureStore
from dataplane.serving.slots import Full, Slots
from dataplane.stages.calling_groups import TransformingByGroup
from dataplane.stages.measures import Measures
from localcloud.servers.kafka import KafkaServer
from localcloud.servers.valkey import ValkeyServer
from shared.contracts.node import Assignment
from shared.contracts.objects import ProvisionedScaling, ServerGroup, Transform
from shared.contracts.serving import FeatureServing, GroupCall, OnlineStore, PushIngest
from shared.domain.errors import InvalidInput, Unavailable
from tests.conftest import PASSWORD
from tests.dataplane.streams import (
    LABELS,
    access_of,
    events,
    fields_of,
    fill,
    header,
    is_dead,
    make_topics,
    plan_of,
    reading,
    running,
    value_of,
    wait_until,
)
from tests.dataplane_client.nodes import GROUP, Cluster, cluster

CALL = GroupCall(group=GROUP, function="act", timeout_s=20.0)
JSON = "application/json"


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("group"), names=["a", "b"]) as made:
        yield made


@pytest.fixture
def online(empty_valkey: ValkeyServer, tmp_path: Path) -> OnlineStore:
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    url = f"redis://127.0.0.1:{empty_valkey.port}/0"
    return OnlineStore(url=url, view="planes", password_file=str(tmp_path / "password"), timeout_s=15.0)


class Serving:
    """A server with its measures."""

    def __init__(self, server: GroupServer, measures: Measures) -> None:
        self._server, self._measures = server, measures

    def post(self, body: Any, content_type: str = JSON) -> tuple[int, Any]:
        answer = self._server.answer(body if isinstance(body, bytes) else orjson.dumps(body), content_type)
        return answer.status, orjson.loads(answer.body)

    def metric(self, name: str, **labels: str) -> float:
        return value_of(self._measures.lines(), name, **labels)


@contextmanager
def serving(spec: FeatureServing | PushIngest, group: Cluster, kafka: KafkaServer | None = None) -> Iterator[Serving]:
    kind = "feature" if isinstance(spec, FeatureServing) else "ingest"
    declared = ServerGroup(name="served", kind=kind, scaling=ProvisionedScaling(desired_nodes=1), serving=spec)
    orders = Assignment(group=declared, fleet="served-r1", revision=1, kafka=access_of(kafka) if kafka else None)
    measures = Measures(LABELS, {})

    def call_group(name: str) -> GroupClient:
        assert name == GROUP
        return GroupClient(group.settings("served"))

    server = make_server(orders, "i-1", call_group, measures)
    yield Serving(server, measures)
    server.stop()


def statuses(answer: tuple[int, Any]) -> list[str]:
    assert answer[0] == 200, answer
    return [r["status"] for r in answer[1]["results"]]


def put(online: OnlineStore, *rows: tuple[str, float, dict[str, Any]]) -> None:
    store = FeatureStore(online, "default")
    store.write(rows)
    store.close()


def got(online: OnlineStore, *entities: str) -> Sequence[Any]:
    store = FeatureStore(online, "default")
    found = store.read(entities)
    store.close()
    return found


def test_features_are_joined_and_passed_through_the_group_with_a_result_for_each(
    group: Cluster, online: OnlineStore
) -> None:
    put(online, ("N1", 1.0, {"flights": 3}), ("N2", 1.0, {"do": "crash"}))
    with serving(FeatureServing(store=online, transform=CALL), group) as server:
        asked = ["N1", {"id": "N1", "with": {"flights": 9}}, "N3", 7, {"id": ""}, {"id": "N1", "with": 3}, "N2"]
        answer = server.post({"entities": asked})
        assert statuses(answer) == ["ok", "ok", "missing", "missing", "invalid", "invalid", "failed"]
        found = answer[1]["results"]
        assert [f["features"]["flights"] for f in found[:2]] == [3, 9]
        assert found[0]["features"]["node"] in {"a", "b"}
        assert found[6]["error"]["reason"] == "WorkerCrashed"
        assert {k: answer[1][k] for k in ("ok", "missing", "failed", "invalid")} == {
            "ok": 2,
            "missing": 2,
            "failed": 1,
            "invalid": 2,
        }
        assert server.metric("headrace_messages_in_total") == 5
        assert server.metric("headrace_messages_out_total") == 4
        assert server.metric("headrace_messages_failed_total", reason="WorkerCrashed") == 1
        assert server.metric("headrace_transform_seconds_count") >= 3


def test_defaults_stand_in_for_what_is_not_there(group: Cluster, online: OnlineStore) -> None:
    put(online, ("N1", 1.0, {"flights": 3}))
    with serving(FeatureServing(store=online, defaults={"flights": 0, "late": None}), group) as server:
        answer = server.post({"entities": ["N1", "N2"]})
    assert [r["features"] for r in answer[1]["results"]] == [
        {"id": "N1", "flights": 3, "late": None},
        {"id": "N2", "flights": 0, "late": None},
    ]


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"{", 400), (b"[]", 400), (b'{"entities":1}', 400), (orjson.dumps({"entities": ["x"] * 4}), 413)],
)
def test_a_request_that_cannot_be_read_or_is_too_large_is_refused(
    group: Cluster, online: OnlineStore, body: bytes, status: int
) -> None:
    with serving(FeatureServing(store=online, batch_max=3), group) as server:
        found, told = server.post(body)
    assert (found, bool(told["error"]["remedy"])) == (status, True)


def test_a_store_that_is_away_is_said_and_comes_back_later(group: Cluster, online: OnlineStore) -> None:
    away = online.model_copy(update={"url": "redis://127.0.0.1:1/0"})
    with serving(FeatureServing(store=away), group) as server:
        status, told = server.post({"entities": ["x"]})
    assert (status, told["retry_after_s"]) == (503, 1.0)
    with serving(PushIngest(store=away), group) as server:
        answer = server.post([{"id": "e", "event_time": 5}])
    assert statuses(answer) == ["deferred"]
    assert answer[1]["results"][0]["error"]["reason"] == "StoreUnavailable"


def test_a_password_that_is_not_on_the_node_is_named(group: Cluster, online: OnlineStore) -> None:
    wrong = online.model_copy(update={"password_file": "/nonexistent/password"})
    with pytest.raises(InvalidInput, match="/nonexistent/password"), serving(FeatureServing(store=wrong), group):
        pytest.fail("it was made")


def test_the_store_goes_only_forward_and_forgets_when_it_is_told_to(online: OnlineStore) -> None:
    put(online, ("N1", 5.0, {"n": 5}))
    put(online, ("N1", 4.0, {"n": 4}), ("N2", 4.0, {"n": 4}))
    put(online, ("N2", 4.0, {"n": 44}))
    assert got(online, "N1", "N2", "N3") == [{"n": 5}, {"n": 44}, None]
    store = FeatureStore(online, "default")
    store.write([("N4", 1.0, {"n": 1})], keep_s=0.05)
    wait_until(lambda: store.read(["N4"]) == [None], "forgotten")
    store.close()
    with pytest.raises(Unavailable):
        FeatureStore(online.model_copy(update={"password_file": ""}), "default").read(["N1"])


def test_pushed_events_go_through_the_group_to_topic_and_store_and_can_be_asked_for(
    group: Cluster, online: OnlineStore, kafka: KafkaServer, unique_name: str
) -> None:
    make_topics(kafka, f"{unique_name}.out")
    spec = PushIngest(topic=f"{unique_name}.out", store=online, transform=CALL, entity_field="tail", key_field="tail")
    now = time.time()
    pushed: list[Any] = [{"id": f"e{n}", "event_time": now, "tail": f"N{n}", "n": n} for n in range(20)]
    bad = [{"id": "x"}, 3, {"id": "y", "event_time": now}, {"id": "z", "event_time": now, "tail": "N1", "do": "crash"}]
    with serving(spec, group, kafka) as server:
        answer = server.post(pushed)
        assert statuses(answer) == ["accepted"] * 20
        assert statuses(server.post(bad)) == ["invalid", "invalid", "failed", "failed"]
        with reading(kafka, unique_name, f"{unique_name}.out") as reader:
            assert reader.ids(20) == {f"e{n}" for n in range(20)}
            assert {header(m, "t") for m in reader.messages} == {repr(now)}
        assert server.metric("headrace_messages_in_total") == 22
        assert server.metric("headrace_messages_out_total") == 20
        assert server.metric("headrace_messages_failed_total", reason="NoEntity") == 1
    with serving(FeatureServing(store=online), group) as features:
        found = features.post({"entities": ["N7"]})[1]["results"][0]["features"]
    assert (found["n"], found["node"] in {"a", "b"}) == (7, True)


def test_events_that_the_broker_does_not_take_are_deferred_and_not_stored(
    group: Cluster, online: OnlineStore, kafka: KafkaServer, unique_name: str
) -> None:
    spec = PushIngest(topic=f"{unique_name}.none", store=online)
    with serving(spec, group, kafka) as server:
        answer = server.post([{"id": "e", "event_time": 5}])
    assert statuses(answer) == ["deferred"]
    assert answer[1]["results"][0]["error"]["reason"] == "NotAcknowledged"
    assert got(online, "e") == [None]


def test_what_is_more_than_a_server_can_hold_is_turned_away() -> None:
    slots = Slots(Measures(LABELS, {}), requests_max=2, items_max=10)
    with slots.taken(100), pytest.raises(Full, match="items"):
        slots.taken(1).__enter__()
    with slots.taken(1), slots.taken(1), pytest.raises(Full, match="requests"):
        slots.taken(1).__enter__()
    with pytest.raises(ZeroDivisionError), slots.taken(10):
        raise ZeroDivisionError  # what was taken is given back however the request ends
    with slots.taken(10), pytest.raises(Full):
        slots.taken(1).__enter__()


def test_a_stage_hands_its_batches_to_a_group_and_loses_nothing_while_a_server_is_killed(
    tmp_path: Path, kafka: KafkaServer, unique_name: str
) -> None:
    make_topics(kafka, *(f"{unique_name}.{t}" for t in ("in", "out", "dead")))
    with cluster(tmp_path) as nodes:
        work = TransformingByGroup(
            Transform(function="act", group=GROUP, batch_max=20), GroupClient(nodes.settings()), Measures(LABELS, {})
        )
        fill(kafka, f"{unique_name}.in", events(600))
        with (
            running(plan_of(kafka, unique_name, [f"{unique_name}.out"]), work),
            reading(kafka, unique_name, f"{unique_name}.out", f"{unique_name}.dead") as reader,
        ):
            reader.ids(50)
            nodes.nodes["a"].process.kill()
            assert reader.ids(600) == set(events(600))
            assert not [m for m in reader.messages if is_dead(m)]
            assert {fields_of(m)["node"] for m in reader.messages} >= {"b", "c"}
