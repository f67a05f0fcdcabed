"""The transform server: gRPC in front of a pool of worker processes. Users' code never runs in this process."""

import queue
import time
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from headrace_runtime import __version__
from headrace_runtime.applying import Result
from headrace_runtime.failures import Failure
from headrace_runtime.v1 import transform_pb2 as pb
from headrace_runtime.v1 import transform_pb2_grpc as pb_grpc
from headrace_runtime.workers import ANSWER_MARGIN_S, WorkerPool

MESSAGE_BYTES_MAX = 64 * 1024 * 1024
EVENTS_MAX = 10_000
CALLS_WAITING_MAX = 8  # a worker; more are turned away, so that the caller waits where its events are safe
CALL_S_MAX = 60.0  # for a caller that gives no deadline
SOCKET_MODE = 0o600  # this user and root
OPTIONS = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.so_reuseport", 0),
)


class TransformServicer(pb_grpc.TransformServiceServicer):
    """Answers a result for each event."""

    def __init__(self, pool: WorkerPool) -> None:
        """The pool may still be loading."""
        self._pool = pool

    def TransformBatch(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Run a function over events; fails as a call only when no worker is free or there is no such function."""
        remaining = context.time_remaining()
        allowed_s = CALL_S_MAX if remaining is None else min(remaining, CALL_S_MAX)
        deadline = time.monotonic() + max(0.0, allowed_s - ANSWER_MARGIN_S)
        function = self._function(request, context)
        try:
            with self._pool.taken(deadline - time.monotonic()) as worker:
                results = worker.call(function, list(request.events), deadline)
        except queue.Empty:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "every worker is busy: come back later")
            raise
        return pb.TransformBatchResponse(results=[_to_wire(r) for r in results])

    def GetHealth(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ARG002, N802
        """Always answers, also while functions run."""
        return pb.GetHealthResponse(
            ready=self._pool.ready,
            detail=self._pool.detail,
            functions=sorted(self._pool.functions),
            runtime_version=__version__,
            restarts=self._pool.restarts,
        )

    def _function(self, request: Any, context: grpc.ServicerContext) -> str:
        if not self._pool.ready:
            context.abort(grpc.StatusCode.UNAVAILABLE, f"not ready: {self._pool.detail}")
        if len(request.events) > EVENTS_MAX:
            context.abort(
                grpc.StatusCode.INVALID_ARGUMENT, f"events: {len(request.events)}, at most {EVENTS_MAX} in a call"
            )
        known = self._pool.functions
        if not request.function and len(known) == 1:
            return next(iter(known))
        if request.function not in known:
            context.abort(
                grpc.StatusCode.NOT_FOUND,
                f"there is no transform {request.function!r}; declared are: {', '.join(sorted(known))}",
            )
        return str(request.function)


def _to_wire(result: Result) -> Any:
    if isinstance(result, Failure):
        kinds = pb.TransformError
        kind = kinds.ERROR_CLASS_RECOVERABLE if result.recoverable else kinds.ERROR_CLASS_NON_RECOVERABLE
        error = pb.TransformError(error_class=kind, reason=result.reason, message=result.message)
        return pb.TransformResult(error=error)
    return pb.TransformResult(outputs=result)


@dataclass(frozen=True, slots=True)
class Listen:
    """Where to listen: a Unix socket's path, a `host:port`, or both."""

    socket: Path | None = None
    tcp: str = ""


class TransformServer:
    """Serves a folder of users' code."""

    def __init__(self, code: Path, listen: Listen, workers: int = 1) -> None:
        """Starts nothing yet."""
        self._listen = listen
        self._pool = WorkerPool(code, workers)
        self._server = grpc.server(
            futures.ThreadPoolExecutor(workers * CALLS_WAITING_MAX + 2, thread_name_prefix="call"),
            maximum_concurrent_rpcs=workers * CALLS_WAITING_MAX + 4,
            options=OPTIONS,
        )
        pb_grpc.add_TransformServiceServicer_to_server(TransformServicer(self._pool), self._server)

    def start(self) -> None:
        """Listen at once (health answers), then load the code; LoadError when that fails."""
        if self._listen.tcp and not self._server.add_insecure_port(self._listen.tcp):
            raise OSError(f"{self._listen.tcp}: cannot listen there: is the port in use?")
        if self._listen.socket:
            self._listen.socket.unlink(missing_ok=True)
            if not self._server.add_insecure_port(f"unix:{self._listen.socket}"):
                raise OSError(f"{self._listen.socket}: cannot listen there")
        self._server.start()
        if self._listen.socket:
            self._listen.socket.chmod(SOCKET_MODE)
        self._pool.start()

    def stop(self, grace_s: float) -> None:
        """Let running calls end, then end the workers."""
        self._server.stop(grace_s).wait()
        self._pool.stop()
