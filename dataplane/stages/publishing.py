"""Producing for a stage: everything of a batch is acknowledged by the broker, or the batch fails as a whole."""

import time

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from dataplane.stages.events import HEADER_TRIES, Event, Failed, Output
from dataplane.stages.kafka_clients import Headers, headers_of, producer_settings
from shared.contracts.node import EVENT_BYTES_MAX, KafkaAccess
from shared.domain.errors import Unavailable

FLUSH_S_MAX = 35.0  # longer than one delivery may take
FULL_WAIT_S = 0.05
HEADER_MESSAGE_MAX = 500


class Publisher:
    """One idempotent producer; used by one thread."""

    def __init__(self, access: KafkaAccess, client: str) -> None:
        """Connects when first used."""
        self._producer = Producer(producer_settings(access, client) | {"delivery.report.only.error": True})
        self._failures: list[str] = []

    def put(self, topic: str, output: Output) -> Failed | None:
        """Hand one event over; a Failed when the broker would never take it (too large)."""
        if len(output.value) > EVENT_BYTES_MAX:
            return Failed(False, "TooLarge", f"{len(output.value)} bytes: an event has at most {EVENT_BYTES_MAX}")
        return self._put(topic, output.value, output.key, headers_of(output))

    def put_dead(self, topic: str, event: Event, failure: Failed, stage: str, attempts: int) -> None:
        """Hand a dead letter over: the event as it came, with what happened in its headers."""
        self._put_failed(topic, event, failure, stage, attempts, event.tries)

    def put_retry(self, topic: str, event: Event, failure: Failed, stage: str, attempts: int) -> None:
        """Hand an event over to the global retrier: one more stay there is counted."""
        self._put_failed(topic, event, failure, stage, attempts, event.tries + 1)

    def put_again(self, topic: str, event: Event) -> None:
        """Hand an event that was on the global retrier to its stage again, as it came there first."""
        headers: Headers = [*_headers_of_event(event), (HEADER_TRIES, str(event.tries).encode())]
        refused = self._put(topic, event.value, event.key, headers)
        if refused:
            raise Unavailable(f"topic {topic}: event {event.id!r} was refused: {refused.message}")

    def _put_failed(  # noqa: PLR0913  what stands in its headers
        self, topic: str, event: Event, failure: Failed, stage: str, attempts: int, tries: int
    ) -> None:
        headers: Headers = [
            *_headers_of_event(event),
            (HEADER_TRIES, str(tries).encode()),
            ("reason", failure.reason[:HEADER_MESSAGE_MAX].encode(errors="replace")),
            ("class", b"recoverable" if failure.recoverable else b"non_recoverable"),
            ("message", failure.message[:HEADER_MESSAGE_MAX].encode(errors="replace")),
            ("stage", stage.encode()),
            ("attempts", str(attempts).encode()),
            ("partition", str(event.partition).encode()),
            ("offset", str(event.offset).encode()),
        ]
        refused = self._put(topic, event.value, event.key, headers)
        if refused:
            raise Unavailable(f"topic {topic}: event {event.id!r} was refused: {refused.message}")

    def settle(self) -> None:
        """Wait until all of it is acknowledged; Unavailable if some is not."""
        left = self._producer.flush(FLUSH_S_MAX)
        if left or self._failures:
            text = self._failures[0] if self._failures else f"{left} without an answer after {FLUSH_S_MAX:g} s"
            self._failures = []
            raise Unavailable(f"producing: not acknowledged: {text}", retry_after_s=1.0)

    def close(self) -> None:
        """What was not acknowledged is dropped here: its source is not committed and will be read again."""
        self._producer.purge()
        self._producer.flush(1.0)

    def _put(self, topic: str, value: bytes, key: bytes | None, headers: Headers) -> Failed | None:
        deadline = time.monotonic() + FLUSH_S_MAX
        while True:
            try:
                self._producer.produce(topic, value, key, headers=headers, on_delivery=self._refused)
            except BufferError:
                if time.monotonic() > deadline:
                    raise Unavailable(f"topic {topic}: the broker takes nothing", retry_after_s=1.0) from None
                self._producer.poll(FULL_WAIT_S)
            except KafkaException as e:
                if e.args[0].code() == KafkaError.MSG_SIZE_TOO_LARGE:
                    return Failed(False, "TooLarge", f"{len(value)} bytes are more than the broker takes")
                raise
            else:
                return None

    def _refused(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._failures.append(f"{message.topic()}: {error.str()}")


def _headers_of_event(event: Event) -> Headers:
    return headers_of(Output(event.id, event.time, event.key, event.value, event.root))
