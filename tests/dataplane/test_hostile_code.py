"""Users' code that wants what is not its own, or everything at once: it gets neither, and the agent goes on."""

import os
import resource
import shutil
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from headrace_runtime.v1 import transform_pb2 as pb
from headrace_runtime.v1 import transform_pb2_grpc as pb_grpc

from dataplane.agent import users_process
from dataplane.agent.bundle import Unpacked
from dataplane.agent.unpacking import unpack
from dataplane.agent.users_guard import MIB, Allowed
from dataplane.agent.users_place import place_for_users
from dataplane.agent.users_process import UsersProcess
from dataplane.stages.transforming import open_socket
from tests.dataplane.small_stack import environment_bundle
from tests.dataplane.streams import wait_until

CODE = """
import ctypes, os, pathlib, resource, signal, socket, time
from headrace_runtime import transform

def connected(family, address):
    with socket.socket(family, socket.SOCK_STREAM) as s:
        s.settimeout(2)
        s.connect(address)
    return "connected"

def traced(pid):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(16, pid, 0, 0):
        raise OSError(ctypes.get_errno(), "ptrace")
    return "attached"

WAYS = {
    "read": lambda path: open(path, "rb").read(10),
    "write": lambda path: open(path, "w").write("x"),
    "list": lambda path: os.listdir(path),
    "tcp": lambda port: connected(socket.AF_INET, ("127.0.0.1", port)),
    "metadata": lambda host: connected(socket.AF_INET, (host, 80)),
    "unix": lambda path: connected(socket.AF_UNIX, path),
    "abstract": lambda name: connected(socket.AF_UNIX, chr(0) + name),
    "listen": lambda port: socket.create_server(("127.0.0.1", port)),
    "kill": lambda pid: os.kill(pid, signal.SIGTERM),
    "trace": traced,
    "become": lambda uid: os.setuid(uid),
    "limit": lambda n: resource.setrlimit(resource.RLIMIT_NOFILE, (n, n)),
    "hurry": lambda n: os.nice(n),
    "chroot": lambda path: os.chroot(path),
    "mount": lambda path: (_ for _ in ()).throw(OSError(ctypes.CDLL(None).mount(b"t", path.encode(), b"tmpfs", 0, 0), "mount")),
}

@transform(name="try")
def attempt(event):
    try:
        return {"got": repr(WAYS[event["way"]](event["at"]))}
    except OSError as e:
        return {"refused": type(e).__name__}
    except ValueError as e:
        return {"refused": type(e).__name__}

@transform
def status(event):
    fields = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
    return {k: fields[k].strip() for k in ("NoNewPrivs", "CapEff", "CapBnd")} | {
        "oom": open("/proc/self/oom_score_adj").read().strip(), "scratch": os.environ["HOME"],
    }

def leave():
    os.setsid()
    try:
        parent = os.fork()
    except OSError:
        parent = 0  # no more of them
    if parent:
        os._exit(0)  # the child is nobody's now

@transform
def flood(event):
    kept = []
    match event["with"]:
        case "processes":
            while True:
                if os.fork() == 0:
                    if event.get("leave"): leave()
                    time.sleep(1000)
        case "memory":
            while True:
                kept.append(b"x" * 20_000_000)
                time.sleep(0.01)
        case "disk":
            for n in range(10):
                pathlib.Path("large%d" % n).write_bytes(b"x" * 4_000_000)
        case "files":
            for n in range(1500):
                pathlib.Path("small%d" % n).touch()
        case "descriptors":
            while True:
                kept.append(open("/dev/null"))
        case "output":
            end = time.monotonic() + 1
            while time.monotonic() < end:
                print("x" * 100_000, flush=True)
    return {"done": True}
"""
ALLOWED = Allowed(memory_bytes=400 * MIB, scratch_bytes=20 * MIB, scratch_files=1_000, processes=20)


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UsersProcess]:
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "env.tar.gz").write_bytes(environment_bundle())
    place = place_for_users(folder)
    unpack(folder / "env.tar.gz", place / "env")
    (place / "code").mkdir()
    (place / "code" / "users.py").write_text(CODE)
    limits = {**users_process.LIMITS, resource.RLIMIT_NPROC: 120}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(users_process, "LIMITS", limits)
        patch.setattr(users_process, "BACKOFF_S_MAX", 0.2)
        patch.setattr(users_process, "SILENT_S_MAX", 120.0)  # a busy machine may be silent for long
        made = UsersProcess(Unpacked(place / "env" / "site", place / "code", {}, ""), place, allowed=ALLOWED)
        made.tend()
        wait_until(made.is_ready, "ready")
        yield made
        made.stop()
        shutil.rmtree(place)


def call(users: UsersProcess, function: str, *events: Any, timeout: float = 20.0) -> list[Any]:
    with open_socket(users.socket) as channel:
        request = pb.TransformBatchRequest(function=function, events=[orjson.dumps(e) for e in events])
        answer = pb_grpc.TransformServiceStub(channel).TransformBatch(request, timeout=timeout)
    return [r.error.reason if r.HasField("error") else orjson.loads(r.outputs[0]) for r in answer.results]


