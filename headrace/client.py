"""The admin API's client: one method per thing to ask, errors as sentences with remedies.

>>> AdminClient("http://127.0.0.1:8080", "hr_...")  # doctest: +ELLIPSIS
<AdminClient http://127.0.0.1:8080>
"""

import json
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self
from urllib.parse import quote

import httpx

from headrace.errors import (
    ApiNotFound,
    ApiRefused,
    HeadraceCommandError,
    Unreachable,
    WrongUse,
)
from headrace.packing import Packed

CONNECT_S, ANSWER_S, UPLOAD_S = 3.0, 30.0, 120.0
ATTEMPTS_MAX, AGAIN_S = 3, 0.5
UNAVAILABLE = 503
STREAM_SILENCE_S = 25.0  # the server speaks every 10 s
KINDS = {"environment": "environments", "server-group": "server-groups", "pipeline": "pipelines"}
Json = dict[str, Any]


class AdminClient:
    """Synchronous; keeps one connection pool."""

    def __init__(self, url: str, token: str, via: str = "api", transport: httpx.BaseTransport | None = None) -> None:
        """`url` has no trailing slash; `via` is kept in the audit log."""
        self.url = url
        self._http = httpx.Client(
            base_url=url,
            headers={"authorization": f"Bearer {token}", "x-headrace-via": via},
            timeout=httpx.Timeout(ANSWER_S, connect=CONNECT_S),
            transport=transport,
        )

    def __repr__(self) -> str:
        return f"<AdminClient {self.url}>"

    def __enter__(self) -> Self:
        """Use as a context manager, or call `close`."""
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close connections."""
        self._http.close()

    # ---------------------------------------------------------------------------------------------------------- verbs

    def get(self, path: str, **query: Any) -> Json:
        """A read."""
        return self._call("GET", path, params={k: v for k, v in query.items() if v not in (None, "")})

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Json:
        """A write under a key of its own."""
        return self._call("POST", path, json=dict(body or {}), headers=_key())

    def put(self, path: str, body: Mapping[str, Any]) -> Json:
        """A write under a key of its own."""
        return self._call("PUT", path, json=dict(body), headers=_key())

    def delete(self, path: str, **query: Any) -> Json:
        """A write under a key of its own."""
        return self._call("DELETE", path, params={k: v for k, v in query.items() if v}, headers=_key())

    # --------------------------------------------------------------------------------------------------------- things

    def objects(self, kind: str) -> list[Json]:
        """All objects of a kind (environment, server-group, pipeline)."""
        found: list[Json] = []
        token = ""
        while True:
            page = self.get(f"/v1/{KINDS[kind]}", page_token=token)
            found.extend(page["items"])
            token = page.get("next_page_token", "")
            if not token:
                return found

    def object(self, kind: str, name: str) -> Json:
        """One object with status and actions."""
        return self.get(f"/v1/{KINDS[kind]}/{quote(name, safe='')}")

    def plan(self, objects: Sequence[Mapping[str, Any]], *, source: str = "", prune: bool = False) -> Json:
        """A plan for these objects."""
        return self.post("/v1/plans", {"objects": [dict(o) for o in objects], "source": source, "prune": prune})

    def apply(self, plan_id: str, digest: str = "") -> Json:
        """The operation that carries a plan out."""
        return self.post(f"/v1/plans/{quote(plan_id, safe='')}:apply", {"digest": digest})

    def operation(self, operation_id: str) -> Json:
        """Where something long stands."""
        return self.get(f"/v1/operations/{quote(operation_id, safe='')}")

    def dead_letters(
        self, pipeline: str, stage: str, limit: int = 100, reason: str = "", *, include_redriven: bool = False
    ) -> Json:
        """Dead letters of a stage, newest first, without values: `items`, `waiting`, `complete`."""
        path = f"/v1/dead-letters/{quote(pipeline, safe='')}/{quote(stage, safe='')}"
        return self.get(path, page_size=limit, reason=reason, include_redriven=include_redriven)

    def redrive(self, pipeline: str, stage: str, *, reason: str = "", rate: float = 100.0) -> Json:
        """The operation that sends a stage's dead letters to it again, `rate` a second at most; each goes once."""
        path = f"/v1/dead-letters/{quote(pipeline, safe='')}/{quote(stage, safe='')}:redrive"
        return self.post(path, {"reason": reason, "rate": rate})

    def rate(
        self,
        group: str,
        *,
        sample: str | None = None,
        loading: Mapping[str, Any] | None = None,
        wait_s_max: float = 0.0,
        reason: str = "",
    ) -> Json:
        """The operation that finds what one node of a group sustains; `sample` is NDJSON, None: the code's own.

        `loading` may hold `step_s` (seconds), `first` (messages/s), `function` and `batch` (messages of a call).
        """
        body = {"sample": sample, "loading": dict(loading or {}), "wait_s_max": wait_s_max, "reason": reason}
        return self.post(f"/v1/server-groups/{quote(group, safe='')}:rate", body)

    def ratings(self, group: str, limit: int = 20) -> list[Json]:
        """What one node of a group was found to sustain, newest first; each with its steps and its `change`."""
        found: list[Json] = self.get(f"/v1/server-groups/{quote(group, safe='')}/ratings", page_size=limit)["items"]
        return found

    def upload(self, packed: Packed) -> str:
        """Publish code, unless it was; gives its sha256."""
        try:
            self.get(f"/v1/code/{packed.sha256}")
        except ApiNotFound:
            self._call(
                "POST",
                "/v1/code",
                content=packed.content,
                headers={"content-type": "application/gzip", "x-content-sha256": packed.sha256},
                timeout=UPLOAD_S,
            )
        return packed.sha256

    def events(self, after: int | None = None, kinds: str = "") -> Iterator[tuple[str, int, Json]]:
        """Event name, id and body, until the server ends the stream; Unreachable when it falls silent."""
        query = {k: v for k, v in {"after": after, "kinds": kinds}.items() if v not in (None, "")}
        timeout = httpx.Timeout(STREAM_SILENCE_S, connect=CONNECT_S)
        try:
            with self._http.stream("GET", "/v1/events", params=query, timeout=timeout) as answer:
                if answer.status_code >= 400:  # noqa: PLR2004
                    answer.read()
                    raise _error(answer)
                yield from _read_events(answer.iter_lines())
        except httpx.TransportError as e:
            raise _unreachable(self.url, e) from e

    def _call(self, method: str, path: str, **given: Any) -> Json:
        """Asks again a few times when a dependency was briefly away: every write carries a key, so it is done once."""
        for attempt in range(ATTEMPTS_MAX):
            try:
                answer = self._http.request(method, path, **given)
            except httpx.TransportError as e:
                raise _unreachable(self.url, e) from e
            if answer.status_code != UNAVAILABLE or attempt == ATTEMPTS_MAX - 1:
                break
            time.sleep(AGAIN_S * (attempt + 1))
        else:
            raise AssertionError  # the last attempt breaks
        if answer.status_code >= 400:  # noqa: PLR2004
            raise _error(answer)
        found: Json = answer.json() if answer.content else {}
        return found


