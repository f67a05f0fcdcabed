"""Everything at once, as `make up` starts it: every service answers, is watched, comes back when killed, and ends."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from localcloud.services import MODULES
from localcloud.state import GRPC_SERVICES, StackState
from shared.grpc.tls import channel_credentials
from tests.localcloud_stack.stack import Stack, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
ANSWER_S_MAX = 60.0


@pytest.fixture(scope="module")
def stack(server_directory: Path) -> Iterator[Stack]:
    whole = Stack(server_directory / "whole-stack")
    whole.directory.mkdir(mode=0o755)
    done = whole.run("up", "--profile", "demo")
    assert done.returncode == 0, done.stdout + done.stderr
    yield whole
    whole.run("down")


@pytest.fixture
def state(stack: Stack) -> StackState:
    return StackState.open(stack.directory)


def serves(state: StackState, service: str, caller: str = "admin_api") -> bool:
    """Whether a service says that it serves, to a caller with another service's identity."""
    credentials = channel_credentials(state.directory / "tls" / caller)
    with grpc.secure_channel(state.address(service), credentials) as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=ANSWER_S_MAX)
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def answers(state: StackState, service: str) -> bool:
    """The same of one that is being started again: a connection that it broke is no answer."""
    try:
        return serves(state, service)
    except grpc.RpcError:
        return False


def test_every_part_runs(stack: Stack) -> None:
    assert {part.name: part.state for part in stack.status().parts if part.state not in {"running", "done"}} == {}
    assert set(MODULES) <= set(stack.alive())
    assert stack.run("status").returncode == 0


@pytest.mark.parametrize("service", GRPC_SERVICES)
def test_each_service_answers_to_the_stacks_own_only(state: StackState, service: str) -> None:
    assert serves(state, service)
    with grpc.insecure_channel(state.address(service)) as stranger, pytest.raises(grpc.RpcError):
        health_pb2_grpc.HealthStub(stranger).Check(health_pb2.HealthCheckRequest(), timeout=3)


def test_prometheus_sees_every_process(state: StackState) -> None:
    def seen() -> set[str]:
        answer = httpx.get(
            f"http://{state.address('prometheus')}/api/v1/query",
            params={"query": 'up{job="headrace-services"} == 1'},
            auth=("headrace", state.passwords["prometheus"]),
            timeout=ANSWER_S_MAX,
        )
        return {row["metric"]["service"] for row in answer.json()["data"]["result"]}

    wait_for(lambda: seen() == set(MODULES), "Prometheus scraping every process")


def test_the_admin_api_takes_the_token_of_this_stack(state: StackState) -> None:
    url = f"http://{state.address('admin_api')}/v1/me"
    token = state.admin_token_file.read_text().strip()
    assert httpx.get(url, timeout=ANSWER_S_MAX).status_code == 401
    answer = httpx.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=ANSWER_S_MAX)
    assert answer.status_code == 200, answer.text


def test_a_killed_service_comes_back_and_answers(stack: Stack, state: StackState) -> None:
    before = stack.pid("observer")
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: stack.state("observer") == "running" and stack.pid("observer") != before, "the observer's return")
    wait_for(lambda: answers(state, "observer"), "the observer's answer")


def test_no_secret_is_in_a_log_or_on_a_command_line(stack: Stack, state: StackState) -> None:
    secrets = [*state.passwords.values(), state.admin_token_file.read_text().strip()]
    for log in (stack.directory / "logs").glob("*.log"):
        text = log.read_text(errors="replace")
        assert not any(secret in text for secret in secrets), log.name
    for process in psutil.Process(stack.status().pid).children(recursive=True):
        line = " ".join(process.cmdline())
        assert not any(secret in line for secret in secrets), process.name()


def test_down_leaves_nothing(stack: Stack) -> None:
    family = psutil.Process(stack.status().pid).children(recursive=True)
    done = stack.run("down")
    assert done.returncode == 0, done.stderr
    assert stack.alive() == []
    assert [process for process in family if process.is_running() and process.status() != psutil.STATUS_ZOMBIE] == []
