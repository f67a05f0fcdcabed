"""Writes events to one topic for many threads: each learns which of its own events the broker has on all replicas."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from dataplane.stages.events import Output
from dataplane.stages.kafka_clients import headers_of, producer_settings
from shared.contracts.node import KafkaAccess

ACKNOWLEDGED_S_MAX = 35.0  # longer than the producer tries
FULL_WAIT_S = 0.01
POLL_S = 0.1
LOG = structlog.get_logger()


@dataclass(slots=True)
class _Delivery:
    """What of one write is not settled yet; places are those of its outputs."""

    missing: set[int]
    failed: set[int] = field(default_factory=set)
    settled: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def settle(self, place: int, *, acknowledged: bool) -> None:
        with self.lock:
            self.missing.discard(place)
            if not acknowledged:
                self.failed.add(place)
            if not self.missing:
                self.settled.set()


class TopicWriter:
    """One idempotent producer with `acks=all`; one that lost its place for ever is replaced by a new one."""

    def __init__(self, access: KafkaAccess, client: str, topic: str) -> None:
        """Connects when first used; `start` it."""
        self._settings = producer_settings(access, client)
        self._topic = topic
        self._producer = Producer(self._settings)
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._poller = threading.Thread(target=self._poll, name=f"topic-{topic}", daemon=True)

    def start(self) -> None:
        """Ready to write."""
        self._poller.start()

    def write(self, outputs: Sequence[Output]) -> set[int]:
        """Blocks until all are settled: the places of those that the broker did not acknowledge."""
        if not outputs:
            return set()
        delivery = _Delivery(set(range(len(outputs))))
        deadline = time.monotonic() + ACKNOWLEDGED_S_MAX
        for place, output in enumerate(outputs):
            self._hand_over(place, output, delivery, deadline)
        delivery.settled.wait(max(0.0, deadline - time.monotonic()))
        with delivery.lock:
            return delivery.failed | delivery.missing

    def stop(self) -> None:
        """Wait for what is on its way."""
        self._producer.flush(ACKNOWLEDGED_S_MAX)
        self._stopping.set()
        self._poller.join()

    def _hand_over(self, place: int, output: Output, delivery: _Delivery, deadline: float) -> None:
        def told(error: KafkaError | None, _: Message) -> None:
            delivery.settle(place, acknowledged=error is None)

        producer = self._producer
        while time.monotonic() < deadline:
            try:
                producer.produce(self._topic, output.value, output.key, headers=headers_of(output), on_delivery=told)
            except BufferError:
                time.sleep(FULL_WAIT_S)
            except KafkaException as e:
                LOG.warning("event not produced", topic=self._topic, error=str(e))
                if e.args[0].code() == KafkaError._FATAL:  # noqa: SLF001  the library's own name
                    self._replace(producer)
                break
            else:
                return
        delivery.settle(place, acknowledged=False)

    def _replace(self, broken: Producer) -> None:
        with self._lock:
            if self._producer is broken:
                self._producer = Producer(self._settings)
        broken.purge()
        broken.flush(0)

    def _poll(self) -> None:
        while not self._stopping.is_set():
            self._producer.poll(POLL_S)
