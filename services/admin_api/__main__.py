"""`python -m services.admin_api`: the admin API as a process."""

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import uvicorn
from fastapi import FastAPI

from services.admin_api.adapters.code_s3 import S3CodeStore
from services.admin_api.adapters.credentials import SystemCredentials
from services.admin_api.adapters.postgres import PostgresStore
from services.admin_api.adapters.services import ServiceChannels
from services.admin_api.adapters.temporal import TemporalWorkflows
from services.admin_api.api import AdminApi
from services.admin_api.domain.ports import CodeStore, Credentials, Store, Workflows
from services.admin_api.operations.context import Context
from services.admin_api.operations.peers import Peers
from services.admin_api.rest.app import make_app
from services.admin_api.rest.changes import Changes
from services.admin_api.settings import AdminSettings
from shared.database import Database
from shared.domain.clock import Clock, Ids
from shared.domain.names import Workspace
from shared.service import Loop, Part, run_service
from shared.settings import host_port
from shared.system import SystemClock, SystemIds
from shared.telemetry.logs import configure_logs
from shared.telemetry.metrics import MetricsServer
from shared.temporal.client import connect

KEEP_ALIVE_S = 30
GRACE_S = 5
CONNECTIONS_MAX = 500
READY_S_MAX = 10.0
LOOK_S = 0.02


@dataclass(frozen=True, slots=True)
class Adapters:
    """What is chosen here and nowhere else."""

    store: Store
    workflows: Workflows
    peers: Peers
    code: CodeStore
    credentials: Credentials
    clock: Clock
    ids: Ids


@dataclass(frozen=True, slots=True)
class Service:
    """The operations, their REST face, and the loops that keep them up to date."""

    api: AdminApi
    app: FastAPI
    parts: tuple[Part, ...]


class Rest:
    """A Part: serves HTTP on `host:port`."""

    def __init__(self, app: FastAPI, changes: Changes, listen: str) -> None:
        """`changes` is closed at the end, so that event streams end."""
        host, port = host_port(listen)
        self._changes = changes
        self._server = _Server(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=GRACE_S,
                limit_concurrency=CONNECTIONS_MAX,
                lifespan="off",
            )
        )
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Returns when it listens; a port in use is an OSError's sentence."""
        self._task = asyncio.create_task(self._server.serve(), name="rest")
        async with asyncio.timeout(READY_S_MAX):
            while not self._server.started:
                if self._task.done():
                    await self._task
                    raise OSError("the admin API could not listen; is its port in use? see the line above")
                await asyncio.sleep(LOOK_S)

    async def stop(self) -> None:
        """End streams, finish what runs, close."""
        self._changes.close()
        self._server.should_exit = True
        if self._task:
            with contextlib.suppress(SystemExit):
                await self._task


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are `shared.service`'s."""
        yield


class Bootstrap:
    """A Part: makes the first administrator's token known."""

    def __init__(self, api: AdminApi, settings: AdminSettings) -> None:
        """Reads the file once, at the start."""
        self._api, self._file = api, settings.admin_token_file

    async def start(self) -> None:
        """Nothing when no file is named."""
        if self._file is not None:
            await self._api.access.bootstrap(self._file.read_text())

    async def stop(self) -> None:
        """Nothing."""


def build(settings: AdminSettings, adapters: Adapters) -> Service:
    """The service over the given adapters."""
    changes = Changes()
    context = Context(
        store=adapters.store,
        workflows=adapters.workflows,
        peers=adapters.peers,
        code=adapters.code,
        credentials=adapters.credentials,
        clock=adapters.clock,
        ids=adapters.ids,
        workspace=Workspace(settings.workspace),
        changed=changes.ring,
    )
    api = AdminApi.over(context)
    app = make_app(api, changes)
    parts: tuple[Part, ...] = (
        Bootstrap(api, settings),
        Loop("operations", settings.operations_s, adapters.clock, api.long_work.tick),
        Loop("watch", settings.watch_s, adapters.clock, api.watching.tick),
        Rest(app, changes, settings.listen),
    )
    return Service(api, app, parts)


class _Closing:
    """A Part: closes the pool last."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def start(self) -> None:
        """Nothing: it connects when first used."""

    async def stop(self) -> None:
        """Close."""
        await self._database.close()


async def parts() -> Sequence[Part]:
    """Everything, over the real adapters."""
    settings = AdminSettings()
    database = Database(settings.database_url, settings.database_schema, "admin_api")
    channels = ServiceChannels(settings)
    adapters = Adapters(
        store=PostgresStore(database),
        workflows=TemporalWorkflows(await connect(settings.temporal_address, settings.temporal_namespace)),
        peers=channels.peers,
        code=S3CodeStore(settings.bundle_bucket),
        credentials=SystemCredentials(),
        clock=SystemClock(),
        ids=SystemIds(),
    )
    service = build(settings, adapters)
    return (_Closing(database), channels, MetricsServer(settings.metrics_listen), *service.parts)


if __name__ == "__main__":
    configure_logs("admin_api")
    run_service("admin_api", parts)