def _key() -> dict[str, str]:
    return {"idempotency-key": uuid.uuid4().hex}


def _read_events(lines: Iterator[str]) -> Iterator[tuple[str, int, Json]]:
    name, number, data = "message", 0, ""
    for line in lines:
        field, _, value = line.partition(": ")
        match field:
            case "id":
                number = int(value)
            case "event":
                name = value
            case "data":
                data += value
            case "" if not line and data:
                yield name, number, json.loads(data)
                name, data = "message", ""
            case _:
                continue


def _unreachable(url: str, failure: httpx.TransportError) -> Unreachable:
    why = "did not answer in time" if isinstance(failure, httpx.TimeoutException) else "cannot be reached"
    return Unreachable(
        f"the admin API at {url} {why}", remedy="is it running? `headrace status` or `headrace up`; else check --url"
    )


def _error(answer: httpx.Response) -> HeadraceCommandError:
    try:
        body = answer.json()
    except ValueError:
        body = {}
    if not isinstance(body, dict) or "detail" not in body:
        return HeadraceCommandError(f"the admin API answered {answer.status_code} {answer.reason_phrase}")
    code = str(body.get("code", ""))
    kinds: dict[str, type[HeadraceCommandError]] = {
        "InvalidInput": WrongUse,
        "Unauthenticated": WrongUse,
        "NotFound": ApiNotFound,
        "Refused": ApiRefused,
        "Conflict": ApiRefused,
        "AlreadyExists": ApiRefused,
        "StaleLease": ApiRefused,
        "Denied": ApiRefused,
        "Throttled": ApiRefused,
        "Unavailable": Unreachable,
    }
    return kinds.get(code, HeadraceCommandError)(
        str(body["detail"]),
        remedy=str(body.get("remedy", "")),
        field=str(body.get("field", "")),
        code=code,
        reasons=body.get("reasons", ()),
        retry_after_s=body.get("retry_after_s"),
    )
