"""One batch of a stage, from its work to the acknowledgements of the next link, with all that is counted on the way."""

import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dataplane.stages.audits import AuditBook
from dataplane.stages.events import Done, Event, Failed, Outcome, Work
from dataplane.stages.measures import Measures
from dataplane.stages.publishing import Publisher
from dataplane.stages.retries import Waiting, next_try
from shared.domain.errors import Defect

if TYPE_CHECKING:
    from dataplane.stages.stage_loop import StagePlan

DEAD_LETTER = "dead_letter"
RETRYING = "retrying"


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a batch; `done` may be committed. `behind` wait only for an earlier event of their key."""

    done: tuple[Event, ...]
    again: tuple[Waiting, ...]
    behind: tuple[Waiting, ...]
    succeeded: bool  # at least one event went through


@dataclass(slots=True)
class _Sorted:
    """A batch by what becomes of each event."""

    passed: list[Event] = field(default_factory=list)
    dropped: defaultdict[str, list[Event]] = field(default_factory=lambda: defaultdict(list))
    failed: list[tuple[Waiting, Failed]] = field(default_factory=list)
    dead: list[tuple[Waiting, Failed]] = field(default_factory=list)
    parked: list[tuple[Waiting, Failed]] = field(default_factory=list)  # on the global retrier
    again: list[Waiting] = field(default_factory=list)
    behind: list[Waiting] = field(default_factory=list)

    def done(self) -> tuple[Event, ...]:
        dropped = (e for events in self.dropped.values() for e in events)
        return (*self.passed, *dropped, *(w.event for w, _ in (*self.dead, *self.parked)))


class BatchOfStage:
    """Runs batches for one session; used by one thread."""

    def __init__(
        self, plan: "StagePlan", work: Work, publisher: Publisher, measures: Measures, audits: AuditBook
    ) -> None:
        """`plan` says where outputs, dead letters and what is to be retried later go."""
        self._plan = plan
        self._work = work
        self._publisher = publisher
        self._measures = measures
        self._audits = audits

    def took(self, batch: list[Waiting]) -> None:
        """Count events that were read; what comes from the global retrier was counted when it came first."""
        now = time.time()
        new = [w.event for w in batch if w.event.tries == 0]
        if new:
            self._measures.took([e.time for e in new], now)
        self._audits.saw("in", ((w.event.root, w.event.time, w.event.partition) for w in batch), now)

    def run(self, batch: list[Waiting], succeeded_at: float) -> Settled:
        """Work, hand on, wait for every acknowledgement. `succeeded_at`: when an event last went through."""
        events = [w.event for w in batch]
        outcomes = self._work.run(events)
        if len(outcomes) != len(events):
            raise Defect(f"stage {self._plan.name}: {len(outcomes)} outcomes for {len(events)} events")
        found = self._sort(batch, outcomes, succeeded_at)
        for waiting, failure in found.dead:
            self._publisher.put_dead(self._plan.topic_dead, waiting.event, failure, self._plan.name, waiting.attempts)
        for waiting, failure in found.parked:
            topic = self._plan.topics_retry[waiting.event.tries]
            self._publisher.put_retry(topic, waiting.event, failure, self._plan.name, waiting.attempts)
        self._publisher.settle()
        self._count(found)
        succeeded = bool(found.passed or found.dropped)
        return Settled(found.done(), tuple(found.again), tuple(found.behind), succeeded)

    def _sort(self, batch: list[Waiting], outcomes: list[Outcome], succeeded_at: float) -> _Sorted:
        found, blocked = _Sorted(), set[bytes]()
        for waiting, outcome in zip(batch, outcomes, strict=True):
            key = waiting.event.key
            if key in blocked:
                found.behind.append(waiting)
            elif isinstance(outcome, Failed):
                found.failed.append((waiting, outcome))
                if self._plan.ordered and outcome.recoverable and key is not None:
                    blocked.add(key)
            elif refused := self._hand_on(outcome):
                found.failed.append((waiting, refused))
            elif outcome.outputs:
                found.passed.append(waiting.event)
            else:
                found.dropped[outcome.dropped].append(waiting.event)
        self._judge(found, time.monotonic() if found.passed or found.dropped else succeeded_at)
        return found

    def _judge(self, found: _Sorted, succeeded_at: float) -> None:
        """Each failed event is tried again here, later by the global retrier, or never."""
        for waiting, failure in found.failed:
            now = time.monotonic()
            again = next_try(self._plan.retry, waiting, now, succeeded_at) if failure.recoverable else None
            if again is not None:
                found.again.append(again)
            elif failure.recoverable and waiting.event.tries < len(self._plan.topics_retry):
                found.parked.append((waiting, failure))
            else:
                found.dead.append((waiting, failure))

    def _hand_on(self, outcome: Done) -> Failed | None:
        for output in outcome.outputs:
            for topic in self._plan.topics_out if output.topics is None else output.topics:
                refused = self._publisher.put(topic, output)
                if refused:
                    return refused
        return None

    def _count(self, found: _Sorted) -> None:
        now = time.time()
        self._measures.handed_on([e.time for e in found.passed], now)
        self._audits.saw("out", ((e.root, e.time, e.partition) for e in found.passed), now)
        for reason, events in found.dropped.items():
            self._measures.dropped(reason, len(events))
            self._audits.dropped([e.time for e in events], reason, now)
        for _, failure in found.dead:
            self._measures.failed(failure.reason, recoverable=failure.recoverable)
        for reason, given_up in ((DEAD_LETTER, found.dead), (RETRYING, found.parked)):
            if given_up:
                self._audits.dropped([w.event.time for w, _ in given_up], reason, now)
        if found.again:
            self._measures.retried(len(found.again))
        if found.parked:
            self._measures.retried(len(found.parked), "global")
