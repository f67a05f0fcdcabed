"""The transform server under load and trouble: full, out of time, out of workers, with large payloads; what it says of itself."""

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from headrace_runtime.servicer import EVENT_BYTES_MAX
from headrace_runtime.v1 import transform_pb2 as pb

from tests.dataplane.streams import wait_until
from tests.dataplane.transform_servers import Served, served, wait_ready, with_time

CODE = """
import asyncio, os, time
from dataclasses import dataclass
from headrace_runtime import count, observe, remaining_s, score, transform

@transform
def wait_for(event):
    while not os.path.exists(event["file"]):
        time.sleep(0.01)
    return {"pid": os.getpid(), "remaining": remaining_s()}

@transform
def large(event):
    return {"size": len(event.get("text", "")), "text": "x" * event.get("out", 0)}

@transform
def crash(event):
    os._exit(7)

@transform
def nonsense(event):
    import socket, struct
    for fd in range(3, 50):
        try:
            socket.socket(fileno=os.dup(fd)).sendall(struct.pack("<III", 8, 2**31, 7))
        except OSError:
            continue
    return event

@transform(concurrency=4)
async def slow(event):
    count("begun")
    await asyncio.sleep(event["s"])
    return event

@transform(name="slow-batch", batch=True)
async def slow_batch(events):
    await asyncio.sleep(max(e["s"] for e in events))
    return events

@dataclass
class Leg:
    origin: str
    miles: float = 0.0

@transform
def typed(event: Leg) -> Leg:
    score(event.miles)
    observe("miles", event.miles)
    count("legs", 2)
    return Leg(event.origin.lower(), event.miles)
"""
RECOVERABLE, NON_RECOVERABLE = 1, 2


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with served(CODE, "--workers", "2", "--calls", "3") as made:
        wait_ready(made)
        yield made


def held(server: Served, pool: ThreadPoolExecutor, name: str, calls: int) -> tuple[str, list[Any]]:
    """Calls that go on until the file is made."""
    file = str(server.folder / name)
    found = [pool.submit(server.call, [{"file": file}], "wait_for") for _ in range(calls)]
    wait_until(lambda: server.health().calls == calls, "all are there")
    return file, found


def test_calls_above_the_limit_are_told_when_to_come_back_and_health_still_answers(server: Served) -> None:
    with ThreadPoolExecutor() as pool:
        file, calls = held(server, pool, "a", 3)
        with pytest.raises(grpc.RpcError) as refused:
            server.call([{}], "large")
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "3 calls are here already" in refused.value.details()
        assert int(dict(refused.value.trailing_metadata())["grpc-retry-pushback-ms"]) >= 1
        assert server.health().ready
        Path(file).touch()
        answers = [c.result()[0][0] for c in calls]
    assert len({a["pid"] for a in answers}) == 2  # two workers, side by side
    assert all(0 < a["remaining"] < 20 for a in answers)
    assert server.health().calls == 0


def test_a_caller_that_waits_for_a_worker_hears_before_its_deadline(server: Served) -> None:
    with ThreadPoolExecutor() as pool:
        file, calls = held(server, pool, "b", 2)
        wanted = (grpc.StatusCode.RESOURCE_EXHAUSTED, "every worker is busy: come back later")
        assert with_time(lambda s: server.call([{}], "large", timeout=s), 0.5, wanted) == wanted
        wait_until(lambda: server.health().busy_ratio > 0.5, "busy")
        Path(file).touch()
        assert all(c.result() for c in calls)


def test_a_large_event_and_a_large_answer_fail_alone(server: Served) -> None:
    text = b'{"text":"' + b"x" * (EVENT_BYTES_MAX - 100) + b'"}'
    found = server.call([text, text + b" " * 200, {}], "large")
    assert found == [
        [{"size": EVENT_BYTES_MAX - 100, "text": ""}],
        (NON_RECOVERABLE, "TooLarge"),
        [{"size": 0, "text": ""}],
    ]
    found = server.call([{"out": EVENT_BYTES_MAX}, {"out": 10}], "large")
    assert found == [(NON_RECOVERABLE, "InvalidResult"), [{"size": 0, "text": "x" * 10}]]
    found = server.call([{"out": 8_000_000}] * 9, "large", timeout=60)
    assert found.count((RECOVERABLE, "AnswerTooLarge")) == 2
    assert len(found) == 9


