"""`POST /v1/events` of a group that serves by itself: a batch goes through users' code, to the topic, to the store.

Each event gets `{"id", "status", "error"?}`: `accepted` (every output is on the topic on all replicas, and in the store),
`dropped` (users' code gave nothing), `deferred` (send it again: no answer of the group, the broker or the store, or an
error of users' code that may pass), `failed` (users' code will not have it), `invalid`. The topic is written before the
store, so nothing is in the store that is not on the topic; an event that is sent again may be on the topic twice.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from dataplane.serving.answers import itemised, refusal
from dataplane.serving.online_store import FeatureStore, entity_of
from dataplane.serving.slots import Full, Slots
from dataplane.serving.topic_writer import TopicWriter
from dataplane.serving.transforms import Refused, Transforms
from dataplane.stages.accepting import BodyError, FieldError, Judged, judge, parse_body
from dataplane.stages.events import Event, Output, fanned_out
from dataplane.stages.ingest import Answer
from dataplane.stages.measures import Measures
from shared.contracts.objects import HttpIngest
from shared.contracts.serving import PushIngest
from shared.domain.errors import Unavailable

PATH = "/v1/events"
STATUSES = ("accepted", "dropped", "deferred", "failed", "invalid")
ALL_PERCENT = 100
NO_ENTITY = "NoEntity"


@dataclass(frozen=True, slots=True)
class Parts:
    """What a server hands events to; None: it does not."""

    transforms: Transforms | None
    topic: TopicWriter | None
    store: FeatureStore | None


class IngestServer:
    """Of one node; `answer` may be called by many threads."""

    def __init__(self, spec: PushIngest, parts: Parts, measures: Measures) -> None:
        """The parts are closed with this."""
        self._spec = spec
        self._fields = HttpIngest(
            id_field=spec.id_field, time_field=spec.time_field, key_field=spec.key_field, batch_max=spec.batch_max
        )
        self._parts = parts
        self._measures = measures
        self._slots = Slots(measures)

    def answer(self, body: bytes, content_type: str) -> Answer:
        """A request."""
        try:
            events = parse_body(body, content_type)
        except BodyError as e:
            return refusal(400, "body", str(e), "see the message")
        if len(events) > self._spec.batch_max:
            return refusal(413, "events", f"{len(events)} in one request", f"send at most {self._spec.batch_max}")
        try:
            with self._slots.taken(len(events)):
                return self._take(judge(events, self._fields, ALL_PERCENT))
        except Full as e:
            return refusal(429, "events", str(e), "come back later, or to another node")

    def stop(self) -> None:
        """Wait for what is on its way and let go of connections; new requests must have been turned away before."""
        parts = self._parts
        if parts.topic:
            parts.topic.stop()
        if parts.store:
            parts.store.close()
        if parts.transforms:
            parts.transforms.close()

    def _take(self, judged: Sequence[Judged]) -> Answer:
        items = [_Item(j.output) for j in judged if j.output is not None]
        self._measures.took([i.event.time for i in items], time.time())
        self._transform(items)
        if self._parts.store:
            self._make_rows(items)
        if self._parts.topic:
            _to_topic(self._parts.topic, items)
        if self._parts.store:
            self._to_store(self._parts.store, items)
        in_turn = iter(items)
        results = [_invalid(j) if j.output is None else self._result(next(in_turn)) for j in judged]
        self._measures.handed_on([i.event.time for i in items if i.refused is None and i.outputs], time.time())
        return itemised(results, STATUSES)

    def _transform(self, items: Sequence["_Item"]) -> None:
        if self._parts.transforms is None:
            for item in items:
                item.outputs = (item.event,)
            return
        for item, found in zip(items, self._parts.transforms.run([i.event.value for i in items]), strict=True):
            if isinstance(found, Refused):
                item.refused = found
            else:
                e = item.event
                item.outputs = fanned_out(Event(e.id, e.time, e.key, e.value, e.root, 0, 0), found).outputs

    def _make_rows(self, items: Sequence["_Item"]) -> None:
        """Before anything is written: an output that belongs to no entity fails its event."""
        named = self._spec.entity_field
        for item in _living(items):
            for output in item.outputs:
                features = orjson.loads(output.value)
                entity = entity_of(features.get(named))
                if entity is None:
                    item.refused = Refused(False, NO_ENTITY, f"{named}: {features.get(named)!r} names no entity"[:200])
                    break
                item.rows.append((entity, output.time, features))

    def _to_store(self, store: FeatureStore, items: Sequence["_Item"]) -> None:
        living = _living(items)
        try:
            store.write([row for item in living for row in item.rows], self._spec.keep_s)
        except Unavailable as e:
            for item in living:
                item.refused = Refused(True, "StoreUnavailable", str(e))

    def _result(self, item: "_Item") -> dict[str, Any]:
        refused = item.refused
        if refused is None:
            if not item.outputs:
                self._measures.dropped("filter", 1)
            return {"id": item.event.id, "status": "accepted" if item.outputs else "dropped"}
        if not refused.recoverable:
            self._measures.failed(refused.reason, recoverable=False)
        error = {"reason": refused.reason, "message": refused.message, "recoverable": refused.recoverable}
        return {"id": item.event.id, "status": "deferred" if refused.recoverable else "failed", "error": error}


@dataclass(slots=True)
class _Item:
    """A valid event on its way: what was made of it, and why it goes no further."""

    event: Output
    outputs: tuple[Output, ...] = ()
    rows: list[tuple[str, float, dict[str, Any]]] = field(default_factory=list)
    refused: Refused | None = None


def _living(items: Sequence[_Item]) -> list[_Item]:
    return [i for i in items if i.refused is None]


def _to_topic(topic: TopicWriter, items: Sequence[_Item]) -> None:
    pairs = [(item, output) for item in _living(items) for output in item.outputs]
    for place in topic.write([output for _, output in pairs]):
        pairs[place][0].refused = Refused(True, "NotAcknowledged", "the broker did not acknowledge it in time")


def _invalid(judged: Judged) -> dict[str, Any]:
    error = judged.error or FieldError("event", "", "send one JSON object")
    told = {"field": error.field, "value": error.value, "remedy": error.remedy, "recoverable": False}
    return {"id": judged.id, "status": "invalid", "error": told}