def test_nothing_of_the_node_is_in_its_reach(users: UsersProcess, tmp_path: Path) -> None:
    secret = tmp_path / "key.pem"
    secret.write_text("secret")
    secret.chmod(0o644)  # even if somebody forgot
    me = os.getpid()
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket(socket.AF_UNIX) as named:
        port = listening.getsockname()[1]  # PostgreSQL's, Temporal's, the embedded metadata service's
        named.bind(str(tmp_path / "s"))
        named.listen()
        tries = [
            ("read", f"/proc/{me}/environ"),
            ("read", f"/proc/{me}/mem"),
            ("list", f"/proc/{me}/fd"),
            ("read", str(secret)),
            ("list", str(tmp_path)),
            ("read", f"/proc/{me}/root{secret}"),
            ("write", "/tmp/x"),
            ("write", "/dev/shm/x"),
            ("write", str(users.bundle.code / "users.py")),
            ("write", "/proc/self/oom_score_adj/x"),
            ("tcp", port),
            ("metadata", "169.254.169.254"),
            ("metadata", "127.0.0.1"),
            ("abstract", f"headrace-users-{users.uid}"),
            ("listen", 0),
            ("kill", me),
            ("trace", me),
            ("become", 0),
            ("limit", 4096),
            ("hurry", -5),
            ("chroot", "/"),
            ("mount", "/mnt"),
        ]
        found = call(users, "try", *({"way": way, "at": at} for way, at in tries))
    assert [(t, f) for t, f in zip(tries, found, strict=True) if "refused" not in f] == []
    (status,) = call(users, "status", {})
    assert (status["NoNewPrivs"], int(status["CapEff"], 16), status["oom"]) == ("1", 0, "1000")
    assert call(users, "try", {"way": "write", "at": f"{status['scratch']}/own"}) == [{"got": "1"}]


def end_and_come_back(users: UsersProcess, why: str) -> None:
    """The guard ends users' processes, says why, and starts them again with an empty scratch folder."""
    starts = users.starts
    said: set[str] = set()

    def again() -> bool:
        users.tend()
        said.add(users.detail)
        return users.starts > starts and users.is_ready()

    wait_until(again, why)
    assert any(why in detail for detail in said), said


@pytest.mark.parametrize(
    ("flood", "why"),
    [
        ({"with": "disk"}, "files in its scratch folder, it may have 20 MiB"),
        ({"with": "files"}, "files in its scratch folder, it may have 20 MiB in 1000"),
    ],
)
def test_who_fills_the_disk_is_ended_and_starts_with_an_empty_folder(
    users: UsersProcess, flood: dict[str, Any], why: str
) -> None:
    assert call(users, "flood", flood) == [{"done": True}]
    end_and_come_back(users, why)
    assert sorted(p.name for p in users.socket.parent.iterdir() if not p.is_dir()) == ["transform.sock"]


def test_who_takes_the_memory_is_ended(users: UsersProcess) -> None:
    with open_socket(users.socket) as channel:
        request = pb.TransformBatchRequest(function="flood", events=[b'{"with":"memory"}'])
        lost = pb_grpc.TransformServiceStub(channel).TransformBatch.future(request, timeout=20)
        end_and_come_back(users, "of memory, it may have 400")
        assert lost.code() is not None
    assert call(users, "try", {"way": "list", "at": "/usr"})[0]["got"]


@pytest.mark.parametrize("leave", [False, True])
def test_a_fork_bomb_ends_at_its_limit_and_nothing_of_it_is_left(users: UsersProcess, leave: bool) -> None:
    (found,) = call(users, "flood", {"with": "processes", "leave": leave})
    assert found == "BlockingIOError"  # no more processes, and an error for the one event
    end_and_come_back(users, "processes, it may have 20")
    assert call(users, "status", {})[0]["NoNewPrivs"] == "1"


def test_a_server_that_answers_no_more_is_started_again(users: UsersProcess) -> None:
    assert users.pid

    def ended() -> bool:
        users.tend()
        return "has not answered for 3 s" in users.detail

    with pytest.MonkeyPatch.context() as patch:  # until it is ended: the next one may take longer to answer
        patch.setattr(users_process, "SILENT_S_MAX", 3.0)
        os.kill(users.pid, signal.SIGSTOP)
        wait_until(ended, "its end")
    end_and_come_back(users, "")


def test_who_opens_every_file_gets_an_error_for_the_event(users: UsersProcess) -> None:
    assert call(users, "flood", {"with": "descriptors"}) == ["OSError"]
    assert users.is_ready()


def test_a_flood_of_output_is_cut_and_the_code_goes_on(users: UsersProcess) -> None:
    assert call(users, "flood", {"with": "output"}, timeout=30) == [{"done": True}]
    assert users.output_left_out > 100_000
    assert users.is_ready()
