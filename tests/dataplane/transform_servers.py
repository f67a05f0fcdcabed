"""`headrace-runtime serve` as a process, with users' code given as text."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from headrace_runtime.v1 import transform_pb2 as pb
from headrace_runtime.v1 import transform_pb2_grpc as pb_grpc

from dataplane.stages.transforming import open_socket
from tests.dataplane.streams import wait_until


@dataclass
class Served:
    """A running server."""

    channel: grpc.Channel
    stub: pb_grpc.TransformServiceStub
    process: "subprocess.Popen[bytes]"
    folder: Path

    def health(self) -> Any:
        return self.stub.GetHealth(pb.GetHealthRequest(), timeout=30)

    def call(self, events: Sequence[Any], function: str = "", timeout: float = 20.0) -> list[Any]:
        """For each event its outputs, or class and reason of its failure; a `bytes` goes as it is."""
        raw = [e if isinstance(e, bytes) else json.dumps(e).encode() for e in events]
        answer = self.stub.TransformBatch(pb.TransformBatchRequest(function=function, events=raw), timeout=timeout)
        return [
            (r.error.error_class, r.error.reason) if r.HasField("error") else [json.loads(o) for o in r.outputs]
            for r in answer.results
        ]

    def end(self) -> None:
        """As its starter would: by closing its standard input."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(60)


def with_time(call: Callable[[float], Any], first_s: float, wanted: Any) -> Any:
    """What a call gives that runs into its deadline, of `first_s`; what a busy machine was too late for, with more time."""
    found: Any = None
    for timeout_s in (first_s, 4 * first_s, 16 * first_s):
        try:
            found = call(timeout_s)
        except grpc.RpcError as e:
            found = (e.code(), e.details())
        if found == wanted:
            break
    return found


@contextmanager
def served(code: str, *options: str) -> Iterator[Served]:
    """Ends with its standard input, with exit code 0."""
    with tempfile.TemporaryDirectory(prefix="hr") as folder:  # short: a Unix socket's path has 107 characters
        yield from _served_in(Path(folder), code, options)


def _served_in(folder: Path, code: str, options: Sequence[str]) -> Iterator[Served]:
    (folder / "code").mkdir()
    (folder / "code" / "users.py").write_text(code)
    socket = folder / "t.sock"
    command = [sys.executable, "-m", "headrace_runtime", "serve", "--code", str(folder / "code"), "--end-with-stdin"]
    process = subprocess.Popen([*command, "--socket", str(socket), *options], stdin=subprocess.PIPE)
    assert process.stdin
    try:
        with open_socket(socket) as channel:
            yield Served(channel, pb_grpc.TransformServiceStub(channel), process, folder)
    finally:
        process.stdin.close()
        ended = process.wait(60)
    assert ended == 0


def wait_ready(server: Served) -> None:
    def ready() -> bool:
        try:
            return bool(server.health().ready)
        except grpc.RpcError:
            return False

    wait_until(ready, "ready")
