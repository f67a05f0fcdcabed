"""Events on a topic that the copy of a stage alone reads; done is what its consumer group has committed.

A stage commits an offset only when every event at or below it was acknowledged by the next link, dropped by declared
design, or is a dead letter. So commits measure each kind of stage alike, whatever it hands on and to whom: an event's
latency is the time from when it was due on the topic to the commit that covers it (which comes every tenth of a second),
and dead letters are its failures.
"""

import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from headrace_runtime.rating import Step, step_of

from dataplane.driving.driver import FIRST_S_MAX, WARM_SHARE, Sample, brief
from dataplane.driving.ledger import Ledger
from dataplane.driving.sink import Sink
from dataplane.stages.events import HEADER_ID, HEADER_TIME
from dataplane.stages.kafka_clients import connection, producer_settings
from shared.contracts.node import KafkaAccess
from shared.domain.errors import Unavailable

CLIENT = "rating"
BROKER_S_MAX = 15.0
LOOK_EVERY_S = 0.04
SENT_EVERY_S = 0.005
FULL_WAIT_S = 0.01
FIRST_EVENTS = 50
Offsets = tuple[int, ...]  # by partition


class TopicFeed:
    """`Driver`."""

    def __init__(  # noqa: PLR0913  the broker, its topics, and where sinks are
        self, sample: Sample, access: KafkaAccess, topic: str, dead: str, consumer_group: str, sink: str
    ) -> None:
        """`sink` is `host:port`, or empty when the stage has no HTTP sink."""
        self._sample, self._topic, self._dead = sample, topic, dead
        self._producer = Producer(producer_settings(access, CLIENT))
        self._committed = _Looker(access, consumer_group, topic)
        self._letters = _Looker(access, f"{consumer_group}.letters", dead)
        self._sink = Sink(sink) if sink else None
        self._sent = 0  # since the beginning of this process
        self._failed: list[str] = []

    def __enter__(self) -> Self:
        """Listen for what the copy sends on."""
        if self._sink:
            self._sink.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        """Let go."""
        if self._sink:
            self._sink.stop()
        self._committed.close()
        self._letters.close()

    def refusal(self) -> str:
        """What the first dead letter says when nothing else became of some events."""
        self._await_done(self._committed.ends())
        letters = self._letters.ends()
        count = min(FIRST_EVENTS, len(self._sample.events))
        for place in range(count):
            self._send(place % self._committed.partitions, self._sample.events[place])
        self._flush()
        self._await_done(self._committed.ends())
        dead = sum(self._letters.ends()) - sum(letters)
        if dead < count:
            return ""
        return f"the stage takes none of {count} events: {self._letters.reason_at(letters)}"

    def step(self, rate: float) -> Step:
        """One rate for a while; the first part warms up."""
        letters = sum(self._letters.ends())
        total = max(2, int(rate * self._sample.step_s))
        watch = _Watch(self._committed, Ledger(self._committed.ends(), total, rate))
        watch.start()
        try:
            sent, sent_s = self._send_step(rate, total, watch)
            until = time.perf_counter() + self._sample.give_up_s
            while watch.ledger.done < sent and time.perf_counter() < until and watch.failure is None:
                time.sleep(LOOK_EVERY_S)
        finally:
            watch.stop()
        if watch.failure is not None:
            raise watch.failure
        dead = sum(self._letters.ends()) - letters
        counts = watch.ledger.counts(sent, max(sent_s, sent / rate), dead, WARM_SHARE, self._sample.give_up_s)
        return step_of(rate, counts, self._sample.promise, self._sample.give_up_s)

    def _send_step(self, rate: float, total: int, watch: "_Watch") -> tuple[int, float]:
        """How many were sent, in how long. Once one waits longer than anything is waited for, the rate is lost: no more."""
        events, partitions = self._sample.events, self._committed.partitions
        sent, sent_s = 0, 0.0
        while sent < total and watch.ledger.waits_s(sent, watch.elapsed_s()) <= self._sample.give_up_s:
            due = min(total, int(watch.elapsed_s() * rate) + 1)
            for n in range(sent, due):
                self._send(n % partitions, events[n % len(events)])
            sent, sent_s = due, watch.elapsed_s()
            time.sleep(SENT_EVERY_S)
        self._flush()
        return sent, sent_s

    def _send(self, partition: int, value: bytes) -> None:
        self._sent += 1
        headers: list[tuple[str, str | bytes | None]] = [
            (HEADER_ID, f"{CLIENT}-{self._sent}".encode()),
            (HEADER_TIME, repr(time.time()).encode()),
        ]
        while True:
            try:
                self._producer.produce(self._topic, value, partition=partition, headers=headers, on_delivery=self._told)
            except BufferError:
                self._producer.poll(FULL_WAIT_S)
            except KafkaException as e:
                raise Unavailable(f"topic {self._topic}: {brief(e)}") from e
            else:
                self._producer.poll(0)
                return

    def _told(self, error: object, _: object) -> None:
        if error is not None:
            self._failed.append(str(error))

    def _flush(self) -> None:
        left = self._producer.flush(BROKER_S_MAX)
        if left or self._failed:
            why = self._failed[0] if self._failed else f"{left} events were not acknowledged in {BROKER_S_MAX:g} s"
            raise Unavailable(f"topic {self._topic}: {brief(why)}")

    def _await_done(self, ends: Offsets) -> None:
        until = time.monotonic() + FIRST_S_MAX
        while not all(c >= e for c, e in zip(self._committed.committed(), ends, strict=True)):
            if time.monotonic() > until:
                waiting = sum(ends) - sum(self._committed.committed())
                raise Unavailable(
                    f"topic {self._topic}: {waiting} events are not done after {FIRST_S_MAX:g} s: "
                    "the copy does not read, or has a backlog of a rate far above what it sustains (--first lower)"
                )
            time.sleep(LOOK_EVERY_S)


