"""The transform stage: batches go to users' code in another process, over its Unix socket; a result for each event."""

import time
from pathlib import Path
from typing import Any

import grpc
from headrace_runtime.v1 import transform_pb2 as pb
from headrace_runtime.v1 import transform_pb2_grpc as pb_grpc

from dataplane.stages.events import Event, Failed, Outcome, fanned_out
from dataplane.stages.measures import Measures
from shared.contracts.objects import Transform

MESSAGE_BYTES_MAX = 64 * 1024 * 1024
CALL_MARGIN_S = 2.0  # the server ends a hanging function before the call is given up, and says which event it was
OPTIONS = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.use_local_subchannel_pool", 1),
)


def open_socket(path: Path) -> grpc.Channel:
    """A channel to a transform server on this machine."""
    return grpc.insecure_channel(f"unix:{path}", options=OPTIONS)


class Transforming:
    """`Work` of a transform stage."""

    def __init__(self, spec: Transform, socket: Path, measures: Measures) -> None:
        """The server may still be starting: until it answers, events fail recoverably."""
        self.batch_max = spec.batch_max
        self._function = spec.function
        self._timeout_s = spec.timeout_s
        self._measures = measures
        self._channel = open_socket(socket)
        self._stub = pb_grpc.TransformServiceStub(self._channel)

    def run(self, events: list[Event]) -> list[Outcome]:
        """An outcome for each; a call that fails as a whole fails all of them recoverably."""
        request = pb.TransformBatchRequest(function=self._function, events=[e.value for e in events])
        began = time.monotonic()
        try:
            answer = self._stub.TransformBatch(request, timeout=self._timeout_s + CALL_MARGIN_S)
        except grpc.RpcError as e:
            return self._failed_call(e, len(events))
        took_s = time.monotonic() - began
        if len(answer.results) != len(events):  # its process runs users' code: it may say anything
            self._measures.transformed(0.0, 0, len(events))
            text = f"{len(answer.results)} results for {len(events)} events"
            return [Failed(True, "WrongAnswer", text)] * len(events)
        outcomes = [outcome_of(event, result) for event, result in zip(events, answer.results, strict=True)]
        errors = sum(isinstance(o, Failed) for o in outcomes)
        self._measures.transformed(took_s / len(events), len(events), errors)
        return outcomes

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    def _failed_call(self, error: Any, count: int) -> list[Outcome]:
        self._measures.transformed(0.0, 0, count)
        code = error.code().name
        return [Failed(True, f"Call{code.title().replace('_', '')}", str(error.details()))] * count


def outcome_of(event: Event, result: Any) -> Outcome:
    """Of a `TransformResult`."""
    if result.HasField("error"):
        recoverable = result.error.error_class == pb.TransformError.ERROR_CLASS_RECOVERABLE
        return Failed(recoverable, result.error.reason, result.error.message)
    return fanned_out(event, tuple(result.outputs))
