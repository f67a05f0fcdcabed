"""Load on the one node of a copy: how it is reached, what is ordered, what was seen; and the sample that is sent.

Rates are messages per second, times seconds, shares between 0 and 1.
"""

import json
from dataclasses import dataclass
from typing import Literal

from shared.domain.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class LoadStep:
    """What was seen at one rate."""

    wanted: float
    offered: float
    answered: float
    latency_s: float
    errors: float
    held: bool


@dataclass(frozen=True, slots=True)
class LoadFound:
    """The rate that holds, with its interval."""

    rate: float
    low: float
    high: float
    note: str


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls of users' code over mutual TLS, `batch` events each; `address` is `host:port`."""

    address: str
    function: str
    batch: int


@dataclass(frozen=True, slots=True)
class Posts:
    """HTTP requests of `batch` events or entities."""

    address: str
    body: Literal["events", "entities"]
    batch: int


@dataclass(frozen=True, slots=True)
class TopicFeed:
    """Events on a topic that only the copy reads: done is what `consumer_group` has committed.

    `dead` is the topic of those that failed; `sink` (`host:port`, or empty) is listened on, and what comes there is
    acknowledged and thrown away.
    """

    topic: str
    dead: str
    consumer_group: str
    sink: str = ""


@dataclass(frozen=True, slots=True)
class LoadOrder:
    """What to drive on the node, after `steps`."""

    way: Calls | Posts | TopicFeed
    step_s: float
    first: float
    latency_s: float
    errors_max: float
    events: tuple[bytes, ...]
    steps: tuple[LoadStep, ...] = ()


def sample_events(content: bytes, name: str, events_max: int) -> tuple[bytes, ...]:
    r"""The lines of an NDJSON sample; InvalidInput names the first line that is not JSON.

    >>> sample_events(b'{"a": 1}\n\n{"a": 2}\n', "s", 10)
    (b'{"a": 1}', b'{"a": 2}')
    """
    events = []
    for number, line in enumerate(content.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            json.loads(line)
        except ValueError as e:
            raise InvalidInput(
                f"sample {name}, line {number}: {line[:80]!r} is not JSON: {e}",
                field="sample",
                remedy="write one event a line, as JSON",
            ) from e
        events.append(line.strip())
        if len(events) > events_max:
            raise InvalidInput(
                f"sample {name}: more than {events_max} events", field="sample", remedy="some hundreds are enough"
            )
    if not events:
        raise InvalidInput(f"sample {name}: it holds no event", field="sample", remedy="write one event a line")
    return tuple(events)
