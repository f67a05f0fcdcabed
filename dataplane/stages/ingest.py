"""The ingest edge: accepts a batch of events, produces it to every next link, and answers when all is acknowledged.

Back-pressure reaches the caller: above a number of events in flight a request is turned away with 429 and Retry-After.
Nothing that was answered `accepted` is lost afterwards: the broker has it on all replicas.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from dataplane.stages.accepting import DEFERRED_RETRY_S, BodyError, Judged, judge, parse_body
from dataplane.stages.audits import AuditBook
from dataplane.stages.events import Output
from dataplane.stages.kafka_clients import headers_of, producer_settings
from dataplane.stages.measures import Measures
from shared.contracts.node import KafkaAccess
from shared.contracts.objects import HttpIngest

BODY_BYTES_MAX = 16 * 1024 * 1024
IN_FLIGHT_MAX = 20_000  # events without an acknowledgement
ACKNOWLEDGED_S_MAX = 35.0
BUSY_RETRY_S = 1.0
POLL_S = 0.1
FULL_WAIT_S = 0.01
REPLACE_EVERY_S = 5.0  # many requests see one producer fail
QUEUED_KB_MAX = 128 * 1024  # not yet acknowledged; above it requests wait, then defer
LOG = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer; `retry_after_s` becomes the header of that name."""

    status: int
    body: bytes
    retry_after_s: float | None = None


@dataclass(slots=True)
class _Delivery:
    """What of a request the broker has not acknowledged yet."""

    missing: int
    failed: set[int] = field(default_factory=set)  # places in the request
    settled: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def settle(self, place: int, error: KafkaError | None) -> None:
        with self.lock:
            if error is not None:
                self.failed.add(place)
            self.missing -= 1
            if self.missing == 0:
                self.settled.set()


