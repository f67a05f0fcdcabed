"""The embedded stack as a person runs it: the commands, with the real servers, in a directory of the test's own."""

import json
import os
import shutil
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import redis

from localcloud import ports
from localcloud.state import StackState
from localcloud.status import Phase, is_same_process, read_status
from tests.localcloud_stack.stack import Stack, wait_for


@pytest.fixture
def empty(server_directory: Path, unique_name: str) -> Iterator[Stack]:
    stack = Stack(server_directory / unique_name)
    stack.directory.mkdir(mode=0o755)
    yield stack
    stack.run("down")
    shutil.rmtree(stack.directory)


@pytest.fixture(scope="module")
def running(server_directory: Path) -> Iterator[Stack]:
    stack = Stack(server_directory / "running-stack")
    stack.directory.mkdir(mode=0o755)
    done = stack.run("up", "--only", "servers")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ready in" in done.stdout
    assert "MB resident" in done.stdout
    yield stack
    stack.run("down")


def test_everything_listens_on_loopback_only(running: Stack) -> None:
    family = psutil.Process(running.status().pid).children(recursive=True)
    listeners = [
        one.laddr.ip
        for process in family
        for one in process.net_connections("inet")
        if one.status == psutil.CONN_LISTEN
    ]
    assert len(listeners) >= 5
    assert {socket.gethostbyname(address) for address in set(listeners) - {"::ffff:127.0.0.1"}} == {"127.0.0.1"}


def test_no_password_is_on_a_command_line(running: Stack) -> None:
    secrets = StackState.open(running.directory).passwords.values()
    for process in psutil.Process(running.status().pid).children(recursive=True):
        line = " ".join(process.cmdline())
        assert not any(secret in line for secret in secrets), process.name()


def test_what_is_killed_comes_back_with_what_it_kept(running: Stack) -> None:
    state = StackState.open(running.directory)
    with redis.Redis(port=state.ports["valkey"], password=state.passwords["valkey"]) as client:
        client.set("kept", "yes")
        client.execute_command("WAITAOF", 1, 0, 5000)
        before = running.pid("valkey")
        os.kill(before, signal.SIGKILL)
        wait_for(lambda: running.state("valkey") == "running" and running.pid("valkey") != before)
        wait_for(lambda: running.run("status").returncode == 0)
        assert client.get("kept") == b"yes"
    shown = json.loads(running.run("status", "-o", "json").stdout)
    [row] = [row for row in shown["parts"] if row["name"] == "valkey"]
    assert row["restarts"] == 1
    assert "ended with -9" in row["reason"]


def test_a_second_up_says_that_it_runs(running: Stack) -> None:
    done = running.run("up")
    assert done.returncode == 0
    assert "runs already" in done.stdout


def test_logs(running: Stack) -> None:
    assert "postgres" in running.run("logs").stdout.split()
    done = running.run("logs", "nothing")
    assert done.returncode == 1
    assert "there is no log of 'nothing'; there are:" in done.stderr


@pytest.mark.slow
def test_down_leaves_nothing_and_up_finds_what_was_kept(empty: Stack) -> None:
    assert empty.run("up", "--only", "servers").returncode == 0
    first = StackState.open(empty.directory)
    pids = [(part.pid, part.created) for part in empty.status().parts if part.pid]
    supervisor = empty.status()
    done = empty.run("down")
    assert done.returncode == 0, done.stderr
    assert not supervisor.supervisor_alive()
    assert [pid for pid, created in pids if pid and is_same_process(pid, created)] == []
    assert empty.status().phase is Phase.STOPPED
    assert empty.run("status").returncode == 1
    assert "does not run" in empty.run("down").stdout
    assert StackState.open(empty.directory) == first


@pytest.mark.slow
def test_what_a_killed_supervisor_left_is_ended(empty: Stack) -> None:
    assert empty.run("up", "--only", "servers").returncode == 0
    os.kill(empty.status().pid, signal.SIGKILL)
    wait_for(lambda: not empty.status().supervisor_alive())
    assert "kafka" in empty.alive()
    done = empty.run("down")
    assert "ended what it left: " in done.stdout
    assert empty.alive() == []


def test_a_port_in_use_is_one_sentence_with_the_holder(empty: Stack) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", StackState.open(empty.directory).ports["valkey"]))
        other.listen()
        done = empty.run("up", "--only", "servers")
    assert done.returncode == 1
    port = StackState.open(empty.directory).ports["valkey"]
    assert done.stderr.startswith(f"Error: port {port}, chosen for valkey, is in use by process {os.getpid()} (")
    assert "stop that program, or remove stack.json" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_tool_is_one_sentence_with_the_remedy(empty: Stack) -> None:
    done = empty.run("up", PATH="/nonexistent")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: Java is missing, and Kafka needs it: install Java 17 or newer")


def test_a_full_disk_is_one_sentence_with_the_remedy(empty: Stack) -> None:
    done = empty.run("up", "--only", "servers", HEADRACE_DISK_MB_MIN="999999999")
    assert done.returncode == 1
    assert "MB free, and the stack wants 999999999 MB: free some room" in done.stderr
    assert read_status(empty.directory) is None  # nothing was started


def test_damaged_state_is_one_sentence(empty: Stack) -> None:
    (empty.directory / "stack.json").write_text("{")
    done = empty.run("up", "--only", "servers")
    assert done.returncode == 1
    assert "stack.json is damaged" in done.stderr
    (empty.directory / "stack.json").unlink()


def test_doctor_lists_what_is_there(empty: Stack) -> None:
    done = empty.run("doctor")
    assert done.returncode == 0, done.stdout
    for name in ("python", "java", "postgres", "kafka's jars", "pulumi", "disk"):
        assert f"ok  {name}" in done.stdout


def test_ports_are_chosen_once(tmp_path: Path) -> None:
    first, second = StackState.open(tmp_path), StackState.open(tmp_path)
    assert first == second
    assert len(set(first.ports.values())) == len(first.ports)
    assert all(ports.FIRST <= port <= ports.LAST for port in first.ports.values())
    assert (tmp_path / "stack.json").stat().st_mode & 0o777 == 0o600
