"""The command against a real server: uvicorn on a port, PostgreSQL, Temporal's development server, a workflow worker.

The four services are not there; child workflows are played by workflows of these tests, registered under the same names.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from pydantic import SecretStr
from temporalio import workflow
from temporalio.common import RawValue
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from headrace.cli import cli
from localcloud import ports
from localcloud.servers.postgres import SchemaAccess
from localcloud.servers.temporal import TemporalServer
from services.admin_api.__main__ import Adapters, build
from services.admin_api.adapters.credentials import SystemCredentials
from services.admin_api.adapters.postgres import PostgresStore
from services.admin_api.adapters.services import ServiceChannels
from services.admin_api.adapters.temporal import TemporalWorkflows
from services.admin_api.settings import AdminSettings
from shared.contracts import queues
from shared.contracts.provisioning import OperationResult
from shared.database import Database
from shared.system import SystemClock, SystemIds
from shared.telemetry.logs import configure_logs
from shared.temporal.client import connect
from shared.temporal.worker import connected
from tests.admin_api.conftest import FolderOfCode
from workflows.apply_objects import ApplyObjects

TOKEN = "a-token-of-these-tests"
STARTED_S_MAX = 60.0


@workflow.defn(dynamic=True)
class Played:
    """Any child workflow: ends at once; one whose object's name starts with `bad` fails."""

    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> OperationResult:
        given = workflow.payload_converter().from_payload(args[0].payload, dict[str, Any])
        told = given.get("spec", given)
        if str(told.get("name", "")).startswith("bad"):
            return OperationResult(outcome="failed", text="the resolver found no such package")
        return OperationResult(outcome="done", text=f"{workflow.info().workflow_type} did it")


@dataclass
class Command:
    """Runs `headrace` as a user would, with a profile in the folder."""

    folder: Path
    url: str

    def __call__(self, *args: str, text: str | None = None) -> Result:
        env = {"HEADRACE_URL": self.url, "HEADRACE_TOKEN": TOKEN, "HOME": str(self.folder), "NO_COLOR": "1"}
        return CliRunner().invoke(cli, list(args), env=env, input=text, catch_exceptions=False)


class InThread:
    """The server with its own event loop: the command is synchronous."""

    def __init__(self, main: Callable[[asyncio.Event, threading.Event], Any]) -> None:
        self._ready = threading.Event()
        self._failed: BaseException | None = None
        self._main = main
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> None:
        self._thread.start()
        assert self._ready.wait(STARTED_S_MAX), "the admin API did not start"
        if self._failed:
            raise self._failed

    def __exit__(self, *_: object) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(STARTED_S_MAX)

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._main(self._stop, self._ready))
        except BaseException as e:
            self._failed = e
            self._ready.set()
        finally:
            self._loop.close()


async def serve(settings: AdminSettings, stop: asyncio.Event, ready: threading.Event) -> None:
    pool = Database(settings.database_url, settings.database_schema, "admin_api")
    channels = ServiceChannels(settings)
    client = await connected(await connect(settings.temporal_address, settings.temporal_namespace))
    adapters = Adapters(
        store=PostgresStore(pool),
        workflows=TemporalWorkflows(client),
        peers=channels.peers,
        code=FolderOfCode(),
        credentials=SystemCredentials(),
        clock=SystemClock(),
        ids=SystemIds(),
    )
    service = build(settings, adapters)
    worker = Worker(
        client,
        task_queue=queues.WORKFLOWS,
        workflows=[ApplyObjects, Played],
        workflow_runner=UnsandboxedWorkflowRunner(),
    )
    configure_logs("admin_api")
    async with worker:
        started = []
        try:
            for part in service.parts:
                await part.start()
                started.append(part)
            ready.set()
            await stop.wait()
        finally:
            for part in reversed(started):
                await part.stop()
            await pool.close()


@pytest.fixture
def command(database: Callable[[str], SchemaAccess], temporal: TemporalServer, tmp_path: Path) -> Iterator[Command]:
    access = database("admin_api")
    token_file = tmp_path / "admin-token"
    token_file.write_text(TOKEN)
    address = f"127.0.0.1:{ports.choose()}"
    settings = AdminSettings(
        database_url=SecretStr(access.url),
        database_schema=access.schema,
        temporal_address=temporal.address,
        temporal_namespace=temporal.namespace,
        listen=address,
        admin_token_file=token_file,
        operations_s=0.2,
    )
    with InThread(lambda stop, ready: serve(settings, stop, ready)):
        yield Command(tmp_path, f"http://{address}")


FLIGHTS = """
from headrace import *

env = Environment(name="flights-env", requirements="headrace-runtime")
ingest = IngestServerGroup(name="departures-ingest", scaling=ProvisionedScaling(desired_nodes=1))
delays = TransformServerGroup(
    name="delays", environment=env, code="./transforms",
    scaling=Autoscaling(min_nodes=1, max_nodes=MAX, targets=[LagTarget(seconds=5)]),
    rollout=Rolling(percents=[50, 100], bake="10s"))
pipeline = Pipeline(
    name="departures",
    stages=[Stage(name="ingest", group=ingest, work=HttpIngest()), Stage(name="transform", group=delays, work=Transform())],
    edges=[("ingest", "transform")], ramp=Ramp(percents=[5, 25, 100], bake="5s"))
"""


def declare(folder: Path, most: int = 4) -> Path:
    place = folder / "flights"
    (place / "transforms").mkdir(parents=True, exist_ok=True)
    (place / "transforms" / "score.py").write_text("def score(event): return event\n")
    (place / "flights.py").write_text(FLIGHTS.replace("MAX", str(most)))
    (place / "receiver.py").write_text("raise SystemExit('not to be imported')\n")
    return place
