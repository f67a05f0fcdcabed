"""A node without machine and control plane, for tests that kill it: `python -m tests.dataplane.node_process ORDERS_JSON`.

What it serves is the product's own `Serving`, from orders as the Provisioner gives them; only joining and the watch of
routes are left out.
"""

import json
import os
import signal
import sys
import threading
from pathlib import Path

from dataplane.agent.node_state import Orders
from dataplane.agent.serving import HeldBack, Serving
from dataplane.stages.audits import AuditBook
from dataplane.stages.http_server import NodeHttpServer
from dataplane.stages.measures import Measures
from shared.contracts.node import Assignment, Routes
from shared.domain.errors import NotFound


class NoReports:
    """Nobody asks for audits here."""

    def watch(self, book: AuditBook, pipeline: str, stage: str, held_back: HeldBack) -> None:
        """Kept by the caller."""


def no_s3(url: str, _: int) -> bytes:
    raise NotFound(f"object {url}: there is no S3 here")


def main() -> None:
    given = json.loads(sys.argv[1])
    orders = Orders(Assignment.model_validate(given["assignment"]), Routes.model_validate(given["routes"]))
    group = orders.assignment.group
    labels = {"workspace": "default", "group": group.name, "fleet": orders.assignment.fleet, "revision": "1"}
    measures = Measures(labels | {"node": given["node"]}, {"environment": "", "runtime": ""})
    serving = Serving(given["node"], measures, NoReports(), no_s3, Path(given["audits"]))
    if given["socket"]:
        serving.use_socket(Path(given["socket"]))
    server = NodeHttpServer(
        "127.0.0.1",
        given["port"],
        lambda _: (200, "text/plain", "\n".join(measures.lines()).encode()),
        serving.submit,
    )
    serving.reconcile(orders)
    server.start()
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    stopping.wait()
    server.stop()
    serving.stop()
    os._exit(0)


if __name__ == "__main__":
    main()
