"""Where the copy of a stage sends instead of to anybody: whatever comes by HTTP is acknowledged, and thrown away."""

from dataplane.stages.http_server import NodeHttpServer
from dataplane.stages.ingest import Answer
from shared.domain.errors import Unavailable

TAKEN = Answer(200, b"{}")


class Sink:
    """Listens while load is driven."""

    def __init__(self, address: str) -> None:
        """Binds; Unavailable when `address` (`host:port`) is taken or is not of this host."""
        host, _, port = address.rpartition(":")
        try:
            self._server = NodeHttpServer(host.strip("[]"), int(port), lambda _: None, lambda *_: TAKEN)
        except OSError as e:
            raise Unavailable(
                f"sink {address}: {e.strerror or e}: another group with HTTP sinks is rated, or it is not of this host",
                remedy="wait until the other rating has ended, or mend HEADRACE_RATING_SINK",
                retry_after_s=5.0,
            ) from e

    def start(self) -> None:
        """Take what comes."""
        self._server.start()

    def stop(self) -> None:
        """Take no more."""
        self._server.stop()
