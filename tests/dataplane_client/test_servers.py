"""The client against real servers in processes of their own, which are killed, hang, turn slow and drain."""

import asyncio
import json
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from headrace_runtime.v1 import transform_pb2 as pb
from headrace_runtime.v1.transform_pb2_grpc import TransformServiceStub

from dataplane.client.core.ejection import Standing
from dataplane.client.routes import RoutesCopy
from dataplane.client.statuses import CallError
from dataplane.client.tasks import AsyncGroupClient
from dataplane.client.threads import GroupClient
from tests.dataplane.streams import wait_until
from tests.dataplane_client.nodes import GROUP, Cluster, cluster

TIMEOUT_S = 20.0


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """For tests that harm nobody."""
    with cluster(tmp_path_factory.mktemp("nodes")) as made:
        yield made


@contextmanager
def client_of(nodes: Cluster, name: str = "client", zone: str = "") -> Iterator[GroupClient]:
    client = GroupClient(nodes.settings(name, zone))
    try:
        wait_until(lambda: client.generation > 0, "routes")
        yield client
    finally:
        client.close()


def nodes_of(results: Sequence[Any]) -> list[str]:
    """Which node answered each event; fails when one has no output."""
    for r in results:
        assert not r.HasField("error"), r.error
    return [json.loads(r.outputs[0])["node"] for r in results]


def events(count: int, **more: object) -> list[bytes]:
    return [json.dumps({"n": n, **more}).encode() for n in range(count)]


class Load:
    """Calls from some threads, without a pause, until it is told to stop: who answered, and what failed."""

    def __init__(self, client: GroupClient, threads: int = 4, timeout_s: float = TIMEOUT_S) -> None:
        self.answered: list[str] = []
        self.failed: list[Any] = []
        self._client, self._timeout_s = client, timeout_s
        self._stopping = threading.Event()
        self._pool = ThreadPoolExecutor(threads)
        self._running = [self._pool.submit(self._run) for _ in range(threads)]

    def _run(self) -> None:
        while not self._stopping.is_set():
            (result,) = self._client.transform("act", [b'{"n":1}'], self._timeout_s)
            if result.HasField("error"):
                self.failed.append(result.error)
            else:
                self.answered.append(json.loads(result.outputs[0])["node"])

    def more(self, count: int) -> Counter[str]:
        """Wait for so many answers more, and say who gave them."""
        first = len(self.answered)
        wait_until(lambda: len(self.answered) >= first + count or bool(self.failed), f"{count} answers")
        return Counter(self.answered[first:])

    def end(self) -> None:
        self._stopping.set()
        for run in self._running:
            run.result(120)
        self._pool.shutdown()


@contextmanager
def load(client: GroupClient, threads: int = 4, timeout_s: float = TIMEOUT_S) -> Iterator[Load]:
    made = Load(client, threads, timeout_s)
    try:
        yield made
    finally:
        made.end()
    assert not made.failed, made.failed[0]


def test_many_events_in_one_call_get_a_result_each_in_order(three: Cluster) -> None:
    with client_of(three) as client:
        asked = [*events(2_500), b"not json"]
        results = client.transform("act", asked, TIMEOUT_S)
    assert [json.loads(r.outputs[0])["n"] for r in results[:-1]] == list(range(2_500))
    assert results[-1].error.reason == "Undecodable"
    assert len(set(nodes_of(results[:-1]))) > 1  # cut into parts, which went to several


def test_a_refused_call_fails_each_of_its_events_and_is_not_repeated(three: Cluster) -> None:
    with client_of(three) as client:
        results = client.transform("no-such", events(3), TIMEOUT_S)
        assert [(r.error.error_class, r.error.reason) for r in results] == [(2, "CallNotFound")] * 3
        with pytest.raises(CallError, match="after 1 attempts") as failure:
            client.call(pb.TransformBatchRequest(function="no-such"), TIMEOUT_S)
        assert failure.value.code == "NOT_FOUND"


def test_the_deadline_reaches_users_code(three: Cluster) -> None:
    with client_of(three) as client:
        (result,) = client.transform("act", events(1, sleep=30), 1.0)
    assert result.error.reason in {"CallDeadlineExceeded", "Timeout"}


