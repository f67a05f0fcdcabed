"""One batch of a stage, from its work to the acknowledgements of the next link, with all that is counted on the way."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dataplane.stages.audits import AuditBook
from dataplane.stages.events import Done, Event, Failed, Outcome, Work
from dataplane.stages.measures import Measures
from dataplane.stages.publishing import Publisher
from dataplane.stages.retries import Waiting
from shared.domain.errors import Defect

if TYPE_CHECKING:
    from dataplane.stages.stage_loop import StagePlan

FILTERED = "filtered"
DEAD_LETTER = "dead_letter"


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a batch; `done` may be committed."""

    done: tuple[Event, ...]
    again: tuple[Waiting, ...]
    succeeded: bool  # at least one event went through


class BatchOfStage:
    """Runs batches for one session; used by one thread."""

    def __init__(
        self, plan: "StagePlan", work: Work, publisher: Publisher, measures: Measures, audits: AuditBook
    ) -> None:
        """`plan` says where outputs and dead letters go."""
        self._plan = plan
        self._work = work
        self._publisher = publisher
        self._measures = measures
        self._audits = audits

    def run(self, batch: list[Waiting], succeeded_at: float, *, fresh: bool) -> Settled:
        """Work, hand on, wait for every acknowledgement. `succeeded_at`: when an event last went through."""
        events = [w.event for w in batch]
        if fresh:
            now = time.time()
            self._measures.took([e.time for e in events], now)
            self._audits.saw("in", ((e.root, e.time, e.partition) for e in events), now)
        outcomes = self._work.run(events)
        if len(outcomes) != len(events):
            raise Defect(f"stage {self._plan.name}: {len(outcomes)} outcomes for {len(events)} events")
        passed, filtered, dead, again = self._sort(batch, outcomes, succeeded_at)
        for waiting, failure in dead:
            self._publisher.put_dead(self._plan.topic_dead, waiting.event, failure, self._plan.name, waiting.attempts)
        self._publisher.settle()
        self._count(passed, filtered, dead, again)
        done = (*passed, *filtered, *(w.event for w, _ in dead))
        return Settled(done, tuple(again), bool(passed or filtered))

    def _sort(
        self, batch: list[Waiting], outcomes: list[Outcome], succeeded_at: float
    ) -> tuple[list[Event], list[Event], list[tuple[Waiting, Failed]], list[Waiting]]:
        passed: list[Event] = []
        filtered: list[Event] = []
        failed: list[tuple[Waiting, Failed]] = []
        for waiting, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, Done):
                refused = self._hand_on(outcome)
                if refused is None:
                    (passed if outcome.outputs else filtered).append(waiting.event)
                    continue
                outcome = refused  # noqa: PLW2901  it has become a failure
            failed.append((waiting, outcome))
        if passed or filtered:
            succeeded_at = time.monotonic()
        dead: list[tuple[Waiting, Failed]] = []
        again: list[Waiting] = []
        for waiting, failure in failed:
            next_try = self._next_try(waiting, failure, succeeded_at)
            if next_try is None:
                dead.append((waiting, failure))
            else:
                again.append(next_try)
        return passed, filtered, dead, again

    def _hand_on(self, outcome: Done) -> Failed | None:
        for output in outcome.outputs:
            for topic in self._plan.topics_out:
                refused = self._publisher.put(topic, output)
                if refused:
                    return refused
        return None

    def _next_try(self, waiting: Waiting, failure: Failed, succeeded_at: float) -> Waiting | None:
        """None: it is a dead letter. While nothing at all goes through, nobody is: the other side is down."""
        if not failure.recoverable:
            return None
        first = waiting.failed_first_at or time.monotonic()
        attempts = waiting.attempts + 1
        if attempts >= self._plan.retry.attempts and succeeded_at > first:
            return None
        return Waiting(waiting.event, attempts, first)

    def _count(
        self,
        passed: list[Event],
        filtered: list[Event],
        dead: list[tuple[Waiting, Failed]],
        again: list[Waiting],
    ) -> None:
        now = time.time()
        self._measures.handed_on([e.time for e in passed], now)
        self._audits.saw("out", ((e.root, e.time, e.partition) for e in passed), now)
        if filtered:
            self._measures.dropped(FILTERED, len(filtered))
            self._audits.dropped([e.time for e in filtered], FILTERED)
        for _, failure in dead:
            self._measures.failed(failure.reason, recoverable=failure.recoverable)
        if dead:
            self._audits.dropped([w.event.time for w, _ in dead], DEAD_LETTER)
        if again:
            self._measures.retried(len(again))
