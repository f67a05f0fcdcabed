"""Load on the one node of a copy: how it is reached, what is ordered, what was seen; and the sample that is sent.

Rates are messages per second, times seconds, shares between 0 and 1.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Literal

from shared.domain.errors import InvalidInput

SATURATED = 0.8  # of their workers' time, over some seconds
TURNED_AWAY = 0.02  # of the calls: below it a second attempt hides it
NEAR = 1.6  # times the upper end of what was found: one step of the search above it
RATE_MAX = 10_000_000.0  # stands for no upper end
PERCENT = 100


@dataclass(frozen=True, slots=True)
class LoadStep:
    """What was seen at one rate."""

    wanted: float
    offered: float
    answered: float
    latency_s: float
    errors: float
    held: bool
    called_busy: float = 0.0  # of the nodes that the copy calls: share of their workers' time, at its highest
    called_refusals: float = 0.0  # share of the calls to them that they turned away


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
    """What to drive on the node, after `steps`; `called` are the nodes that it calls (`host:port`), which are watched."""

    way: Calls | Posts | TopicFeed
    step_s: float
    first: float
    latency_s: float
    errors_max: float
    events: tuple[bytes, ...]
    steps: tuple[LoadStep, ...] = ()
    called: tuple[str, ...] = ()


def bounded_by_called(found: LoadFound, steps: Sequence[LoadStep], called: str, nodes: int) -> LoadFound:
    """A lower bound where steps near the knee broke because the called nodes could do no more; else what was found.

    >>> steps = [LoadStep(100, 100, 100, 0.1, 0, True, 0.6), LoadStep(160, 160, 120, 4.0, 0, False, 0.98)]
    >>> bounded_by_called(LoadFound(110, 105, 120, ""), steps, "risk", 1).note
    'a lower bound: 1 node of risk, which it called, was 98 % busy and turned 0 % away; `--called-nodes 2` gives it more'
    >>> bounded_by_called(LoadFound(110, 105, 120, ""), [replace(s, called_busy=0.5) for s in steps], "risk", 1).note
    ''
    """
    near = [s for s in steps if not s.held and s.wanted <= NEAR * found.high]
    if not near:
        return found
    busy, away = median(s.called_busy for s in near), median(s.called_refusals for s in near)
    if busy < SATURATED and away < TURNED_AWAY:
        return found
    who, was = ("1 node", "was") if nodes == 1 else (f"{nodes} nodes", "were")
    seen = f"{was} {busy * PERCENT:.0f} % busy and turned {away * PERCENT:.0f} % away"
    note = f"a lower bound: {who} of {called}, which it called, {seen}; `--called-nodes {nodes * 2}` gives it more"
    return replace(found, high=RATE_MAX, note=note)


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