def test_code_slower_than_the_first_patience_is_learnt_and_never_blamed(three: Cluster) -> None:
    with client_of(three, "patient") as client:
        for _ in range(8):
            (result,) = client.transform("act", events(1, sleep=2.0), 4.0)
            if not result.HasField("error"):
                return
            assert result.error.error_class == pb.TransformError.ERROR_CLASS_RECOVERABLE, result.error
    pytest.fail("no call was given the time it needs")


def test_a_client_shows_its_certificate_and_a_stranger_is_turned_away(three: Cluster) -> None:
    with three.control.channel(three.addresses["a"], stranger=True) as channel, pytest.raises(grpc.RpcError):
        health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)


def test_a_node_serves_health_and_reflection(three: Cluster) -> None:
    with three.control.channel(three.addresses["a"]) as channel:
        health = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=60)
        asked = reflection_pb2.ServerReflectionRequest(list_services="")
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        (answer,) = stub.ServerReflectionInfo(iter([asked]), timeout=60)
    assert health.status == health_pb2.HealthCheckResponse.SERVING
    names = {s.name for s in answer.list_services_response.service}
    assert "headrace_runtime.v1.TransformService" in names


@pytest.mark.parametrize("percent", [5, 25, 100])
def test_weights_hold_within_one_percent(three: Cluster, percent: int) -> None:
    three.routes({"scores-r1": (100 - percent, ["a", "b"]), "scores-r2": (percent, ["c"])})
    with client_of(three, f"w{percent}") as client:
        counts = Counter(n for _ in range(400) for n in nodes_of(client.transform("act", events(1), TIMEOUT_S)))
    three.routes({"scores-r1": (1, ["a", "b", "c"])})
    assert abs(counts["c"] - 4 * percent) <= 4


def test_tasks_are_served_as_threads_are(three: Cluster) -> None:
    async def run() -> Counter[str]:
        async with AsyncGroupClient(three.settings("tasks")) as client:
            async with asyncio.timeout(TIMEOUT_S):
                found = await asyncio.gather(*(client.transform("act", events(2), TIMEOUT_S) for _ in range(60)))
            (refused,) = await client.transform("no-such", events(1), TIMEOUT_S)
            assert refused.error.reason == "CallNotFound"
            return Counter(n for results in found for n in nodes_of(results))

    counts = asyncio.run(run())
    assert sum(counts.values()) == 120
    assert set(counts) == {"a", "b", "c"}


def test_a_call_that_is_given_up_by_its_task_counts_no_longer(three: Cluster) -> None:
    async def run() -> int:
        async with AsyncGroupClient(three.settings("given-up")) as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await client.transform("act", events(1, sleep=3), TIMEOUT_S)
            return sum(len(m.running) for m in client._balancer.members)

    assert asyncio.run(run()) == 0


def test_nothing_fails_while_a_server_is_killed_and_comes_back_as_another(tmp_path: Path) -> None:
    with cluster(tmp_path) as nodes, client_of(nodes) as client, load(client, threads=12) as calls:
        calls.more(100)
        nodes.nodes["a"].process.kill()
        assert set(calls.more(400)) >= {"b", "c"}
        out = [m.endpoint.address for m in client._balancer.members if m.record.standing(0) is not Standing.IN]
        assert out == [nodes.addresses["a"]]
        nodes.routes({"scores-r1": (1, ["b", "c"])})
        wait_until(lambda: client.generation == 2, "new routes")
        calls.more(100)


def test_nothing_fails_while_a_server_hangs_and_it_takes_calls_again_when_it_is_back(tmp_path: Path) -> None:
    with cluster(tmp_path) as nodes, client_of(nodes) as client, load(client, timeout_s=10.0) as calls:
        assert set(calls.more(200)) == {"a", "b", "c"}
        nodes.nodes["a"].process.send_signal(signal.SIGSTOP)
        calls.more(30)  # those in flight on it
        assert calls.more(400)["a"] == 0
        nodes.nodes["a"].process.send_signal(signal.SIGCONT)
        wait_until(lambda: calls.more(50)["a"] > 0, "back in traffic")


def test_a_slow_server_is_asked_less(tmp_path: Path) -> None:
    with cluster(tmp_path) as nodes, client_of(nodes) as client, load(client) as calls:
        calls.more(100)
        nodes.nodes["a"].slow(1.5)
        calls.more(50)
        assert calls.more(600)["a"] < 60  # a third would be 200


