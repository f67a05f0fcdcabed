"""`POST /v1/features`: for each entity its features, joined with what the request brings, passed through users' code.

    {"entities": ["N14228", {"id": "N14229", "with": {"hour": 7}}]}

answers, in the same order, `{"id", "status", "features"?, "error"?}` for each: `ok`; `missing` (the store has nothing of
it, nothing is declared in its place); `dropped` (users' code gave nothing); `failed` (an error of users' code, or no
answer); `invalid`. A store that does not answer fails the request as a whole: 503 with Retry-After.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from dataplane.serving.answers import item_error, itemised, refusal
from dataplane.serving.online_store import ENTITY_LENGTH_MAX, FeatureStore, entity_of
from dataplane.serving.slots import Full, Slots
from dataplane.serving.transforms import Refused, Transformed, Transforms
from dataplane.stages.ingest import Answer
from dataplane.stages.measures import Measures
from shared.contracts.serving import FeatureServing
from shared.domain.errors import Unavailable

PATH = "/v1/features"
STATUSES = ("ok", "missing", "dropped", "failed", "invalid")
ENTITY_FIELD = "id"
FORM = '{"entities": [ID or {"id": ID, "with": {...}}, ...]}'


@dataclass(frozen=True, slots=True)
class Asked:
    """One entity of a request."""

    entity: str
    given: dict[str, Any]


class FeatureServer:
    """Of one node; `answer` may be called by many threads."""

    def __init__(
        self, spec: FeatureServing, store: FeatureStore, transforms: Transforms | None, measures: Measures
    ) -> None:
        """Store and transforms are closed with this."""
        self._spec = spec
        self._store = store
        self._transforms = transforms
        self._measures = measures
        self._slots = Slots(measures)

    def answer(self, body: bytes, content_type: str) -> Answer:  # noqa: ARG002  JSON, whatever it is called
        """A request."""
        try:
            asked = _asked(body)
        except ValueError as e:
            return refusal(400, "body", str(e), f"send {FORM}")
        if len(asked) > self._spec.batch_max:
            return refusal(413, "entities", f"{len(asked)} in one request", f"send at most {self._spec.batch_max}")
        try:
            with self._slots.taken(len(asked)):
                return self._serve(asked)
        except Full as e:
            return refusal(429, "entities", str(e), "come back later, or to another node")
        except Unavailable as e:
            return refusal(503, "store", str(e), "come back later")

    def stop(self) -> None:
        """Let go of connections; new requests must have been turned away before."""
        self._store.close()
        if self._transforms:
            self._transforms.close()

    def _serve(self, asked: Sequence[Asked | dict[str, Any]]) -> Answer:
        began = time.time()
        wanted = [a for a in asked if isinstance(a, Asked)]
        self._measures.took([began] * len(wanted), began)
        joined = [self._joined(a, s) for a, s in zip(wanted, self._store.read([a.entity for a in wanted]), strict=True)]
        found = iter(self._transformed([orjson.dumps(j) for j in joined if j is not None]))
        rows = iter([self._result(a, None if j is None else next(found)) for a, j in zip(wanted, joined, strict=True)])
        results = [next(rows) if isinstance(a, Asked) else a for a in asked]
        served = sum(r["status"] in {"ok", "missing"} for r in results)
        self._measures.handed_on([began] * served, time.time())
        self._measures.dropped("filter", sum(r["status"] == "dropped" for r in results))
        return itemised(results, STATUSES)

    def _joined(self, asked: Asked, stored: Any) -> dict[str, Any] | None:
        """What the request brings stands above what is stored, and that above the defaults."""
        if stored is None and not self._spec.defaults:
            return None
        return {**self._spec.defaults, **(stored or {}), **asked.given, ENTITY_FIELD: asked.entity}

    def _transformed(self, events: Sequence[bytes]) -> list[Transformed]:
        return self._transforms.run(events) if self._transforms else [(e,) for e in events]

    def _result(self, asked: Asked, transformed: Transformed | None) -> dict[str, Any]:
        match transformed:
            case None:
                return {"id": asked.entity, "status": "missing"}
            case Refused(recoverable, reason, message):
                self._measures.failed(reason, recoverable=recoverable)
                error = {"reason": reason, "message": message, "recoverable": recoverable}
                return {"id": asked.entity, "status": "failed", "error": error}
            case ():
                return {"id": asked.entity, "status": "dropped"}
            case (only,):
                return {"id": asked.entity, "status": "ok", "features": orjson.loads(only)}
            case several:
                return {"id": asked.entity, "status": "ok", "features": [orjson.loads(o) for o in several]}


def _asked(body: bytes) -> list[Asked | dict[str, Any]]:
    """What is asked, with a result in the place of what is not valid; ValueError when nothing can be read."""
    request = orjson.loads(body)
    entities = request.get("entities") if isinstance(request, dict) else None
    if not isinstance(entities, list):
        raise ValueError("there is no list of entities")  # noqa: TRY004  told to whoever sent it
    return [_one(e) for e in entities]


def _one(given: Any) -> Asked | dict[str, Any]:
    fields = given if isinstance(given, dict) else {"id": given}
    entity, more = entity_of(fields.get("id")), fields.get("with", {})
    if entity is None:
        remedy = f"name the entity by a text of 1-{ENTITY_LENGTH_MAX} characters, or a whole number"
        return {"id": "", "status": "invalid", "error": item_error("id", fields.get("id"), remedy)}
    if not isinstance(more, dict):
        return {"id": entity, "status": "invalid", "error": item_error("with", more, "give a JSON object")}
    return Asked(entity, more)
