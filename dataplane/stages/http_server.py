"""Small HTTP servers of a node: a thread a connection, limits on everything, no more of HTTP than is needed."""

import math
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import structlog

from dataplane.stages.ingest import BODY_BYTES_MAX, Answer

CONNECTIONS_MAX = 128
BODIES_BYTES_MAX = 64 * 1024 * 1024  # of all requests together; above it a sender is told to come back
BUSY_RETRY_S = 1.0
IDLE_S_MAX = 30.0
JSON = "application/json"
LOG = structlog.get_logger()
Get = Callable[[str], tuple[int, str, bytes] | None]
Post = Callable[[str, bytes, str], Answer | None]


class NodeHttpServer:
    """Serves GET and POST by two functions of the path; None from one of them is 404."""

    def __init__(self, host: str, port: int, get: Get, post: Post | None = None) -> None:
        """Binds; OSError when the port is taken."""
        slots = threading.BoundedSemaphore(CONNECTIONS_MAX)
        parts = {
            "get": staticmethod(get),
            "post": staticmethod(post) if post else None,
            "bodies": Room(BODIES_BYTES_MAX),
        }
        handler = type("Handler", (_Handler,), parts)
        self._server = _Server((host, port), handler, slots)
        self._thread = threading.Thread(target=self._server.serve_forever, name=f"http-{port}", daemon=True)
        self.port = self._server.server_address[1]

    def start(self) -> None:
        """Answer requests."""
        self._thread.start()

    def stop(self) -> None:
        """Take no more connections."""
        self._server.shutdown()
        self._server.server_close()


class Room:
    """A bounded number of bytes that threads share.

    >>> room = Room(10)
    >>> room.take(8), room.take(8)
    (True, False)
    >>> room.give_back(8)
    >>> room.take(20)  # alone, anything fits that a request may have
    True
    """

    def __init__(self, size: int) -> None:
        """All free."""
        self._size = size
        self._taken = 0
        self._lock = threading.Lock()

    def take(self, size: int) -> bool:
        """Whether there is room; never waits."""
        with self._lock:
            if self._taken and self._taken + size > self._size:
                return False
            self._taken += size
            return True

    def give_back(self, size: int) -> None:
        """It is free again."""
        with self._lock:
            self._taken -= size


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # an idle kept-alive connection must not hold a node back
    request_queue_size = CONNECTIONS_MAX

    def __init__(self, address: tuple[str, int], handler: Any, slots: threading.BoundedSemaphore) -> None:
        self._slots = slots
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._slots.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002  the base class' signature
        """A client that went away is no news; anything else is a defect."""
        error = sys.exception()
        if not isinstance(error, OSError):
            LOG.error("request failed", client=str(client_address), exc_info=error)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "headrace-node"
    sys_version = ""
    timeout = IDLE_S_MAX
    get: Get
    post: Post | None
    bodies: Room
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        found = self.get(self.path)
        if found is None:
            self._send(404, JSON, b'{"error":"there is nothing at this path"}')
        else:
            self._send(*found)

    def do_POST(self) -> None:
        try:
            length = int(self.headers.get("Content-Length", ""))
        except ValueError:
            length = -1
        if length < 0 or self.post is None:
            self.close_connection = True
            text = b'{"error":"send the body with a Content-Length"}'
            self._send(*((411, JSON, text) if self.post else (405, JSON, b'{"error":"nothing takes a POST here"}')))
            return
        if length > BODY_BYTES_MAX:
            self.close_connection = True
            self._send(413, JSON, b'{"error":"the body is more than %d bytes: send fewer events"}' % BODY_BYTES_MAX)
            return
        if not self.bodies.take(length):
            self.close_connection = True  # its body is not read: there is no room for it
            self._send(429, JSON, b'{"error":"too many bytes are being worked on: come back later"}', BUSY_RETRY_S)
            return
        try:
            self._take_body(self.post, length)
        finally:
            self.bodies.give_back(length)

    def _take_body(self, post: Post, length: int) -> None:
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True
            return
        answer = post(self.path, body, self.headers.get("Content-Type", JSON))
        if answer is None:
            self._send(404, JSON, b'{"error":"there is nothing at this path"}')
        else:
            self._send(answer.status, JSON, answer.body, answer.retry_after_s)

    def _send(self, status: int, content_type: str, body: bytes, retry_after_s: float | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        if retry_after_s is not None:
            self.send_header("Retry-After", str(math.ceil(retry_after_s)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class' name
        """Requests are counted, not logged."""
