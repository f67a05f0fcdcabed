"""The ingest edge's judgement of a request's events: valid or not, and admitted by the ramp or deferred.

The ramp admits buckets: a stable hash of the event's key (or id) modulo 1,000, below `percent * 10`. It is monotone: what
was admitted at 5 % is admitted at 25 %.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any, Literal

import orjson

from dataplane.stages.events import Output
from shared.contracts.node import RAMP_BUCKETS
from shared.contracts.objects import HttpIngest

ID_LENGTH_MAX = 200
EVENT_BYTES_MAX = 512 * 1024
DEFERRED_RETRY_S = 1.0
TIME_S_MAX = 1e11  # above it a number is not seconds
FULL_PERCENT = 100
Status = Literal["accepted", "deferred", "invalid"]


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with an event."""

    field: str
    value: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Judged:
    """One event of a request; `output` is set when it is to be accepted."""

    id: str
    status: Status
    output: Output | None = None
    error: FieldError | None = None


class BodyError(Exception):
    """The request as a whole cannot be read; the message says why and what to do."""


def parse_body(body: bytes, content_type: str) -> list[Any]:
    r"""A JSON array, or one JSON object a line (`application/x-ndjson`); BodyError when it is neither.

    >>> parse_body(b'{"id":"1"}\n{"id":"2"}', "application/x-ndjson")
    [{'id': '1'}, {'id': '2'}]
    """
    if content_type.split(";", maxsplit=1)[0].strip() in ("application/x-ndjson", "application/jsonl"):
        return [_line(n, line) for n, line in enumerate(body.splitlines(), 1) if line.strip()]
    try:
        events = orjson.loads(body)
    except orjson.JSONDecodeError as e:
        raise BodyError(f"the body is not JSON: {e}: send an array, or a line each as application/x-ndjson") from e
    if not isinstance(events, list):
        raise BodyError(f"the body is a JSON {type(events).__name__}: send an array of events")
    return events


class Unreadable(str):
    """A line that is not JSON; its event is invalid, the others are not."""

    __slots__ = ()


def _line(number: int, line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as e:
        return Unreadable(f"line {number}: {e}")


def judge(events: Sequence[Any], spec: HttpIngest, ramp_percent: int) -> list[Judged]:
    """Each event on its own, in order."""
    return [_judge(event, spec, ramp_percent) for event in events]


def _judge(event: Any, spec: HttpIngest, ramp_percent: int) -> Judged:
    if isinstance(event, Unreadable):
        return _invalid("", "event", str(event), "send one JSON object a line")
    if not isinstance(event, dict):
        return _invalid("", "event", type(event).__name__, "an event is a JSON object")
    event_id = event.get(spec.id_field)
    if isinstance(event_id, int) and not isinstance(event_id, bool):
        event_id = str(event_id)
    if not isinstance(event_id, str) or not 0 < len(event_id) <= ID_LENGTH_MAX:
        return _invalid("", spec.id_field, event_id, f"give a text of 1-{ID_LENGTH_MAX} characters, unique per event")
    time = event_time(event.get(spec.time_field))
    if time is None:
        given = event.get(spec.time_field)
        return _invalid(event_id, spec.time_field, given, "give seconds since the epoch, or RFC 3339 with a zone")
    key = event.get(spec.key_field) if spec.key_field else None
    if key is not None and not isinstance(key, str | int):
        return _invalid(event_id, str(spec.key_field), key, "a key is a text or a whole number")
    encoded_key = str(key).encode() if key is not None else None
    if ramp_percent < FULL_PERCENT and bucket(encoded_key or event_id.encode()) >= ramp_percent * 10:
        return Judged(event_id, "deferred")
    value = orjson.dumps(event)
    if len(value) > EVENT_BYTES_MAX:
        return _invalid(event_id, "event", f"{len(value)} bytes", f"an event has at most {EVENT_BYTES_MAX} bytes")
    return Judged(event_id, "accepted", Output(event_id, time, encoded_key, value, event_id))


def _invalid(event_id: str, field: str, value: object, remedy: str) -> Judged:
    return Judged(event_id, "invalid", error=FieldError(field, repr(value)[:80], remedy))


def bucket(key: bytes) -> int:
    """The ramp bucket of a key, 0-999; the same everywhere and for ever.

    >>> bucket(b"N14228")
    688
    """
    return int.from_bytes(blake2b(key, digest_size=8).digest(), "big") % RAMP_BUCKETS


def event_time(value: object) -> float | None:
    """Seconds since the epoch of a number or an RFC 3339 text; None when it is neither.

    >>> event_time("2013-01-01T10:00:00Z"), event_time(12.5), event_time("yesterday"), event_time(True)
    (1357034400.0, 12.5, None, None)
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        time = float(value)
        return time if math.isfinite(time) and 0 < time < TIME_S_MAX else None
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return None
        return moment.timestamp() if moment.tzinfo else None
    return None
