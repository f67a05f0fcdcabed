"""The transform server as a node runs it: a process, over a Unix socket, with users' code that does its worst."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
from headrace_runtime.v1 import transform_pb2 as pb
from headrace_runtime.v1 import transform_pb2_grpc as pb_grpc

from dataplane.stages.transforming import open_socket
from tests.dataplane.streams import wait_until
from tests.dataplane.transform_servers import with_time

CODE = """
import os, sys, time
from headrace_runtime import Failure, NonRecoverable, Recoverable, transform

@transform
def one(event):
    match event.get("do"):
        case "crash": os._exit(9)
        case "hang": time.sleep(1000)
        case "defect": raise KeyError("gone")
        case "exit": sys.exit(1)
        case "later": raise Recoverable("store is busy", reason="Store")
        case "never": raise NonRecoverable("no such airport", reason="Airport")
        case "many": return [event, event]
        case "none": return None
        case "number": return 3
        case "deep":
            loop = {}
            loop["loop"] = loop
            return loop
        case "print": print("said by users' code")
    return event | {"seen": True}

@transform(name="all-of-them", batch=True)
def lots(events):
    if any(e.get("do") == "crash" for e in events): os._exit(9)
    if any(e.get("do") == "short" for e in events): return []
    return [Failure(True, "Busy", "later") if e.get("do") == "later" else e | {"of": len(events)} for e in events]
"""
RECOVERABLE, NON_RECOVERABLE = 1, 2
Call = Callable[..., list[Any]]


@pytest.fixture(scope="module")
def short_folder() -> Iterator[Path]:
    """A Unix socket's path has 107 characters."""
    with tempfile.TemporaryDirectory(prefix="hr") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def server(short_folder: Path) -> Iterator[tuple[pb_grpc.TransformServiceStub, int]]:
    folder = short_folder
    (folder / "code").mkdir()
    (folder / "code" / "users.py").write_text(CODE)
    socket = folder / "t.sock"
    command = [sys.executable, "-m", "headrace_runtime", "serve", "--code", str(folder / "code"), "--end-with-stdin"]
    process = subprocess.Popen([*command, "--socket", str(socket)], stdin=subprocess.PIPE)
    channel = open_socket(socket)
    stub = pb_grpc.TransformServiceStub(channel)

    def ready() -> bool:
        try:
            return bool(stub.GetHealth(pb.GetHealthRequest(), timeout=1).ready)
        except grpc.RpcError:
            return False

    wait_until(ready, "ready")
    yield stub, process.pid
    channel.close()
    assert process.stdin
    process.stdin.close()
    assert process.wait(60) == 0


@pytest.fixture
def call(server: tuple[pb_grpc.TransformServiceStub, int]) -> Call:
    def act(do: Sequence[Any], function: str = "one", timeout: float = 20.0) -> list[Any]:
        events = [d if isinstance(d, bytes) else json.dumps({"n": n, "do": d}).encode() for n, d in enumerate(do)]
        answer = server[0].TransformBatch(pb.TransformBatchRequest(function=function, events=events), timeout=timeout)
        return [
            (r.error.error_class, r.error.reason) if r.HasField("error") else [json.loads(o) for o in r.outputs]
            for r in answer.results
        ]

    return act


def test_each_event_has_its_own_result(call: Call) -> None:
    found = call(["fine", "defect", "exit", "later", "never", "many", "none", "number", "deep", b"\xff{", "print"])
    assert found[0] == [{"n": 0, "do": "fine", "seen": True}]
    assert found[1:5] == [
        (NON_RECOVERABLE, "KeyError"),
        (NON_RECOVERABLE, "SystemExit"),
        (RECOVERABLE, "Store"),
        (NON_RECOVERABLE, "Airport"),
    ]
    assert [len(found[5]), found[6]] == [2, []]
    assert found[7:10] == [(NON_RECOVERABLE, r) for r in ("InvalidResult", "InvalidResult", "Undecodable")]
    assert found[10][0]["seen"] is True


def test_a_crash_costs_the_event_at_fault_and_the_server_stays_up(
    call: Call, server: tuple[pb_grpc.TransformServiceStub, int]
) -> None:
    found = call(["fine", "crash", "fine"])
    assert found[1] == (NON_RECOVERABLE, "WorkerCrashed")
    assert found[2] == (RECOVERABLE, "WorkerCrashed")
    assert call(["fine"])[0][0]["seen"] is True
    health = server[0].GetHealth(pb.GetHealthRequest())
    assert (health.ready, health.restarts >= 1) == (True, True)
    assert list(health.functions) == ["all-of-them", "one"]


def test_a_hanging_event_is_given_up_before_the_callers_deadline(call: Call) -> None:
    wanted = [(NON_RECOVERABLE, "Timeout"), (RECOVERABLE, "Timeout")]
    # After its deadline a call gets no answer at all.
    assert with_time(lambda s: call(["fine", "hang", "fine"], timeout=s)[1:], 2.0, wanted) == wanted


def test_a_batch_function_fails_event_by_event(call: Call) -> None:
    found = call(["fine", "later", b"["], function="all-of-them")
    assert found == [[{"n": 0, "do": "fine", "of": 2}], (RECOVERABLE, "Busy"), (NON_RECOVERABLE, "Undecodable")]
    assert call(["short", "fine"], function="all-of-them") == [(NON_RECOVERABLE, "InvalidResult")] * 2


def test_a_batch_that_crashes_is_recoverable_until_the_event_stands_alone(call: Call) -> None:
    assert call(["crash", "fine"], function="all-of-them") == [(RECOVERABLE, "WorkerCrashed")] * 2
    assert call(["crash"], function="all-of-them") == [(NON_RECOVERABLE, "WorkerCrashed")]


def test_an_unknown_function_names_those_there_are(server: tuple[pb_grpc.TransformServiceStub, int]) -> None:
    with pytest.raises(grpc.RpcError) as failure:
        server[0].TransformBatch(pb.TransformBatchRequest(function="two", events=[b"{}"]), timeout=60)
    assert failure.value.code() is grpc.StatusCode.NOT_FOUND
    assert "all-of-them, one" in failure.value.details()


def test_users_code_is_in_another_process_that_ends_with_the_server(short_folder: Path) -> None:
    folder = short_folder / "alone"
    folder.mkdir()
    (folder / "users.py").write_text(CODE)
    command = [sys.executable, "-m", "headrace_runtime", "serve", "--code", str(folder), "--socket", f"{folder}/s"]
    process = subprocess.Popen(command)
    server = psutil.Process(process.pid)
    wait_until(lambda: bool(server.children()), "a worker")
    (worker,) = server.children()
    process.kill()
    process.wait(60)
    wait_until(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE, "the worker has ended")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import nothing_of_that_name", "users: importing it failed: ModuleNotFoundError"),
        ("import sys; sys.exit(4)", "SystemExit"),
        ("x = 1", "no function is declared"),
        ("import os; os._exit(5)", "exit code 5"),
    ],
)
def test_check_says_why_code_cannot_be_served(tmp_path: Path, code: str, said: str) -> None:
    (tmp_path / "users.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "-m", "headrace_runtime", "check", "--code", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 3
    assert said in done.stderr
