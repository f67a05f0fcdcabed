"""Users' code as a process of a node: its rights, its restarts, its end."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from headrace_runtime.v1 import transform_pb2 as pb
from headrace_runtime.v1 import transform_pb2_grpc as pb_grpc

from dataplane.agent.bundle import Unpacked
from dataplane.agent.unpacking import unpack
from dataplane.agent.users_place import place_for_users
from dataplane.agent.users_process import UsersProcess
from dataplane.stages.transforming import open_socket
from tests.dataplane.small_stack import environment_bundle
from tests.dataplane.streams import wait_until

CODE = """
import os, resource
from headrace_runtime import transform

@transform
def look(event):
    def readable(path):
        try:
            return bool(open(path, "rb").read(1))
        except OSError:
            return False
    return {
        "uid": os.getuid(),
        "groups": os.getgroups(),
        "environment": sorted(os.environ),
        "files": resource.getrlimit(resource.RLIMIT_NOFILE),
        "reads": [p for p in event["paths"] if readable(p)],
        "session": os.getsid(0) != event["session"],
    }
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("env")
    (folder / "env.tar.gz").write_bytes(environment_bundle())
    return folder / "env.tar.gz"


@pytest.fixture
def users(tmp_path: Path, site: Path) -> Iterator[UsersProcess]:
    yield from started(tmp_path, site, CODE)


def started(state: Path, site: Path, code: str) -> Iterator[UsersProcess]:
    place = place_for_users(state)
    unpack(site, place / "env")
    (place / "code").mkdir()
    (place / "code" / "users.py").write_text(code)
    made = UsersProcess(Unpacked(place / "env" / "site", place / "code", {"COLOUR": "blue"}, ""), place)
    made.tend()
    yield made
    made.stop()
    assert made.pid is None
    shutil.rmtree(place)


def test_users_code_has_no_rights_no_secrets_and_limits(users: UsersProcess, tmp_path: Path) -> None:
    secret = tmp_path / "key.pem"
    secret.touch(mode=0o600)
    secret.write_text("secret")
    wait_until(users.is_ready, "ready")
    paths = [str(secret), f"/proc/{os.getpid()}/environ", f"{users.bundle.code}/users.py"]
    event = {"paths": paths, "session": os.getsid(0)}
    with open_socket(users.socket) as channel:
        request = pb.TransformBatchRequest(events=[orjson.dumps(event)])
        (result,) = pb_grpc.TransformServiceStub(channel).TransformBatch(request, timeout=60).results
    seen = orjson.loads(result.outputs[0])
    assert seen["environment"] == ["COLOUR", "HOME", "LANG", "PATH", "TMPDIR"]
    assert (seen["files"], seen["session"]) == ([1024, 1024], True)
    if os.geteuid() == 0:
        assert (seen["uid"], seen["groups"]) == (users.uid, [])
        assert seen["reads"] == paths[2:]


def test_a_crashed_transform_server_is_started_again(users: UsersProcess) -> None:
    wait_until(users.is_ready, "ready")
    assert users.pid
    os.kill(users.pid, signal.SIGKILL)

    def back() -> bool:
        users.tend()
        return users.starts == 2 and users.is_ready()

    wait_until(back, "ready again")
    assert not users.is_looping


def test_code_that_cannot_be_loaded_is_told_from_a_crash(tmp_path: Path, site: Path) -> None:
    for users in started(tmp_path, site, "import nothing_of_that_name"):
        wait_until(lambda users=users: users.code_is_bad, "said to be bad")  # type: ignore[misc]
        assert not users.is_ready()