class _Looker:
    """Looks at a topic, and at what a group has committed of it, without being a member."""

    def __init__(self, access: KafkaAccess, group: str, topic: str) -> None:
        settings = {"group.id": group, "enable.auto.commit": False, "auto.offset.reset": "earliest"}
        self._consumer = Consumer(connection(access) | settings)
        self._topic = topic
        try:
            there = self._consumer.list_topics(topic, timeout=BROKER_S_MAX).topics[topic]
        except KafkaException as e:
            raise Unavailable(f"topic {topic}: {brief(e)}") from e
        if there.error is not None or not there.partitions:
            raise Unavailable(f"topic {topic}: {brief(there.error or 'it has no partitions')}")
        self.partitions = len(there.partitions)

    def ends(self) -> Offsets:
        """The offset after the last event, by partition."""
        try:
            found = [self._consumer.get_watermark_offsets(p, BROKER_S_MAX) for p in self._places()]
        except KafkaException as e:
            raise Unavailable(f"topic {self._topic}: {brief(e)}") from e
        return tuple(int(f[1]) for f in found)

    def committed(self) -> Offsets:
        """The next offset that the group would read; 0 where it has committed nothing."""
        try:
            found = self._consumer.committed(self._places(), BROKER_S_MAX)
        except KafkaException as e:
            raise Unavailable(f"topic {self._topic}: {brief(e)}") from e
        return tuple(max(0, p.offset) for p in found)

    def reason_at(self, offsets: Sequence[int]) -> str:
        """What the first dead letter from these offsets on says."""
        places = [TopicPartition(self._topic, p, offset) for p, offset in enumerate(offsets)]
        self._consumer.assign(places)
        message = self._consumer.poll(BROKER_S_MAX)
        headers = dict(message.headers() or ()) if message is not None and message.error() is None else {}
        said = [v.decode(errors="replace") for k in ("reason", "message") if isinstance(v := headers.get(k), bytes)]
        return brief(": ".join(said) or "no reason was given")

    def close(self) -> None:
        """Let go."""
        self._consumer.close()

    def _places(self) -> list[TopicPartition]:
        return [TopicPartition(self._topic, p) for p in range(self.partitions)]


class _Watch:
    """A thread that tells the ledger what is committed."""

    def __init__(self, looker: _Looker, ledger: Ledger) -> None:
        self._looker = looker
        self._began = time.perf_counter()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self.ledger = ledger
        self.failure: Unavailable | None = None

    def start(self) -> None:
        """The step begins."""
        self._began = time.perf_counter()
        self._thread.start()

    def elapsed_s(self) -> float:
        """Since the beginning."""
        return time.perf_counter() - self._began

    def stop(self) -> None:
        """No more."""
        self._stopping.set()
        self._thread.join(BROKER_S_MAX)

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_EVERY_S):
            try:
                found = self._looker.committed()
            except Unavailable as e:
                self.failure = e
                return
            self.ledger.note(found, self.elapsed_s())
