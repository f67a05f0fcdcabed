"""HTTP over the simulated network: an ASGI app called as it is, by one request and one answer.

A server finishes what it was asked also when the caller has gone, as uvicorn does.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.domain.errors import Unavailable
from tests.sim.kernel.network import Network
from tests.sim.kernel.processes import Process


@dataclass(frozen=True, slots=True)
class Reply:
    """`status` and the body as JSON."""

    status: int
    body: Any


@dataclass
class Web:
    """Who serves which app; a process that is down, or has not started one, refuses."""

    network: Network
    processes: Mapping[str, Process]
    apps: dict[str, Any] = field(default_factory=dict)

    async def call(
        self, caller: str, target: str, method: str, path: str, body: Any, headers: Mapping[str, str], timeout_s: float
    ) -> Reply:
        """Unavailable when nobody answers in time, or the connection is refused."""
        answer: asyncio.Future[Reply | None] = asyncio.get_running_loop().create_future()

        def reply(given: Reply | None) -> None:
            def heard() -> None:
                if not answer.done():
                    answer.set_result(given)

            self.network.send(target, caller, heard)

        def arrive() -> None:
            process, app = self.processes[target], self.apps.get(target)
            if not process.up or app is None:
                reply(None)
                return

            async def serve() -> None:
                reply(await _asked(app, method, path, body, headers))

            process.spawn(serve())

        self.network.send(caller, target, arrive)
        try:
            async with asyncio.timeout(timeout_s):
                got = await answer
        except TimeoutError:
            raise Unavailable(f"{method} {path}: no answer in {timeout_s:.0f} s") from None
        if got is None:
            raise Unavailable(f"{method} {path}: connection refused")
        return got


async def _asked(app: Any, method: str, path: str, body: Any, headers: Mapping[str, str]) -> Reply:
    content = b"" if body is None else json.dumps(body).encode()
    raw = {"content-type": "application/json", "content-length": str(len(content)), **headers}
    whole, _, query = path.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "https",
        "path": whole,
        "raw_path": whole.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(k.lower().encode(), v.encode()) for k, v in raw.items()],
        "client": ("10.0.0.1", 1234),
        "server": ("admin", 443),
    }
    said: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        said.append(message)

    await app(scope, receive, send)
    text = b"".join(m.get("body", b"") for m in said if m["type"] == "http.response.body")
    return Reply(int(said[0]["status"]), json.loads(text) if text else None)
