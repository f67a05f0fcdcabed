"""The route stage: each event goes along the branches whose predicates hold; the value is not touched."""

from collections.abc import Mapping

from dataplane.stages.events import Done, Event, Failed, Outcome, Output, fields_of
from shared.contracts.objects import Route
from shared.domain.predicate import compile_predicate

BATCH_MAX = 2_000
UNMATCHED = "unmatched"


class Routing:
    """`Work` of a route stage."""

    batch_max = BATCH_MAX

    def __init__(self, spec: Route, topics: Mapping[str, str]) -> None:
        """`topics` by the name of the stage that consumes it; every stage that a branch names is there."""
        self._branches = [(compile_predicate(b.when), tuple(topics[t] for t in b.to)) for b in spec.branches]
        self._default = tuple(topics[t] for t in spec.default)
        self._first_only = spec.match == "first"
        self._drops = spec.unmatched == "drop"

    def run(self, events: list[Event]) -> list[Outcome]:
        """An outcome for each; an event that no branch takes is as declared: dropped, or wrong for good."""
        return [self._one(event) for event in events]

    def close(self) -> None:
        """Nothing is open."""

    def _one(self, event: Event) -> Outcome:
        fields = fields_of(event)
        if isinstance(fields, Failed):
            return fields
        taken: dict[str, None] = {}  # two branches may lead to one stage: it gets the event once
        for holds, topics in self._branches:
            if holds(fields):
                taken |= dict.fromkeys(topics)
                if self._first_only:
                    break
        topics = tuple(taken) or self._default
        if not topics:
            if self._drops:
                return Done((), UNMATCHED)
            return Failed(False, "Unmatched", "no branch takes it, and there is no default: declare one")
        return Done((Output(event.id, event.time, event.key, event.value, event.root, topics),))
