"""People and their scripts: they ask the admin API, ask again when nobody answers, and show the same key each time."""

import asyncio
from collections.abc import Mapping
from typing import Any

from shared.domain.errors import Unavailable
from tests.sim.kernel.http import Reply, Web
from tests.sim.kernel.record import Record

ANSWER_S = 20.0
AGAIN_S = 3.0
TRIES = 40
CREATED, AGAIN = 200, frozenset({409, 429, 500, 502, 503, 504})


class Person:
    """Somebody at a terminal, in a process of its own."""

    def __init__(self, web: Web, record: Record, token: str, admin: str) -> None:
        self._web, self._record, self._token, self._admin = web, record, token, admin
        self._asked = 0

    async def ask(self, method: str, path: str, body: Any = None, *, tries: int = TRIES) -> Reply | None:
        """The answer; None when there was none after all tries. A write is the same write each time."""
        self._asked += 1
        number = self._asked
        headers = {
            "authorization": f"Bearer {self._token}", "x-request-id": f"req-{number}", "x-headrace-via": "cli",
        }  # fmt: skip
        if method != "GET":
            headers["idempotency-key"] = f"key-{number}"
        for _ in range(tries):
            reply = await self._once(method, path, body, headers)
            if reply is not None:
                return reply
            await asyncio.sleep(AGAIN_S)
        self._record.say("people", f"{method} {path}: gave up")
        return None

    async def _once(self, method: str, path: str, body: Any, headers: Mapping[str, str]) -> Reply | None:
        try:
            reply = await self._web.call("people", self._admin, method, path, body, headers, ANSWER_S)
        except Unavailable as e:
            self._record.say("people", str(e))
            return None
        told = reply.body if isinstance(reply.body, dict) else {}
        code = str(told.get("code", ""))
        self._record.reach(f"admin {reply.status} {code}".rstrip())
        self._record.say("people", f"{method} {path}: {reply.status} {told.get('detail', '')}")
        return None if reply.status in AGAIN and code != "Refused" else reply
