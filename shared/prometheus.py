"""Prometheus: instant and range queries with a deadline; a partial answer is a failed one.

Our own thin client, because the packaged one drops warnings, has no deadline and reads an error as an empty answer.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

CONNECTIONS_MAX = 20


@dataclass(frozen=True, slots=True)
class Sample:
    """One series' value; `at` is seconds since the epoch."""

    labels: Mapping[str, str]
    value: float
    at: float


@dataclass(frozen=True, slots=True)
class Vector:
    """A whole answer; NaN samples are dropped: they are missing, not zero."""

    samples: tuple[Sample, ...]

    def by(self, label: str) -> dict[str, float]:
        """Values by one label; a later series of the same label value wins."""
        return {s.labels.get(label, ""): s.value for s in self.samples}


@dataclass(frozen=True, slots=True)
class QueryFailed:
    """No answer, or a partial one: UNKNOWN for whatever it covers."""

    query: str
    why: str


class PrometheusClient:
    """Pooled HTTP connections; POST, because queries get long."""

    def __init__(self, url: str, username: str = "", password: str = "") -> None:
        """`url` without a trailing slash."""
        auth = httpx.BasicAuth(username, password) if username else None
        self._http = httpx.AsyncClient(
            base_url=url, auth=auth, limits=httpx.Limits(max_connections=CONNECTIONS_MAX), trust_env=False
        )

    async def instant(self, query: str, at: float | None = None, deadline_s: float = 3.0) -> Vector | QueryFailed:
        """Evaluate at one instant (seconds since the epoch; None: the server's now)."""
        data = {"query": query, "timeout": f"{deadline_s:g}s"} | ({} if at is None else {"time": f"{at:.3f}"})
        answer = await self._post("/api/v1/query", query, data, deadline_s)
        if isinstance(answer, QueryFailed):
            return answer
        if answer.get("resultType") != "vector":
            return QueryFailed(query, f"result is a {answer.get('resultType')}, not a vector")
        return Vector(
            tuple(
                Sample(item["metric"], value, float(item["value"][0]))
                for item in answer["result"]
                if not math.isnan(value := float(item["value"][1]))
            )
        )

    async def range(
        self, query: str, start: float, end: float, step_s: float, deadline_s: float = 5.0
    ) -> dict[tuple[tuple[str, str], ...], list[tuple[float, float]]] | QueryFailed:
        """Points (time, value) per series, keyed by its sorted labels."""
        data = {"query": query, "start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step_s:g}"}
        answer = await self._post("/api/v1/query_range", query, data, deadline_s)
        if isinstance(answer, QueryFailed):
            return answer
        return {
            tuple(sorted(item["metric"].items())): [
                (float(t), float(v)) for t, v in item["values"] if not math.isnan(float(v))
            ]
            for item in answer["result"]
        }

    async def _post(
        self, path: str, query: str, data: dict[str, str], deadline_s: float
    ) -> dict[str, Any] | QueryFailed:
        try:
            response = await self._http.post(path, data=data, timeout=deadline_s)
            body = response.json()
        except (httpx.HTTPError, ValueError) as e:
            return QueryFailed(query, f"{type(e).__name__}: {e}"[:300])
        if not isinstance(body, dict) or response.status_code != httpx.codes.OK or body.get("status") != "success":
            text = body.get("error", "") if isinstance(body, dict) else ""
            return QueryFailed(query, f"HTTP {response.status_code} {text}"[:300])
        if body.get("warnings"):
            return QueryFailed(query, f"partial answer: {body['warnings']}"[:300])
        data_of_answer: dict[str, Any] = body["data"]
        return data_of_answer

    async def close(self) -> None:
        """Close the pool."""
        await self._http.aclose()
