"""Calls of users' code on a transform group's node, over mutual TLS."""

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc
from headrace_runtime.rating import Step
from headrace_runtime.rating_load import Load, drive_step, requests_of
from headrace_runtime.v1.transform_pb2_grpc import TransformServiceStub

from dataplane.client.connections import OPTIONS
from dataplane.driving.driver import FIRST_S_MAX, Sample, brief
from shared.domain.errors import Unavailable
from shared.grpc.tls import channel_credentials


class Calls:
    """`Driver`."""

    def __init__(self, sample: Sample, tls_dir: Path, address: str, function: str, batch: int) -> None:
        """`address` is `host:port`."""
        self._sample, self._address = sample, address
        self._load = Load(function, batch, sample.step_s, 1, 0.0)
        self._requests = requests_of(sample.events, self._load)
        self._channel = grpc.secure_channel(address, channel_credentials(tls_dir), options=OPTIONS)
        self._stub = TransformServiceStub(self._channel)

    def __enter__(self) -> Self:
        """Connects when first used."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        """Close the channel."""
        self._channel.close()

    def refusal(self) -> str:
        """What the code says when it takes no event of the first call."""
        function = self._load.function
        try:
            results: Any = self._stub.TransformBatch(self._requests[0], timeout=FIRST_S_MAX).results
        except grpc.RpcError as e:
            if e.code() in {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND}:
                return f"function {function!r}: {brief(e.details())}"
            raise Unavailable(f"node {self._address}: {e.code().name}: {brief(e.details())}") from e
        errors = [r.error for r in results if r.HasField("error")]
        if results and len(errors) == len(results):
            return f"function {function!r} takes none of {len(results)} events: {brief(errors[0])}"
        return ""

    def step(self, rate: float) -> Step:
        """See `drive_step`."""
        return drive_step(self._stub, self._requests, rate, self._sample.promise, self._load)
