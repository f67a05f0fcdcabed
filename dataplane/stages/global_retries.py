"""The global retrier: events whose local retries are used up wait in topics of their own, and come back to their stage.

A topic has one delay, so what waits in it is due in its order, and only the first has to be looked at. An event keeps
its id, its event time and its root, so lag and audits count from when it entered; it keeps no order with others of its
key. Its offset is committed once the stage's topic has acknowledged it: whoever is killed, it waits on, and at worst
comes back twice. While it waits nothing of it is in memory.
"""

import threading
import time
from typing import TYPE_CHECKING

import structlog
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from dataplane.stages.kafka_clients import consumer_settings, event_of
from dataplane.stages.publishing import Publisher
from shared.domain.errors import HeadraceError

if TYPE_CHECKING:
    from dataplane.stages.stage_loop import StagePlan

POLL_S = 0.2
AT_ONCE_MAX = 500
FETCHED_KB = 1_024
AGAIN_S = 2.0
STOP_S_MAX = 40.0
LOG = structlog.get_logger()


class GlobalRetrier:
    """A thread beside a stage's loop; members of one consumer group share the topics."""

    def __init__(self, plan: "StagePlan") -> None:
        """`plan.topics_retry` has a topic for each of `plan.retry.global_delays_s`."""
        self._plan = plan
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"retrier-{plan.name}", daemon=True)

    def start(self) -> None:
        """Join the group."""
        self._thread.start()

    def stop(self) -> None:
        """Leave it; what waits stays in its topics."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(STOP_S_MAX)

    def _run(self) -> None:
        while not self._stopping.is_set():
            session = _Session(self._plan)
            try:
                while not self._stopping.is_set():
                    session.step()
            except (KafkaException, HeadraceError) as e:
                LOG.warning("retrier starts again", stage=self._plan.name, error=str(e))
                self._stopping.wait(AGAIN_S)
            finally:
                session.close()


class _Session:
    """One membership; used by one thread."""

    def __init__(self, plan: "StagePlan") -> None:
        self._plan = plan
        self._delays_s = dict(zip(plan.topics_retry, plan.retry.global_delays_s, strict=True))
        self._resting: dict[tuple[str, int], float] = {}  # until when a partition's first event is not due
        self._assigned = False
        self._publisher = Publisher(plan.access, f"{plan.client}-retrier")
        settings = consumer_settings(plan.access, f"{plan.consumer_group}.retry", f"{plan.client}-retrier")
        self._consumer = Consumer(settings | {"queued.max.messages.kbytes": FETCHED_KB, "queued.min.messages": 1})
        self._consumer.subscribe(
            list(plan.topics_retry), on_assign=self._on_assign, on_revoke=self._forget, on_lost=self._forget
        )

    def step(self) -> None:
        """Give back what is due; rest until the next is."""
        self._wake()
        messages = self._consumer.consume(AT_ONCE_MAX, POLL_S)
        due: list[Message] = []
        for message in messages:
            error = message.error()
            if error is not None:
                if error.fatal():
                    raise KafkaException(error)
                LOG.info("broker", stage=self._plan.name, error=error.str())
            elif self._is_due(message):
                due.append(message)
        if due:
            self._give_back(due)

    def close(self) -> None:
        """Leave the group."""
        self._publisher.close()
        self._consumer.close()

    def _is_due(self, message: Message) -> bool:
        topic, partition, offset = str(message.topic()), int(message.partition() or 0), int(message.offset() or 0)
        if (topic, partition) in self._resting:
            return False  # an earlier one of this partition is not due: it is read again
        at = message.timestamp()[1] / 1000 + self._delays_s[topic]
        if at <= time.time():
            return True
        place = TopicPartition(topic, partition, offset)
        self._consumer.pause([place])
        self._consumer.seek(place)
        self._resting[(topic, partition)] = at
        return False

    def _wake(self) -> None:
        now = time.time()
        if self._assigned:  # one that rested when it went comes back paused
            places = [(p.topic, p.partition) for p in self._consumer.assignment()]
            self._consumer.resume([TopicPartition(t, p) for t, p in places if (t, p) not in self._resting])
            self._assigned = False
        for topic, partition in [place for place, at in self._resting.items() if at <= now]:
            del self._resting[(topic, partition)]
            self._consumer.resume([TopicPartition(topic, partition)])

    def _give_back(self, due: list[Message]) -> None:
        for message in due:
            self._publisher.put_again(self._plan.topic_in, event_of(message))
        self._publisher.settle()
        next_offsets: dict[tuple[str, int], int] = {}
        for message in due:
            next_offsets[(str(message.topic()), int(message.partition() or 0))] = int(message.offset() or 0) + 1
        places = [TopicPartition(topic, partition, offset) for (topic, partition), offset in next_offsets.items()]
        self._consumer.commit(offsets=places, asynchronous=False)

    def _on_assign(self, _: Consumer, __: list[TopicPartition]) -> None:
        self._assigned = True

    def _forget(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        for place in partitions:
            self._resting.pop((place.topic, place.partition), None)