def test_nothing_fails_while_a_server_drains(tmp_path: Path) -> None:
    with cluster(tmp_path) as nodes, client_of(nodes) as client, load(client) as calls:
        calls.more(100)
        nodes.nodes["a"].process.terminate()
        assert nodes.nodes["a"].process.wait(60) == 0
        calls.more(200)


def test_nothing_fails_while_the_control_plane_is_gone_also_for_a_client_that_starts_then(tmp_path: Path) -> None:
    with cluster(tmp_path) as nodes:
        with client_of(nodes) as client, load(client) as calls:
            calls.more(50)
            nodes.control.stop()
            calls.more(200)
            wait_until(lambda: not client.connected, "it is noticed")
            calls.more(200)
        with client_of(nodes) as restarted, load(restarted) as calls:
            calls.more(100)
            nodes.control.start(nodes.control.ports)
            wait_until(lambda: restarted.connected, "watching again")
            nodes.routes({"scores-r1": (1, ["b"])})
            wait_until(lambda: restarted.generation == 2, "new routes")
            calls.more(20)
            assert set(calls.more(100)) == {"b"}


def test_a_server_that_has_too_much_to_do_says_when_to_come_back(tmp_path: Path) -> None:
    with cluster(tmp_path, names=["a"], workers=1) as nodes:
        request = pb.TransformBatchRequest(function="act", events=events(1, sleep=0.3))
        with nodes.control.channel(nodes.addresses["a"]) as channel:
            method = TransformServiceStub(channel).TransformBatch
            errors = [e for e in (c.exception() for c in [method.future(request, timeout=60) for _ in range(60)]) if e]
            assert errors
            for error in errors:
                assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
                assert int(dict(error.trailing_metadata())["grpc-retry-pushback-ms"]) > 0


@contextmanager
def flooded(nodes: Cluster, name: str, callers: int = 12) -> Iterator[None]:
    """Others' calls keep a node busy, for as long as the block lasts."""
    stopping = threading.Event()
    request = pb.TransformBatchRequest(function="act", events=events(1, sleep=0.2))

    def call_on(method: Any) -> None:
        while not stopping.is_set():
            try:
                method(request, timeout=60)
            except grpc.RpcError:  # there are too many of us
                stopping.wait(0.2)

    with nodes.control.channel(nodes.addresses[name]) as channel, ThreadPoolExecutor(callers) as pool:
        method = TransformServiceStub(channel).TransformBatch
        running = [pool.submit(call_on, method) for _ in range(callers)]
        try:
            yield
        finally:
            stopping.set()
            for run in running:
                run.result(120)


def test_when_one_server_has_too_much_to_do_the_others_take_it(tmp_path: Path) -> None:
    with cluster(tmp_path, workers=1) as nodes, client_of(nodes) as client, flooded(nodes, "a"):
        client.transform("act", events(1), TIMEOUT_S)
        with ThreadPoolExecutor(6) as pool:
            found = list(pool.map(lambda _: client.transform("act", events(1), TIMEOUT_S), range(200)))
        counts = Counter(n for results in found for n in nodes_of(results))
        assert counts["a"] < 40


def test_the_budget_bounds_the_calls_while_every_server_fails(tmp_path: Path) -> None:
    with cluster(tmp_path) as nodes, client_of(nodes) as client:
        client.transform("act", events(1), TIMEOUT_S)
        for node in nodes.nodes.values():
            node.process.kill()
            node.process.wait()
        attempts = 0
        for _ in range(600):
            with pytest.raises(CallError) as failure:
                client.call(pb.TransformBatchRequest(function="act", events=events(1)), 2.0)
            attempts += failure.value.attempts
        assert attempts / 600 <= 1.2


def test_a_copy_that_cannot_be_read_is_no_copy(tmp_path: Path) -> None:
    copy = RoutesCopy(tmp_path, GROUP)
    assert copy.read() is None
    (tmp_path / f"routes-{GROUP}.json").write_bytes(b"\xff{")
    assert copy.read() is None


def test_the_node_process_ends_with_its_starter(tmp_path: Path) -> None:
    with cluster(tmp_path, names=["a"]) as nodes:
        process = nodes.nodes["a"].process
        assert process.stdin
        process.stdin.close()
        try:
            assert process.wait(60) == 0
        except subprocess.TimeoutExpired:
            pytest.fail("it went on")
