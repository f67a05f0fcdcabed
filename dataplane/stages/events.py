"""Events as stages hold them, and what can become of one."""

from typing import NamedTuple, Protocol

HEADER_ID = "id"
HEADER_TIME = "t"  # event time, seconds since the epoch, as text
HEADER_ROOT = "root"  # of an event that was made from another: the id that entered the pipeline


class Event(NamedTuple):
    """One event as it came: `value` is its JSON; `root` the id that entered the pipeline (for audits)."""

    id: str
    time: float  # event time, seconds since the epoch
    key: bytes | None
    value: bytes
    root: str
    partition: int
    offset: int


class Output(NamedTuple):
    """One event for the next link."""

    id: str
    time: float
    key: bytes | None
    value: bytes
    root: str


class Done(NamedTuple):
    """The event was worked on; no outputs: dropped by declared design."""

    outputs: tuple[Output, ...]


class Failed(NamedTuple):
    """The event failed; `reason` is short, for metrics, `message` is for people."""

    recoverable: bool
    reason: str
    message: str


Outcome = Done | Failed


class Work(Protocol):
    """What a stage does with a batch: an outcome for each event, in order. An exception is a defect of ours."""

    batch_max: int

    def run(self, events: list[Event]) -> list[Outcome]:
        """Blocks until every event has an outcome."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


def same(event: Event, value: bytes) -> Done:
    """The event goes on as itself, with this value."""
    return Done((Output(event.id, event.time, event.key, value, event.root),))


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
