"""The event stream over a real connection: at once, resumable, with a reset when the past is gone."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from localcloud import ports
from services.admin_api.__main__ import Rest
from tests.admin_api.conftest import TOKEN, Admin, environment

WAIT_S_MAX = 60.0


@pytest.fixture
async def url(admin: Admin) -> AsyncIterator[str]:
    address = f"127.0.0.1:{ports.choose()}"
    rest = Rest(admin.service.app, admin.service.app.state.changes, address)
    await rest.start()
    yield f"http://{address}"
    await rest.stop()


async def read(
    url: str, until: int, opened: asyncio.Event | None = None, **query: Any
) -> list[tuple[str, dict[str, Any]]]:
    """The first `until` events; `opened` is set at the first of them."""
    found: list[tuple[str, dict[str, Any]]] = []
    headers = {"authorization": f"Bearer {TOKEN}"}
    async with (
        asyncio.timeout(WAIT_S_MAX),
        httpx.AsyncClient() as client,
        client.stream("GET", f"{url}/v1/events", params=query, headers=headers, timeout=WAIT_S_MAX) as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        name = ""
        async for line in answer.aiter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                found.append((name, json.loads(line.removeprefix("data: "))))
                if opened:
                    opened.set()
                if len(found) == until:
                    break
    return found


async def test_changes_arrive_and_a_stream_resumes_without_a_gap(admin: Admin, url: str) -> None:
    opened = asyncio.Event()
    reading = asyncio.create_task(read(url, 2, opened, kinds="environment"))
    await asyncio.wait({reading, asyncio.ensure_future(opened.wait())}, return_when=asyncio.FIRST_COMPLETED)
    assert (await admin.post("/v1/environments", environment())).status_code == 202
    first = await reading
    assert first[0][0] == "hello"
    assert first[1][0] == "change"
    change = first[1][1]
    assert (change["kind"], change["name"], change["generation"]) == ("environment", "env", 1)
    assert change["object"]["requirements"] == "headrace-runtime"
    assert (await admin.put("/v1/environments/env", environment(generation=1, owner="x"))).status_code == 202
    resumed = await read(url, 2, after=change["seq"], kinds="environment")
    assert resumed[1][1]["generation"] == 2
    ahead = await read(url, 1, after=10_000_000)
    assert ahead[0][0] == "reset"


async def test_a_stream_needs_a_token(url: str) -> None:
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"{url}/v1/events")).status_code == 401
