"""A gRPC server of a service: mutual TLS, who-may-call-what as data, errors mapped, health and reflection served."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_reflection.v1alpha import reflection
from pydantic import ValidationError

from shared.contracts.base import invalid_input
from shared.domain.errors import Defect, Denied, HeadraceError
from shared.grpc.errors import TRAILER, to_wire
from shared.grpc.identity import may_call, peer_identity
from shared.grpc.tls import server_credentials

MESSAGE_BYTES_MAX = 8 * 1024 * 1024
CONCURRENT_RPCS_MAX = 2000
GRACE_S = 3.0
OPTIONS = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.so_reuseport", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
)
_OPEN_TO_ALL_PEERS = ("/grpc.health.v1.Health/", "/grpc.reflection.v1alpha.ServerReflection/")
LOG = structlog.get_logger()

Handler = Callable[[Any, Any], Any]


class _Gate(grpc.aio.ServerInterceptor):
    """Checks the caller against `allowed`, then maps what the handler raises."""

    def __init__(self, allowed: Mapping[str, frozenset[str]]) -> None:
        self._allowed = allowed

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler | None:
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or method.startswith(_OPEN_TO_ALL_PEERS):
            return handler
        if handler.response_streaming:
            make = (
                grpc.stream_stream_rpc_method_handler
                if handler.request_streaming
                else grpc.unary_stream_rpc_method_handler
            )
            inner = handler.stream_stream if handler.request_streaming else handler.unary_stream
            return make(self._stream(method, inner), handler.request_deserializer, handler.response_serializer)
        make = (
            grpc.stream_unary_rpc_method_handler if handler.request_streaming else grpc.unary_unary_rpc_method_handler
        )
        inner = handler.stream_unary if handler.request_streaming else handler.unary_unary
        return make(self._unary(method, inner), handler.request_deserializer, handler.response_serializer)

    def _check(self, method: str, context: Any) -> None:
        caller = peer_identity(context)
        _, service, name = method.split("/")
        patterns = self._allowed.get(f"{service}/{name}") or self._allowed.get(service) or frozenset()
        if not may_call(caller, patterns):
            raise Denied(
                f"{caller} may not call {service}/{name}", remedy="allowed are: " + ", ".join(sorted(patterns))
            )

    def _unary(self, method: str, inner: Handler) -> Handler:
        async def call(request: Any, context: Any) -> Any:
            try:
                self._check(method, context)
                return await inner(request, context)
            except Exception as e:
                await _abort(context, method, e)

        return call

    def _stream(self, method: str, inner: Handler) -> Handler:
        async def call(request: Any, context: Any) -> AsyncIterator[Any]:
            try:
                self._check(method, context)
                async for item in inner(request, context):
                    yield item
            except Exception as e:
                await _abort(context, method, e)

        return call


async def _abort(context: Any, method: str, error: Exception) -> None:
    if isinstance(error, grpc.aio.AbortError):
        raise error
    if isinstance(error, ValidationError):
        error = invalid_input(error)
    if not isinstance(error, HeadraceError):
        LOG.error("rpc failed", method=method, exc_info=error)
        error = Defect(f"{method}: internal error", remedy="the service's log has the details")
    code, text, trailer = to_wire(error)
    await context.abort(code, text, ((TRAILER, trailer),))


class GrpcServer:
    """A Part; `address` is known after `start`."""

    def __init__(
        self,
        listen: str,
        tls_dir: Path,
        add: Callable[[grpc.aio.Server], None],
        service_names: Sequence[str],
        allowed: Mapping[str, frozenset[str]],
    ) -> None:
        """`add` registers the servicers; `allowed` maps `package.Service[/Method]` to identity patterns."""
        self._listen = listen
        self._tls_dir = tls_dir
        self._add = add
        self._names = tuple(service_names)
        self._allowed = allowed
        self._server: grpc.aio.Server | None = None
        self._health = HealthServicer()
        self.address = listen

    async def start(self) -> None:
        """Bind and serve; the health service answers SERVING."""
        server = grpc.aio.server(
            interceptors=(_Gate(self._allowed),),
            options=OPTIONS,
            maximum_concurrent_rpcs=CONCURRENT_RPCS_MAX,
        )
        self._add(server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        reflection.enable_server_reflection((*self._names, reflection.SERVICE_NAME), server)
        port = server.add_secure_port(self._listen, server_credentials(self._tls_dir))
        self.address = f"{self._listen.rpartition(':')[0]}:{port}"
        await server.start()
        for name in ("", *self._names):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        self._server = server

    async def stop(self) -> None:
        """Answer NOT_SERVING, let calls finish for a moment, end."""
        if self._server:
            await self._health.enter_graceful_shutdown()
            await self._server.stop(GRACE_S)
            await asyncio.sleep(0)
