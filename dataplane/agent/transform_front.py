"""The TCP face of a transform group's node: mutual TLS in front of users' server, which itself has no certificate.

TLS ends here, and the caller's name is looked at; what the connection carries is spliced to users' Unix socket
(`splice`). How many calls run at once, deadlines, push-backs, health and reflection are those of users' server. Here
only connections are counted. When the node drains, callers are told to go elsewhere, and their running calls end.
"""

import os
import socket
import ssl
import threading
import time
from pathlib import Path

import grpc
import structlog

from dataplane.agent.http2_frames import HEADERS, PREFACE_BYTES, FrameWalk, refused_call, settings
from dataplane.agent.node_state import NodeState
from dataplane.agent.splice import Splice
from shared.domain.errors import HeadraceError, Unauthenticated
from shared.grpc.identity import Identity, identity_of_uri

ALLOWED = ("service/*", "node/*")
CALLERS_MAX = 256  # a caller has one: nodes that call this group, and services
REFUSING_MAX = 32  # connections beside them that are being told why not; what is more is closed without a word
BACKLOG = 128
HANDSHAKE_S, CONNECT_S, REFUSING_S = 10.0, 2.0, 10.0
GRACE_S = 15.0
CLOSED_S = 2.0
ACCEPT_AGAIN_S = 0.1
REFUSED_BYTES_MAX = 1024 * 1024  # of what a refused caller says, thrown away
FULL, FORBIDDEN = int(grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]), int(grpc.StatusCode.PERMISSION_DENIED.value[0])
PUSH_BACK = ("grpc-retry-pushback-ms", "100")  # gRPC proposal A6: the caller's balancer leaves this node alone so long
IDLE_S, PROBE_S, PROBES = 20, 5, 3  # a caller that is gone without a word is noticed
LOG = structlog.get_logger()


class TransformFront:
    """Serves on `host:port`, a thread for each caller."""

    def __init__(self, listen: str, state: NodeState, users: Path, callers_max: int = CALLERS_MAX) -> None:
        """Binds; OSError when the port is taken. `users` is the socket of users' server."""
        host, _, port = listen.rpartition(":")
        self._listener = socket.create_server((host.strip("[]"), int(port)), backlog=BACKLOG)
        self.port = int(self._listener.getsockname()[1])
        self._state, self._users, self._callers_max = state, users, callers_max
        self._context, self._context_of = _context(state), _written_at(state)
        self._farewell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._open: dict[ssl.SSLSocket, threading.Thread] = {}
        self._accepting = threading.Thread(target=self._accept, name="transform-front", daemon=True)

    def start(self) -> None:
        """Answer calls."""
        self._accepting.start()

    def stop(self) -> None:
        """Take no more, and finish what is running: callers are told at once and go elsewhere."""
        self._stopping.set()
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        if self._accepting.is_alive():
            self._accepting.join(CLOSED_S)
        self._listener.close()
        os.eventfd_write(self._farewell, 1)
        self._await_ends(GRACE_S)
        with self._lock:
            for connection in self._open:
                _shut(connection)
        self._await_ends(CLOSED_S)
        os.close(self._farewell)

    def _await_ends(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        with self._lock:
            threads = list(self._open.values())
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError as e:
                if not self._stopping.wait(ACCEPT_AGAIN_S):
                    LOG.warning("no connection taken", why=str(e))
                continue
            try:
                _tune(connection)
                self._welcome(self._newest().wrap_socket(connection, server_side=True, do_handshake_on_connect=False))
            except OSError as e:  # it has gone already; or our certificate cannot be read
                LOG.warning("connection not taken", why=str(e))
                connection.close()

    def _welcome(self, caller: ssl.SSLSocket) -> None:
        with self._lock:
            others = len(self._open)
            if others >= self._callers_max + REFUSING_MAX:
                caller.close()
                return
            thread = threading.Thread(target=self._serve, args=(caller, others), name="caller", daemon=True)
            self._open[caller] = thread
        thread.start()

    def _serve(self, caller: ssl.SSLSocket, others: int) -> None:
        try:
            caller.settimeout(HANDSHAKE_S)
            caller.do_handshake()
            if others >= self._callers_max:
                _refuse(caller, FULL, f"{self._callers_max} callers are here: ask another node", PUSH_BACK)
            elif why := _why_not(caller):
                _refuse(caller, FORBIDDEN, why)
            else:
                self._splice(caller)
        except OSError as e:
            LOG.debug("caller's connection ended", why=str(e))
        finally:
            with self._lock:
                del self._open[caller]
            caller.close()

    def _splice(self, caller: ssl.SSLSocket) -> None:
        with socket.socket(socket.AF_UNIX) as users:
            users.settimeout(CONNECT_S)
            users.connect(str(self._users))  # while users' server is away the caller's connection ends
            Splice(caller, users, self._farewell).run()

    def _newest(self) -> ssl.SSLContext:
        """With the certificate as it is now: it is renewed while this runs."""
        written_at = _written_at(self._state)
        if written_at != self._context_of:
            self._context, self._context_of = _context(self._state), written_at
        return self._context


def _why_not(caller: ssl.SSLSocket) -> str:
    """Empty: its calls are taken."""
    try:
        identity = _identity(caller)
    except HeadraceError as e:
        return str(e)
    fits = any(identity.fits(pattern) for pattern in ALLOWED)
    return "" if fits else f"{identity} may not call: {', '.join(ALLOWED)} may"


def _identity(caller: ssl.SSLSocket) -> Identity:
    """The URI name in the certificate that the handshake has verified."""
    names = (caller.getpeercert() or {}).get("subjectAltName", ())
    for name in names:
        if name[0] == "URI":
            return identity_of_uri(str(name[1]))
    raise Unauthenticated("certificate has no URI name", remedy="issue it from the stack's authority")


def _refuse(caller: ssl.SSLSocket, status: int, why: str, *more: tuple[str, str]) -> None:
    """Answer the caller's first call, send it away, and listen until it has gone: closing earlier could lose the answer."""
    LOG.warning("caller refused", why=why)
    deadline = time.monotonic() + REFUSING_S
    caller.settimeout(REFUSING_S)
    caller.sendall(settings())
    walk, size, answered = FrameWalk(skip=PREFACE_BYTES), 0, False
    while size < REFUSED_BYTES_MAX and time.monotonic() < deadline and (chunk := caller.recv(16 * 1024)):
        size += len(chunk)
        calls = [stream for kind, stream in walk.passed(chunk) if kind == HEADERS]
        if calls and not answered:
            caller.sendall(refused_call(calls[0], status, why, *more))
            answered = True


def _tune(connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, IDLE_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, PROBE_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, PROBES)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000 * (IDLE_S + PROBES * PROBE_S))


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError as e:  # it has ended by itself
        LOG.debug("already closed", why=str(e))


def _written_at(state: NodeState) -> int:
    return (state.folder / "cert.pem").stat().st_mtime_ns


def _context(state: NodeState) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["h2"])
    context.load_verify_locations(state.folder / "ca.pem")
    context.load_cert_chain(state.folder / "cert.pem", state.folder / "key.pem")
    return context
