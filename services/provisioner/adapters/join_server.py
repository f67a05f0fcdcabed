"""The port for machines that have no certificate yet: server TLS only, one small service, few calls at once."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import structlog

from shared.domain.errors import Defect, HeadraceError
from shared.grpc.errors import TRAILER, to_wire

CONCURRENT_RPCS_MAX = 64
MESSAGE_BYTES_MAX = 64 * 1024
GRACE_S = 3.0
LOG = structlog.get_logger()
Handler = Callable[[Any, Any], Awaitable[Any]]


class _MapErrors(grpc.aio.ServerInterceptor):
    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        handler = await continuation(handler_call_details)
        if handler is None or handler.unary_unary is None:
            return handler
        return grpc.unary_unary_rpc_method_handler(
            _mapped(handler.unary_unary), handler.request_deserializer, handler.response_serializer
        )


def _mapped(inner: Handler) -> Handler:
    async def call(request: Any, context: Any) -> Any:
        try:
            return await inner(request, context)
        except grpc.aio.AbortError:
            raise
        except Exception as e:
            error = e if isinstance(e, HeadraceError) else Defect("Join: internal error")
            if error is not e:
                LOG.exception("join failed")
            code, text, trailer = to_wire(error)
            await context.abort(code, text, ((TRAILER, trailer),))

    return call


class JoinServer:
    """A Part; `address` is known after `start`."""

    def __init__(self, listen: str, tls_dir: Path, add: Callable[[grpc.aio.Server], None]) -> None:
        """`tls_dir` has the service's `cert.pem` and `key.pem`."""
        self._listen = listen
        self._tls_dir = tls_dir
        self._add = add
        self._server: grpc.aio.Server | None = None
        self.address = listen

    async def start(self) -> None:
        """Bind and serve."""
        options = (("grpc.max_receive_message_length", MESSAGE_BYTES_MAX), ("grpc.so_reuseport", 0))
        server = grpc.aio.server(
            interceptors=(_MapErrors(),), options=options, maximum_concurrent_rpcs=CONCURRENT_RPCS_MAX
        )
        self._add(server)
        pair = ((self._tls_dir / "key.pem").read_bytes(), (self._tls_dir / "cert.pem").read_bytes())
        port = server.add_secure_port(self._listen, grpc.ssl_server_credentials([pair]))
        self.address = f"{self._listen.rpartition(':')[0]}:{port}"
        await server.start()
        self._server = server

    async def stop(self) -> None:
        """Let calls finish for a moment, end."""
        if self._server:
            await self._server.stop(GRACE_S)
