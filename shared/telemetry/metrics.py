"""`/metrics` of a service process."""

from threading import Thread
from wsgiref.simple_server import WSGIServer

from prometheus_client import start_http_server

from shared.settings import host_port


class MetricsServer:
    """Serves the default registry on `host:port`."""

    def __init__(self, listen: str) -> None:
        """`listen` is `host:port`."""
        self._listen = listen
        self._server: tuple[WSGIServer, Thread] | None = None

    async def start(self) -> None:
        """Begin serving."""
        host, port = host_port(self._listen)
        self._server = start_http_server(port, addr=host)

    async def stop(self) -> None:
        """End serving."""
        if self._server:
            server, thread = self._server
            server.shutdown()
            server.server_close()
            thread.join(timeout=5)
