"""The TCP face of a transform group's node: mutual TLS in front of users' server, which itself has no certificate.

Calls are handed on over the Unix socket with what is left of their deadline; its answers and refusals come back as
they are.
"""

from concurrent import futures
from typing import Any

import grpc
from headrace_runtime.v1 import transform_pb2_grpc as pb_grpc

from dataplane.agent.node_state import NodeState
from dataplane.stages.transforming import MESSAGE_BYTES_MAX
from shared.domain.errors import HeadraceError
from shared.grpc.errors import to_wire
from shared.grpc.identity import peer_identity

ALLOWED = ("service/*", "node/*")
CALLS_MAX = 32  # at once; users' server turns away what its workers cannot take
DEADLINE_S_MAX = 60.0
GRACE_S = 5.0


class TransformFront(pb_grpc.TransformServiceServicer):
    """Serves on `host:port`."""

    def __init__(self, listen: str, state: NodeState, users: grpc.Channel) -> None:
        """Binds; OSError when the port is taken. A renewed certificate is used from the next connection on."""
        self._users = pb_grpc.TransformServiceStub(users)
        options = [(f"grpc.max_{way}_message_length", MESSAGE_BYTES_MAX) for way in ("receive", "send")]
        self._server = grpc.server(
            futures.ThreadPoolExecutor(CALLS_MAX, thread_name_prefix="transform"),
            maximum_concurrent_rpcs=CALLS_MAX,
            options=[*options, ("grpc.so_reuseport", 0)],
        )
        pb_grpc.add_TransformServiceServicer_to_server(self, self._server)
        credentials = grpc.dynamic_ssl_server_credentials(
            _certificates(state), lambda: _certificates(state), require_client_authentication=True
        )
        try:
            bound = self._server.add_secure_port(listen, credentials)
        except RuntimeError as e:
            raise OSError(f"{listen}: cannot listen there: is the port in use?") from e
        self.port = int(bound)

    def start(self) -> None:
        """Answer calls."""
        self._server.start()

    def stop(self) -> None:
        """Finish what is running."""
        self._server.stop(GRACE_S).wait()

    def TransformBatch(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """To users' code."""
        return self._hand_on(self._users.TransformBatch, request, context)

    def GetHealth(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Of users' server."""
        return self._hand_on(self._users.GetHealth, request, context)

    def _hand_on(self, method: Any, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            caller = peer_identity(context)
        except HeadraceError as e:
            context.abort(*to_wire(e)[:2])
        else:
            if not any(caller.fits(pattern) for pattern in ALLOWED):
                context.abort(grpc.StatusCode.PERMISSION_DENIED, f"{caller} may not call: {', '.join(ALLOWED)} may")
        remaining = context.time_remaining()
        try:
            return method(request, timeout=DEADLINE_S_MAX if remaining is None else min(remaining, DEADLINE_S_MAX))
        except grpc.RpcError as e:
            context.abort(e.code(), e.details())


def _certificates(state: NodeState) -> grpc.ServerCertificateConfiguration:
    ca, cert, key = ((state.folder / name).read_bytes() for name in ("ca.pem", "cert.pem", "key.pem"))
    return grpc.ssl_server_certificate_configuration([(key, cert)], root_certificates=ca)
