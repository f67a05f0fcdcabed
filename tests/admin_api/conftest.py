"""The admin API over real PostgreSQL and Temporal's real development server; the four services are not there.

`admin` is the service in process, called over ASGI; `server` is the same behind a real port.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from localcloud.servers.postgres import SchemaAccess
from localcloud.servers.temporal import TemporalServer
from services.admin_api.__main__ import Adapters, Service, build
from services.admin_api.adapters.credentials import SystemCredentials
from services.admin_api.adapters.postgres import PostgresStore
from services.admin_api.adapters.services import ServiceChannels
from services.admin_api.adapters.temporal import TemporalWorkflows
from services.admin_api.settings import AdminSettings
from shared.database import Database
from shared.system import SystemClock, SystemIds
from shared.temporal.client import connect

TOKEN = "the-stack's-first-token"
NOBODY_WORKS = timedelta(seconds=0.1)  # there is no worker, so no progress is told however long one waits


@dataclass
class FolderOfCode:
    """The bundle store of these tests: S3 has its own test."""

    kept: dict[str, bytes] = field(default_factory=dict)

    async def put(self, sha256: str, content: bytes) -> str:
        self.kept[sha256] = content
        return f"s3://bundles/code/{sha256}.tar.gz"

    async def put_sample(self, sha256: str, content: bytes) -> str:
        self.kept[sha256] = content
        return f"s3://bundles/samples/{sha256}.ndjson"


@dataclass
class Admin:
    """A client with a token, and what stands behind it."""

    client: httpx.AsyncClient
    service: Service
    settings: AdminSettings

    async def get(self, path: str, **kw: Any) -> httpx.Response:
        return await self.client.get(path, **kw)

    async def post(self, path: str, body: Any = None, **kw: Any) -> httpx.Response:
        return await self.client.post(path, json=body, **kw)

    async def put(self, path: str, body: Any = None, **kw: Any) -> httpx.Response:
        return await self.client.put(path, json=body, **kw)

    async def as_role(self, role: str) -> httpx.AsyncClient:
        """A client whose token has that role."""
        made = await self.post("/v1/tokens", {"name": f"a-{role}", "role": role})
        assert made.status_code == 201, made.text
        return client_of(self.service, made.json()["token"])


def client_of(service: Service, token: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(service.app, raise_app_exceptions=False)
    return httpx.AsyncClient(
        transport=transport, base_url="http://admin", headers={"authorization": f"Bearer {token}"}, timeout=20
    )


@pytest.fixture
async def admin(database: Callable[[str], SchemaAccess], temporal: TemporalServer) -> AsyncIterator[Admin]:
    access = database("admin_api")
    settings = AdminSettings(
        database_url=SecretStr(access.url),
        database_schema=access.schema,
        temporal_address=temporal.address,
        temporal_namespace=temporal.namespace,
        listen="127.0.0.1:0",
    )
    pool = Database(settings.database_url, settings.database_schema, "admin_api")
    channels = ServiceChannels(settings)
    adapters = Adapters(
        store=PostgresStore(pool),
        workflows=TemporalWorkflows(
            await connect(settings.temporal_address, settings.temporal_namespace), query_timeout=NOBODY_WORKS
        ),
        peers=channels.peers,
        code=FolderOfCode(),
        credentials=SystemCredentials(),
        clock=SystemClock(),
        ids=SystemIds(),
    )
    service = build(settings, adapters)
    await service.api.access.bootstrap(TOKEN)
    async with client_of(service, TOKEN) as client:
        yield Admin(client, service, settings)
    await pool.close()
    await asyncio.sleep(0)


def environment(**changes: Any) -> dict[str, Any]:
    return {"kind": "environment", "name": "env", "requirements": "headrace-runtime"} | changes


def group(name: str = "delays", kind: str = "transform", **changes: Any) -> dict[str, Any]:
    scaling = {"type": "autoscaling", "min_nodes": 1, "max_nodes": 4, "targets": [{"type": "cpu", "percent": 60}]}
    return {"kind": kind, "name": name, "environment": "env", "scaling": scaling} | changes


def pipeline(**changes: Any) -> dict[str, Any]:
    stages = [
        {"name": "ingest", "group": "in", "work": {"type": "ingest"}},
        {"name": "transform", "group": "delays", "work": {"type": "transform"}},
    ]
    edges = [{"source": "ingest", "target": "transform"}]
    return {"kind": "pipeline", "name": "departures", "stages": stages, "edges": edges} | changes


def flights() -> list[dict[str, Any]]:
    return [environment(), group("in", "ingest", environment=None), group(), pipeline()]
