"""The loop of a stage: read a batch, work on it, hand the outputs to the next link, and only then commit.

At least once: an offset is committed when every event at or below it was acknowledged by what comes next, or by the
dead-letter topic. Whatever goes wrong on the way (the broker, a defect) ends the session: nothing more is committed,
and the next session reads again from the last commit. Heartbeats come from the client library's own thread, so a slow
batch costs no membership; while many events wait for another try, partitions are paused and nothing more is read.
"""

import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from dataplane.stages.audits import AuditBook
from dataplane.stages.batch import BatchOfStage, Settled
from dataplane.stages.events import Work
from dataplane.stages.kafka_clients import consumer_settings, event_of
from dataplane.stages.key_order import KeyOrder
from dataplane.stages.measures import Measures
from dataplane.stages.offsets import OffsetTracker
from dataplane.stages.publishing import Publisher
from dataplane.stages.retries import RetryQueue, Waiting, wait_s
from shared.contracts.node import KafkaAccess
from shared.contracts.objects import RetryPolicy

POLL_S = 0.1
GATHER_S = 0.003  # after the first event, for the rest of its batch
COMMIT_EVERY_S = 0.1
WAITING_MAX = 2_000  # events waiting for another try; above it nothing more is read
SESSION_BACKOFF_FIRST_S, SESSION_BACKOFF_S_MAX = 0.2, 5.0
SESSION_CALM_S = 30.0
STOP_S_MAX = 40.0
SILENT_S = 1.0  # with nothing to read for so long, the end was reached: the first fetch takes less
LONG_BATCH_S = 2.0  # at work for longer than that, what is read says nothing of what waits
LOG = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class StagePlan:
    """What a stage reads and writes."""

    name: str
    access: KafkaAccess
    client: str  # the node's name
    topic_in: str
    topics_out: tuple[str, ...]
    topic_dead: str
    consumer_group: str
    retry: RetryPolicy
    topics_retry: tuple[str, ...] = ()  # of the global retrier, one for each of `retry.global_delays_s`
    ordered: bool = False


class StageLoop:
    """A thread that runs sessions until it is stopped."""

    def __init__(self, plan: StagePlan, work: Work, measures: Measures, audits: AuditBook) -> None:
        """Starts nothing yet."""
        self._plan = plan
        self._work = work
        self._measures = measures
        self._audits = audits
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"stage-{plan.name}", daemon=True)
        self._session: _Session | None = None
        self.paused = False
        self.detail = "starting"

    def start(self) -> None:
        """Join the consumer group and work."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the batch in hand, commit, leave the group. Events that wait for another try go to other members."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(STOP_S_MAX)

    def held_back(self) -> bool:
        """Whether a partition's silence means nothing: the end of what waits has not been seen, or we do not read now."""
        session = self._session
        return session is None or session.held_back(time.monotonic())

    def _run(self) -> None:
        backoff_s = SESSION_BACKOFF_FIRST_S
        while not self._stopping.is_set():
            began = time.monotonic()
            session = self._session = _Session(self._plan, self._work, self._measures, self._audits)
            try:
                self.detail = "working"
                while not self._stopping.is_set():
                    session.step()
                    self.paused = session.paused
                session.finish()
            except Exception as e:
                self.detail = f"starting again: {type(e).__name__}: {e}"
                LOG.warning("stage session ended", stage=self._plan.name, error=str(e), exc_info=e)
            finally:
                session.close()
            if time.monotonic() - began > SESSION_CALM_S:
                backoff_s = SESSION_BACKOFF_FIRST_S
            self._stopping.wait(backoff_s)
            backoff_s = min(SESSION_BACKOFF_S_MAX, backoff_s * 2)
        self._measures.set_oldest(None)
        self._work.close()