class Ingest:
    """Of one node; `submit` may be called by many threads."""

    def __init__(  # noqa: PLR0913  what it reads, where it writes, what it counts
        self,
        spec: HttpIngest,
        access: KafkaAccess,
        client: str,
        topics_out: Sequence[str],
        ramp_percent: Callable[[], int],
        measures: Measures,
        audits: AuditBook,
    ) -> None:
        """`ramp_percent` is asked at each request."""
        self._spec = spec
        self._topics = tuple(topics_out)
        self._ramp_percent = ramp_percent
        self._measures = measures
        self._audits = audits
        self._settings = producer_settings(access, client) | {"queue.buffering.max.kbytes": QUEUED_KB_MAX}
        self._producer = Producer(self._settings)
        self._stopping = threading.Event()
        self._poller = threading.Thread(target=self._poll, name="ingest-poll", daemon=True)
        self._lock = threading.Lock()
        self._in_flight = 0
        self._old: list[Producer] = []  # replaced; their deliveries are still told
        self._replaced_at = -REPLACE_EVERY_S

    def start(self) -> None:
        """Ready to take requests."""
        self._poller.start()

    def stop(self) -> None:
        """Wait for what is in flight; new requests must have been turned away before."""
        self._producer.flush(ACKNOWLEDGED_S_MAX)
        self._stopping.set()
        self._poller.join()

    def submit(self, body: bytes, content_type: str) -> Answer:
        """Answers an entry for each event: {id, status, error?}; status is accepted, deferred or invalid."""
        try:
            events = parse_body(body, content_type)
        except BodyError as e:
            return _refusal(400, "body", str(e), "see the message")
        if len(events) > self._spec.batch_max:
            text = f"{len(events)} events in one request"
            return _refusal(413, "body", text, f"send at most {self._spec.batch_max}")
        if not self._reserve(len(events)):
            return _refusal(429, "events", f"{IN_FLIGHT_MAX} in flight", "come back later", BUSY_RETRY_S)
        try:
            judged = judge(events, self._spec, self._ramp_percent())
            failed = self._produce(judged)
        finally:
            with self._lock:
                self._in_flight -= len(events)
        return _answer(judged, failed)

    def _reserve(self, count: int) -> bool:
        with self._lock:
            if self._in_flight and self._in_flight + count > IN_FLIGHT_MAX:
                return False
            self._in_flight += count
            return True

    def _produce(self, judged: Sequence[Judged]) -> set[int]:
        """Places of the events that were not acknowledged."""
        outputs = [(place, j.output) for place, j in enumerate(judged) if j.output is not None]
        if not outputs:
            return set()
        now = time.time()
        self._measures.took([o.time for _, o in outputs], now)
        self._audits.saw("in", ((o.root, o.time, 0) for _, o in outputs), now)
        delivery = _Delivery(len(outputs) * len(self._topics))
        for place, output in outputs:
            for topic in self._topics:
                self._hand_over(topic, place, output, delivery)
        if self._topics and not delivery.settled.wait(ACKNOWLEDGED_S_MAX):
            return {place for place, _ in outputs}
        acknowledged = [o for place, o in outputs if place not in delivery.failed]
        now = time.time()
        self._measures.handed_on([o.time for o in acknowledged], now)
        self._audits.saw("out", ((o.root, o.time, 0) for o in acknowledged), now)
        return delivery.failed

    def _hand_over(self, topic: str, place: int, output: Output, delivery: _Delivery) -> None:
        def acknowledged(error: KafkaError | None, _: Message) -> None:
            delivery.settle(place, error)

        deadline = time.monotonic() + ACKNOWLEDGED_S_MAX
        while True:
            try:
                self._producer.produce(
                    topic, output.value, output.key, headers=headers_of(output), on_delivery=acknowledged
                )
            except BufferError:
                if time.monotonic() > deadline:
                    delivery.settle(place, KafkaError(KafkaError._QUEUE_FULL))  # noqa: SLF001  the library's own name
                    return
                time.sleep(FULL_WAIT_S)
            except KafkaException as e:
                self._replace_if_fatal(e.args[0])
                delivery.settle(place, e.args[0])
                return
            else:
                return

    def _replace_if_fatal(self, error: KafkaError) -> None:
        """An idempotent producer that lost its place never works again; what it held is deferred by its own deadline."""
        with self._lock:
            if error.code() == KafkaError._FATAL and not self._replaced_lately():  # noqa: SLF001  the library's own name
                LOG.warning("producer replaced", error=error.str())
                self._old = [p for p in self._old if len(p)]
                self._old.append(self._producer)
                self._producer = Producer(self._settings)
                self._replaced_at = time.monotonic()

    def _replaced_lately(self) -> bool:
        return time.monotonic() - self._replaced_at < REPLACE_EVERY_S

    def _poll(self) -> None:
        seen_at = time.monotonic()
        while not self._stopping.is_set():
            self._producer.poll(POLL_S)
            for producer in self._old:
                producer.poll(0)
            self._audits.write()
            now = time.monotonic()
            self._measures.worked((now - seen_at) * self._in_flight / IN_FLIGHT_MAX, now - seen_at)
            seen_at = now


def _refusal(status: int, field_name: str, value: str, remedy: str, retry_after_s: float | None = None) -> Answer:
    body = {"error": {"field": field_name, "value": value, "remedy": remedy}, "retry_after_s": retry_after_s}
    return Answer(status, orjson.dumps(body), retry_after_s)


def _answer(judged: Sequence[Judged], failed: set[int]) -> Answer:
    """An event that the broker did not acknowledge is deferred: send it again."""
    results: list[dict[str, Any]] = []
    counts = {"accepted": 0, "deferred": 0, "invalid": 0}
    for place, j in enumerate(judged):
        status = "deferred" if place in failed else j.status
        counts[status] += 1
        entry: dict[str, Any] = {"id": j.id, "status": status}
        if j.error:
            entry["error"] = {"field": j.error.field, "value": j.error.value, "remedy": j.error.remedy}
        results.append(entry)
    retry_after_s = DEFERRED_RETRY_S if counts["deferred"] else None
    return Answer(200, orjson.dumps({"results": results, **counts, "retry_after_s": retry_after_s}))