def test_coroutines_run_side_by_side_and_what_is_late_is_tried_again(server: Served) -> None:
    events = [{"s": 0.01}, {"s": 100}, {"s": 0.02}]
    wanted = [[{"s": 0.01}], (RECOVERABLE, "Timeout"), [{"s": 0.02}]]
    assert with_time(lambda s: server.call(events, "slow", timeout=s), 1.0, wanted) == wanted

    def late_batch(timeout_s: float) -> tuple[list[Any], list[Any], int]:
        """What came of it, what the next one got, and how many workers were killed for it."""
        restarts = server.health().restarts
        late = server.call([{"s": 100}], "slow-batch", timeout=timeout_s)
        after = server.call([{"s": 0}, {"s": 0}], "slow-batch")
        return late, after, server.health().restarts - restarts

    told = ([(RECOVERABLE, "Timeout")], [[{"s": 0}], [{"s": 0}]], 0)
    assert with_time(late_batch, 0.7, told) == told


def test_types_are_read_and_written_and_measures_are_added_up_over_workers(server: Served) -> None:
    found = server.call([{"origin": "JFK", "miles": 2475, "more": 1}, {"miles": 1}, {"origin": 3}], "typed")
    assert found == [[{"origin": "jfk", "miles": 2475.0}], *[(NON_RECOVERABLE, "InvalidEvent")] * 2]
    server.call([{"origin": "EWR", "miles": 0.5}], "typed")
    answer = server.stub.GetMeasures(pb.GetMeasuresRequest(), timeout=60)
    measures = {(m.kind, m.name): m for m in answer.measures}
    assert measures[(pb.Measure.KIND_COUNTER, "legs")].sum == 4
    for kind, name in ((pb.Measure.KIND_VALUE, "miles"), (pb.Measure.KIND_SCORE, "score")):
        found_measure = measures[(kind, name)]
        assert (found_measure.sum, sum(found_measure.counts)) == (2475.5, 2)
        assert len(found_measure.counts) == len(found_measure.bounds) + 1


def test_it_speaks_the_standard_health_protocol_and_reflection(server: Served) -> None:
    service = "headrace_runtime.v1.TransformService"
    stub = health_pb2_grpc.HealthStub(server.channel)
    for name in ("", service):
        assert stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=60).status == 1
    ask = reflection_pb2_grpc.ServerReflectionStub(server.channel).ServerReflectionInfo
    (answer,) = ask(iter([reflection_pb2.ServerReflectionRequest(list_services="")]), timeout=60)
    assert service in {s.name for s in answer.list_services_response.service}


def test_workers_that_crash_come_back_and_a_crash_loop_is_said() -> None:
    with served(CODE, "--workers", "2") as server:
        wait_ready(server)
        workers = psutil.Process(server.process.pid).children()
        os.kill(workers[0].pid, signal.SIGKILL)  # while it is idle: its next call goes to another
        wait_until(lambda: workers[0].status() == psutil.STATUS_ZOMBIE, "it has ended")
        assert server.call([{}, {}], "large") == [[{"size": 0, "text": ""}]] * 2
        wait_until(lambda: server.health().workers_up == 2, "both are up")
        for _ in range(5):
            assert server.call([{}], "crash", timeout=60) == [(NON_RECOVERABLE, "WorkerCrashed")]
        health = server.health()
        assert health.crash_looping
        assert health.detail.startswith("crash loop: 5 crashes in 60 s")
        assert server.call([{}], "large", timeout=60) == [[{"size": 0, "text": ""}]]


def test_code_that_writes_to_the_servers_socket_costs_its_worker_and_its_event(server: Served) -> None:
    assert server.call([{}], "nonsense") == [(NON_RECOVERABLE, "WorkerCrashed")]
    assert server.call([{}], "large") == [[{"size": 0, "text": ""}]]


SETTING_UP = """
import os, pathlib
from headrace_runtime import set_up, tear_down, transform
here = pathlib.Path(__file__).parent

@set_up
async def connect():
    with open(here / "tries", "a") as file: file.write("x")
    if len((here / "tries").read_text()) < 3: raise ConnectionError("the store is not there yet")

@tear_down
def broken(): raise RuntimeError("no matter")

@tear_down
async def leave(): (here / "left").write_text("done")

@transform
def ready(event): return {"tries": len((here / "tries").read_text())}
"""


def test_a_set_up_that_cannot_succeed_yet_is_tried_again_and_the_tear_down_runs_at_the_end() -> None:
    with served(SETTING_UP) as server:
        wait_ready(server)
        assert server.call([{}]) == [[{"tries": 3}]]
        server.end()
        assert (server.folder / "code" / "left").read_text() == "done"


def test_two_callers_at_once_get_their_own_answers(server: Served) -> None:
    found: dict[int, list[Any]] = {}

    def ask(n: int) -> None:
        found[n] = server.call([{"origin": str(n)}] * 200, "typed")

    threads = [threading.Thread(target=ask, args=(n,)) for n in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for n in (1, 2):
        assert found[n] == [[{"origin": str(n), "miles": 0.0}]] * 200
