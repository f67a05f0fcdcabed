"""The far end: takes scored departures over HTTP and remembers every id, so that loss is a set difference.

python examples/flights/traffic/receiver.py --port 19400

`POST /events` a JSON array; `GET /stats?since=EPOCH` numbers; `GET /ids` one id a line.
"""

import argparse
import time
from array import array
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web

BODY_BYTES_MAX = 16 * 1024 * 1024
P95 = 0.95


@dataclass(slots=True)
class Memory:
    """What has arrived; lags by the second of arrival."""

    received: int = 0
    ids: set[str] = field(default_factory=set)
    models: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    lags: dict[int, "array[float]"] = field(default_factory=lambda: defaultdict(lambda: array("d")))

    def take(self, events: list[dict[str, Any]], now: float) -> None:
        """Remember a batch."""
        self.received += len(events)
        lags = self.lags[int(now)]
        for event in events:
            self.ids.add(event["id"])
            self.models[str(event.get("model"))] += 1
            lags.append(now - float(event["event_time"]))

    def stats(self, since: float) -> dict[str, Any]:
        """Numbers over arrivals since an instant."""
        lags = sorted(lag for second, batch in self.lags.items() if second >= int(since) for lag in batch)
        return {
            "received": self.received,
            "distinct": len(self.ids),
            "duplicates": self.received - len(self.ids),
            "models": dict(self.models),
            "window": len(lags),
            "lag_p50_s": lags[len(lags) // 2] if lags else None,
            "lag_p95_s": lags[int(len(lags) * P95)] if lags else None,
            "lag_max_s": lags[-1] if lags else None,
        }


def application() -> web.Application:
    """The receiver as an aiohttp application."""
    memory = Memory()

    async def take(request: web.Request) -> web.Response:
        memory.take(orjson.loads(await request.read()), time.time())
        return web.Response(status=204)

    async def stats(request: web.Request) -> web.Response:
        since = float(request.query.get("since", "0"))
        return web.Response(body=orjson.dumps(memory.stats(since)), content_type="application/json")

    async def ids(_: web.Request) -> web.Response:
        return web.Response(text="\n".join(memory.ids))

    app = web.Application(client_max_size=BODY_BYTES_MAX)
    app.add_routes([web.post("/events", take), web.get("/stats", stats), web.get("/ids", ids)])
    return app


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Receive scored departures.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=19400)
    options = parser.parse_args()
    web.run_app(application(), host=options.host, port=options.port, print=None, access_log=None)
