"""The transform stage over a transform group: batches go to other machines, by the balancing client."""

import time
from collections.abc import Sequence
from typing import Any, Protocol

from dataplane.stages.events import Event, Failed, Outcome
from dataplane.stages.measures import Measures
from dataplane.stages.transforming import outcome_of
from shared.contracts.objects import Transform


class Group(Protocol):
    """`dataplane.client.threads.GroupClient`."""

    def transform(self, function: str, events: Sequence[bytes], timeout_s: float) -> list[Any]:
        """A `TransformResult` for each event, in order; also when no server answers."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


class TransformingByGroup:
    """`Work` of a transform stage that names a group; the group is closed with it."""

    def __init__(self, spec: Transform, group: Group, measures: Measures) -> None:
        """The group may have no server yet: until it has, events fail recoverably."""
        self.batch_max = spec.batch_max
        self._function = spec.function
        self._timeout_s = spec.timeout_s
        self._group = group
        self._measures = measures

    def run(self, events: list[Event]) -> list[Outcome]:
        """An outcome for each."""
        began = time.monotonic()
        results = self._group.transform(self._function, [e.value for e in events], self._timeout_s)
        took_s = time.monotonic() - began
        outcomes = [outcome_of(event, result) for event, result in zip(events, results, strict=True)]
        errors = sum(isinstance(o, Failed) for o in outcomes)
        self._measures.transformed(took_s / len(events), len(events), errors)
        return outcomes

    def close(self) -> None:
        """Close the group."""
        self._group.close()
