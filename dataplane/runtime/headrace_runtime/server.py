"""The transform server: gRPC in front of a pool of worker processes. Users' code never runs in this process."""

from concurrent import futures
from dataclasses import dataclass
from pathlib import Path

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from headrace_runtime.gate import Gate
from headrace_runtime.servicer import SERVICE, TransformServicer
from headrace_runtime.v1 import transform_pb2_grpc as pb_grpc
from headrace_runtime.workers import WorkerPool

MESSAGE_BYTES_MAX = 64 * 1024 * 1024
CALLS_MAX = 8  # a worker, waiting or running; more are turned away, so that the caller waits where its events are safe
QUESTIONS_MAX = 4  # at once, beside the calls: health and measures are answered also when it is full
REFUSED_MAX = 64  # calls that are being turned away; above that the library closes them itself
SOCKET_MODE = 0o600  # this user and root
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
OPTIONS = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.so_reuseport", 0),
)


@dataclass(frozen=True, slots=True)
class Listen:
    """Where to listen: a Unix socket's path, a `host:port`, or both."""

    socket: Path | None = None
    tcp: str = ""


class TransformServer:
    """Serves a folder of users' code."""

    def __init__(self, code: Path, listen: Listen, workers: int = 1, calls_max: int = 0) -> None:
        """Starts nothing yet. `calls_max` at once, waiting or running; 0: CALLS_MAX for each worker."""
        limit = calls_max or workers * CALLS_MAX
        self._listen = listen
        self._pool = WorkerPool(code, workers)
        self._health = health.HealthServicer()
        self._server = grpc.server(
            futures.ThreadPoolExecutor(limit + QUESTIONS_MAX, thread_name_prefix="call"),
            maximum_concurrent_rpcs=limit + QUESTIONS_MAX + REFUSED_MAX,
            options=OPTIONS,
        )
        pb_grpc.add_TransformServiceServicer_to_server(
            TransformServicer(self._pool, Gate(limit, workers)), self._server
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection((SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server)
        self._pool.on_change = self._say
        self._say(False)

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
        self._health.enter_graceful_shutdown()
        self._server.stop(grace_s).wait()
        self._pool.stop()

    def _say(self, ready: bool) -> None:  # noqa: FBT001  a callback's value
        for name in ("", SERVICE):
            self._health.set(name, SERVING if ready else NOT_SERVING)
