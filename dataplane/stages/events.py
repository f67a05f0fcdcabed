"""Events as stages hold them, and what can become of one."""

from typing import Any, NamedTuple, Protocol

import orjson

HEADER_ID = "id"
HEADER_TIME = "t"  # event time, seconds since the epoch, as text
HEADER_ROOT = "root"  # of an event that was made from another: the id that entered the pipeline
HEADER_TRIES = "tries"  # of an event that comes from the global retrier: how often it has been there
FILTERED = "filtered"


class Event(NamedTuple):
    """One event as it came: `value` is its JSON; `root` the id that entered the pipeline (for audits).

    `tries`: how often it has been on the global retrier.
    """

    id: str
    time: float  # event time, seconds since the epoch
    key: bytes | None
    value: bytes
    root: str
    partition: int
    offset: int
    tries: int = 0


class Output(NamedTuple):
    """One event for the next link; `topics` names those of the next links that get it, None: all."""

    id: str
    time: float
    key: bytes | None
    value: bytes
    root: str
    topics: tuple[str, ...] | None = None


class Done(NamedTuple):
    """The event was worked on; no outputs: dropped by declared design, for `dropped`."""

    outputs: tuple[Output, ...]
    dropped: str = FILTERED


class Failed(NamedTuple):
    """The event failed; `reason` is short, for metrics, `message` is for people."""

    recoverable: bool
    reason: str
    message: str


Outcome = Done | Failed


class Work(Protocol):
    """What a stage does with a batch: an outcome for each event, in order. An exception is a defect of ours."""

    @property
    def batch_max(self) -> int:
        """Events of the next batch, at most."""
        ...

    def run(self, events: list[Event]) -> list[Outcome]:
        """Blocks until every event has an outcome."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


def same(event: Event, value: bytes) -> Done:
    """The event goes on as itself, with this value."""
    return Done((Output(event.id, event.time, event.key, value, event.root),))


def fields_of(event: Event) -> dict[str, Any] | Failed:
    """The event's JSON object; Failed for good when it is none.

    >>> fields_of(Event("a", 1.0, None, b"[1]", "a", 0, 0)).reason
    'NotAnObject'
    """
    try:
        fields = orjson.loads(event.value)
    except orjson.JSONDecodeError as e:
        return Failed(False, "Undecodable", f"not JSON: {e}")
    if not isinstance(fields, dict):
        return Failed(False, "NotAnObject", f"an event is a JSON object, this is {type(fields).__name__}")
    return fields


def fanned_out(event: Event, values: tuple[bytes, ...]) -> Done:
    """What was made of one event: one output keeps its id; several are numbered, and remember the root.

    >>> e = Event("a", 1.0, None, b"{}", "a", 0, 0)
    >>> [(o.id, o.root) for o in fanned_out(e, (b"1", b"2")).outputs]
    [('a/0', 'a'), ('a/1', 'a')]
    """
    if len(values) == 1:
        return same(event, values[0])
    return Done(
        tuple(Output(f"{event.id}/{n}", event.time, event.key, value, event.root) for n, value in enumerate(values))
    )
