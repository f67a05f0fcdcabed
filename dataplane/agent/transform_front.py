"""The TCP face of a transform group's node: mutual TLS in front of users' server, which itself has no certificate.

Calls are handed on over the Unix socket, as bytes that nobody here reads, with what is left of their deadline; answers,
refusals and push-backs come back as they are; gRPC's health is that of users' server too. What is more than `CALLS_MAX`
at once is refused here with a push-back.
"""

import threading
from collections.abc import Callable
from concurrent import futures
from typing import Any

import grpc
from grpc_health.v1 import health
from grpc_reflection.v1alpha import reflection
from headrace_runtime.v1 import transform_pb2 as pb

from dataplane.agent.node_state import NodeState
from dataplane.stages.transforming import MESSAGE_BYTES_MAX
from shared.domain.errors import HeadraceError
from shared.grpc.errors import to_wire
from shared.grpc.identity import peer_identity

ALLOWED = ("service/*", "node/*")
CALLS_MAX = 32  # at once; users' server turns away what its workers cannot take
THREADS_BESIDE = 8  # for refusals, health and reflection
REFUSED_MAX = 64  # calls that are being refused; what is more the library closes itself, without a push-back
PUSH_BACK = ("grpc-retry-pushback-ms", "100")  # gRPC proposal A6: the caller's balancer leaves this node alone so long
DEADLINE_S_MAX = 60.0
GRACE_S = 15.0
_SERVICE = pb.DESCRIPTOR.services_by_name["TransformService"].full_name
METHODS = {_SERVICE: ("TransformBatch", "GetHealth"), health.SERVICE_NAME: ("Check",)}


class TransformFront:
    """Serves on `host:port`; also gRPC's health (Check) and reflection."""

    def __init__(self, listen: str, state: NodeState, users: grpc.Channel) -> None:
        """Binds; OSError when the port is taken. A renewed certificate is used from the next connection on."""
        self._slots = threading.BoundedSemaphore(CALLS_MAX)
        options = [(f"grpc.max_{way}_message_length", MESSAGE_BYTES_MAX) for way in ("receive", "send")]
        threads = CALLS_MAX + THREADS_BESIDE
        self._server = grpc.server(
            futures.ThreadPoolExecutor(threads, thread_name_prefix="transform"),
            maximum_concurrent_rpcs=threads + REFUSED_MAX,
            options=[*options, ("grpc.so_reuseport", 0)],
        )
        for service, methods in METHODS.items():
            paths = {m: f"/{service}/{m}" for m in methods}
            handlers = {m: grpc.unary_unary_rpc_method_handler(self._handing_on(p, users)) for m, p in paths.items()}
            self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
        reflection.enable_server_reflection((*METHODS, reflection.SERVICE_NAME), self._server)
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
        """Take no more, and finish what is running: callers are told at once and go elsewhere."""
        self._server.stop(GRACE_S).wait()

    def _handing_on(self, path: str, users: grpc.Channel) -> Callable[[bytes, grpc.ServicerContext], bytes]:
        theirs = users.unary_unary(path)

        def hand_on(request: bytes, context: grpc.ServicerContext) -> bytes:
            _admit(context)
            if not self._slots.acquire(blocking=False):
                context.set_trailing_metadata((PUSH_BACK,))
                context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{CALLS_MAX} calls are running: ask another node")
            try:
                remaining = context.time_remaining()
                timeout_s = DEADLINE_S_MAX if remaining is None else min(remaining, DEADLINE_S_MAX)
                return bytes(theirs(request, timeout=timeout_s))
            except grpc.RpcError as e:
                context.set_trailing_metadata(_trailers(e))
                context.abort(e.code(), e.details())
                raise
            finally:
                self._slots.release()

        return hand_on


def _trailers(refusal: Any) -> tuple[tuple[str, str], ...]:
    """Those that came; a refusal for want of room without a push-back gets ours."""
    found = tuple(refusal.trailing_metadata() or ())
    full = refusal.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    return found if not full or any(key == PUSH_BACK[0] for key, _ in found) else (*found, PUSH_BACK)


def _admit(context: Any) -> None:
    try:
        caller = peer_identity(context)
    except HeadraceError as e:
        context.abort(*to_wire(e)[:2])
    else:
        if not any(caller.fits(pattern) for pattern in ALLOWED):
            context.abort(grpc.StatusCode.PERMISSION_DENIED, f"{caller} may not call: {', '.join(ALLOWED)} may")


def _certificates(state: NodeState) -> grpc.ServerCertificateConfiguration:
    ca, cert, key = ((state.folder / name).read_bytes() for name in ("ca.pem", "cert.pem", "key.pem"))
    return grpc.ssl_server_certificate_configuration([(key, cert)], root_certificates=ca)