class _Session:
    """One consumer and one producer, from the last commit to a failure or the end."""

    def __init__(self, plan: StagePlan, work: Work, measures: Measures, audits: AuditBook) -> None:
        self._plan = plan
        self._work = work
        self._measures = measures
        self._audits = audits
        self._offsets = OffsetTracker()
        self._retries = RetryQueue()
        self._order = KeyOrder()
        self._revoked: set[int] = set()
        self._ends: dict[int, int] = {}  # of partitions that were read to their end: the offset after all there is
        self._committed: dict[int, int] = {}
        self._committed_at = self._stepped_at = time.monotonic()
        self._succeeded_at = 0.0
        self._assigned = False
        self._caught_up = False  # since partitions were assigned, there was once nothing to read
        self._heard_at = time.monotonic()
        self._busy_since: float | None = None
        self.paused = False
        self._publisher = Publisher(plan.access, plan.client)
        self._batch = BatchOfStage(plan, work, self._publisher, measures, audits)
        settings = consumer_settings(plan.access, plan.consumer_group, plan.client)
        self._consumer = Consumer(settings | {"on_commit": self._on_commit, "enable.partition.eof": True})
        self._consumer.subscribe(
            [plan.topic_in], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )

    def step(self) -> None:
        """One turn: read (which also serves rebalances), work on what is due again, then on what is new."""
        messages = self._read()
        due = self._retries.pop_due(time.monotonic(), self._work.batch_max)
        if due:
            self._work_on(due, fresh=False)
        self._work_on([Waiting(event_of(m), 0, 0.0) for m in messages], fresh=True)
        for partition, end in self._ends.items():  # a transaction ends with a record that is no event: it is done, too
            self._offsets.seen(partition, end - 1)
        self._ends.clear()
        now = time.monotonic()
        if now - self._committed_at >= COMMIT_EVERY_S:
            self._commit(asynchronous=True)

    def held_back(self, now: float) -> bool:
        """Asked by the reporter's thread."""
        busy_since = self._busy_since
        long_at_work = busy_since is not None and now - busy_since > LONG_BATCH_S
        return self.paused or not self._caught_up or long_at_work

    def finish(self) -> None:
        """Commit what is done."""
        self._commit_or_say("at the end")

    def close(self) -> None:
        """Leave the group; nothing is committed here."""
        self._publisher.close()
        self._consumer.close()

    def _work_on(self, batch: list[Waiting], *, fresh: bool) -> None:
        began = time.monotonic()
        self._busy_since = began if batch else None
        full = fresh and len(batch) >= self._work.batch_max
        had_work = bool(batch)
        if fresh and batch:
            self._batch.took(batch)
            batch = self._admitted(batch)
        while batch:
            oldest = min(w.event.time for w in batch)
            waiting = self._retries.oldest_time()
            self._measures.set_oldest(oldest if waiting is None else min(oldest, waiting))
            settled = self._batch.run(batch, self._succeeded_at)
            for done in batch if fresh else ():  # only now: closing after a failure commits what the tracker knows
                self._offsets.seen(done.event.partition, done.event.offset)
            batch, fresh = self._settle(settled), False
        self._busy_since = None
        now = time.monotonic()
        if not full:  # after a full batch more is probably waiting: its oldest stays the best we know
            self._measures.set_oldest(self._retries.oldest_time())
        self._measures.worked(now - began if had_work else 0.0, now - self._stepped_at)
        self._stepped_at = now

    def _admitted(self, batch: list[Waiting]) -> list[Waiting]:
        """Without those that must wait for an earlier event of their key."""
        if not self._order:
            return batch
        free, held = self._order.split(batch)
        for waiting in held:
            self._offsets.seen(waiting.event.partition, waiting.event.offset)
            self._offsets.wait(waiting.event.partition, waiting.event.offset)
        return free

    def _settle(self, settled: Settled) -> list[Waiting]:
        """Gives what waited only for an event that is done now."""
        if settled.succeeded:
            self._succeeded_at = time.monotonic()
        for waiting in (*settled.again, *settled.behind):
            self._offsets.wait(waiting.event.partition, waiting.event.offset)
        for waiting in settled.again:
            delay_s = wait_s(self._plan.retry, waiting.attempts, random.uniform(-1, 1))  # noqa: S311  jitter
            self._retries.push(time.monotonic() + delay_s, waiting)
        if self._plan.ordered:
            self._order.failed(settled.again, settled.behind)
        for event in settled.done:
            self._offsets.done(event.partition, event.offset)
        return self._order.freed(settled.done) if self._order else []

    def _read(self) -> list[Message]:
        self._pause_or_resume()
        due_in = self._retries.due_in(time.monotonic())
        self._revoked.clear()
        first = self._consumer.poll(POLL_S if due_in is None else min(POLL_S, due_in))
        if first is None:
            silent_s = time.monotonic() - self._heard_at
            self._caught_up = self._caught_up or (not self.paused and silent_s > SILENT_S)
            return []
        self._heard_at = time.monotonic()
        return self._gathered([first] if self._is_event(first) else [])

    def _gathered(self, found: list[Message]) -> list[Message]:
        """What is there for the rest of the batch: ends of partitions come between events, and take no place of it."""
        until, batch_max = time.monotonic() + GATHER_S, self._work.batch_max
        while len(found) < batch_max:
            more = self._consumer.consume(batch_max - len(found), max(0.0, until - time.monotonic()))
            if not more:
                break
            found += [m for m in more if self._is_event(m)]
        return found

    def _is_event(self, message: Message) -> bool:
        error = message.error()
        if error is None:
            return message.partition() not in self._revoked
        if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  the library's name for it
            if message.partition() not in self._revoked:
                self._ends[int(message.partition() or 0)] = int(message.offset() or 0)
            return False
        if error.fatal() or error.code() in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.TOPIC_AUTHORIZATION_FAILED):
            raise KafkaException(error)
        LOG.info("broker", stage=self._plan.name, error=error.str())
        return False

    def _pause_or_resume(self) -> None:
        wanted = len(self._retries) + len(self._order) >= WAITING_MAX
        if wanted:
            self._consumer.pause(self._consumer.assignment())  # each time: partitions may have been added
        elif self.paused or self._assigned:
            self._consumer.resume(self._consumer.assignment())
            self._assigned = False
        self.paused = wanted

    def _commit(self, *, asynchronous: bool) -> None:
        offsets = {p: o for p, o in self._offsets.committable().items() if self._committed.get(p) != o}
        if offsets:
            self._audits.write()  # a commit says that the events are accounted for
            places = [TopicPartition(self._plan.topic_in, p, o) for p, o in sorted(offsets.items())]
            if asynchronous:
                self._consumer.commit(offsets=places, asynchronous=True)
            else:
                self._consumer.commit(offsets=places, asynchronous=False)
            self._committed |= offsets
        self._committed_at = time.monotonic()

    def _on_commit(self, error: KafkaError | None, places: Sequence[TopicPartition]) -> None:
        for place in places:
            if error is not None or place.error is not None:  # it will be committed again with the next one
                self._committed.pop(place.partition, None)

    def _on_assign(self, _: Consumer, __: Sequence[TopicPartition]) -> None:
        self._caught_up, self._heard_at = False, time.monotonic()
        self._assigned = True  # one that was paused when it went comes back paused

    def _on_revoke(self, _: Consumer, partitions: Sequence[TopicPartition]) -> None:
        self._commit_or_say("at revocation")
        self._forget({p.partition for p in partitions})

    def _commit_or_say(self, when: str) -> None:
        try:
            self._commit(asynchronous=False)
        except KafkaException as e:  # the group is being rebalanced: the new owner reads again from the last commit
            LOG.info("commit failed", when=when, stage=self._plan.name, error=str(e))

    def _on_lost(self, _: Consumer, partitions: Sequence[TopicPartition]) -> None:
        self._forget({p.partition for p in partitions})

    def _forget(self, partitions: set[int]) -> None:
        self._revoked |= partitions
        self._retries.drop(partitions)
        self._order.drop(partitions)
        self._audits.forget(partitions)
        for partition in partitions:
            self._offsets.forget(partition)
            self._ends.pop(partition, None)
            self._committed.pop(partition, None)
