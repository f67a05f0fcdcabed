"""A server of users' code that has been taken over by it, and answers something else."""

import tempfile
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest
from headrace_runtime.v1 import transform_pb2 as pb
from headrace_runtime.v1 import transform_pb2_grpc as pb_grpc

from dataplane.stages.events import Event, Failed
from dataplane.stages.measures import Measures
from dataplane.stages.transforming import Transforming
from shared.contracts.objects import Transform

EVENTS = [Event(str(n), 1.0, None, b"{}", str(n), 0, n) for n in range(3)]


class Liar(pb_grpc.TransformServiceServicer):
    def TransformBatch(self, request: Any, context: Any) -> Any:  # noqa: N802
        wrong = int(request.function)
        return pb.TransformBatchResponse(results=[pb.TransformResult()] * (len(request.events) + wrong))


@pytest.fixture
def socket() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="hr") as folder:
        yield from _lying(Path(folder) / "s")


def _lying(path: Path) -> Iterator[Path]:
    server = grpc.server(futures.ThreadPoolExecutor(2))
    pb_grpc.add_TransformServiceServicer_to_server(Liar(), server)
    server.add_insecure_port(f"unix:{path}")
    server.start()
    yield path
    server.stop(0).wait()


@pytest.mark.parametrize("wrong", [-3, -1, 1])
def test_too_few_or_too_many_results_fail_the_events_and_not_the_stage(socket: Path, wrong: int) -> None:
    work = Transforming(Transform(function=str(wrong)), socket, Measures({}, {}))
    outcomes = work.run(EVENTS)
    work.close()
    assert outcomes == [Failed(True, "WrongAnswer", f"{3 + wrong} results for 3 events")] * 3
