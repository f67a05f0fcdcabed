"""Dead-letter topics on the broker. librdkafka blocks: every call runs in a thread.

A redrive is one transactional producer a stage: a second one fences the first, so two redrives never interleave. Copy
and marker are one transaction; who reads committed records sees both or neither.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from prometheus_client import Counter
from tenacity import retry, retry_if_exception, stop_after_delay, wait_fixed

from services.provisioner.domain.dead_letters import Letter, Shelf
from shared.domain.errors import Conflict, HeadraceError, NotFound, Unavailable

READ_MAX = 50_000  # records of a topic; a longer one is read from its newest end
READ_S_MAX = 30.0
CALL_S_MAX = 20.0
AT_ONCE = 1_000
GONE = "redriven"
Result = TypeVar("Result")
LOG = structlog.get_logger()
REDRIVEN = Counter("headrace_dead_letters_redriven_total", "Dead letters that were sent to their stage again.")


class KafkaDeadLetters:
    """`DeadLetterTopics`."""

    def __init__(self, connection: dict[str, Any]) -> None:
        """`connection` is what a client of the broker needs."""
        self._connection = {**connection, "log_level": 0}

    async def read(self, topic: str) -> Shelf:
        """Everything, or the newest."""
        return await asyncio.to_thread(_said, topic, lambda: self._read(topic))

    @asynccontextmanager
    async def redrive(self, dead: str, back: str) -> AsyncIterator["KafkaRedrive"]:
        """From here on nobody else's redrive of this topic goes on."""
        redrive = KafkaRedrive(self._connection, dead, back)
        await asyncio.to_thread(_said, dead, redrive.begin)
        yield redrive

    def _read(self, topic: str) -> Shelf:
        settings = {
            "group.id": f"headrace-dead-letters-{secrets.token_hex(4)}",  # never committed: it only has to have a name
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "allow.auto.create.topics": False,
        }
        consumer = Consumer(self._connection | settings)
        try:
            place = TopicPartition(topic, 0)
            low, high = _watermarks(consumer, place)
            start = max(low, high - READ_MAX)
            consumer.assign([TopicPartition(topic, 0, start)])
            return _shelf(_records(consumer) if high > start else [], complete=start == low)
        finally:
            consumer.close()


class KafkaRedrive:
    """One run; batches go one after the other."""

    def __init__(self, connection: dict[str, Any], dead: str, back: str) -> None:
        self._dead, self._back = dead, back
        self._producer = Producer(
            connection | {"transactional.id": f"headrace-redrive-{dead}", "transaction.timeout.ms": 60_000}
        )

    def begin(self) -> None:
        """Fence whoever came before."""
        self._producer.init_transactions(CALL_S_MAX)

    async def send(self, letters: Sequence[Letter]) -> None:
        """All of them with their markers, or none."""
        await asyncio.to_thread(_said, self._dead, lambda: self._send(letters))
        REDRIVEN.inc(len(letters))

    def _send(self, letters: Sequence[Letter]) -> None:
        self._producer.begin_transaction()
        try:
            for letter in letters:
                headers: list[tuple[str, str | bytes | None]] = [  # no tries: it has all of them again
                    ("id", letter.id.encode()),
                    ("t", repr(letter.event_time).encode()),
                    *((("root", letter.root.encode()),) if letter.root else ()),
                ]
                self._producer.produce(self._back, letter.value, letter.key, headers=headers)
                marker: list[tuple[str, str | bytes | None]] = [
                    (GONE, str(letter.offset).encode()),
                    ("id", letter.id.encode()),
                ]
                self._producer.produce(self._dead, None, GONE.encode(), partition=0, headers=marker)
                self._producer.poll(0)
            self._producer.commit_transaction(CALL_S_MAX)
        except (KafkaException, BufferError):
            self._give_up()
            raise

    def _give_up(self) -> None:
        """A transaction that cannot be aborted here is aborted by the broker, when it times out or is fenced."""
        self._producer.purge()
        try:
            self._producer.abort_transaction(CALL_S_MAX)
        except KafkaException as e:
            LOG.info("redrive not aborted", topic=self._dead, error=str(e))


def _has_no_leader_yet(error: BaseException) -> bool:
    return isinstance(error, KafkaException) and error.args[0].code() in (
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
    )


@retry(
    retry=retry_if_exception(_has_no_leader_yet), wait=wait_fixed(0.2), stop=stop_after_delay(CALL_S_MAX), reraise=True
)
def _watermarks(consumer: Consumer, place: TopicPartition) -> tuple[int, int]:
    """Of a topic that was just made or moved: a partition has no leader for a moment."""
    low, high = consumer.get_watermark_offsets(place, timeout=CALL_S_MAX)
    return low, high


def _records(consumer: Consumer) -> list[Message]:
    found: list[Message] = []
    waited_s = 0.0
    while waited_s < READ_S_MAX:
        messages = consumer.consume(AT_ONCE, 1.0)
        waited_s = 0.0 if messages else waited_s + 1.0
        for message in messages:
            error = message.error()
            if error is None:
                found.append(message)
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  the library's own name
                return found
            else:
                raise KafkaException(error)
    raise Unavailable(f"dead letters: the broker sent nothing for {READ_S_MAX:g} s", retry_after_s=2.0)


def _shelf(messages: Sequence[Message], *, complete: bool) -> Shelf:
    letters: list[Letter] = []
    gone: set[int] = set()
    for message in messages:
        headers: dict[str, bytes] = dict(message.headers() or ())  # type: ignore[arg-type]  # as read, pairs with bytes
        if GONE in headers:
            gone.add(_whole(headers[GONE]))
        else:
            letters.append(_letter(message, headers))
    return Shelf(tuple(letters), frozenset(gone), complete)


def _letter(message: Message, headers: dict[str, bytes]) -> Letter:
    def text(name: str) -> str:
        return (headers.get(name) or b"").decode(errors="replace")

    died_at = message.timestamp()[1] / 1000
    key, value = message.key(), message.value()
    return Letter(
        offset=message.offset() or 0,
        id=text("id"),
        event_time=_seconds(text("t"), died_at),
        died_at=died_at,
        reason=text("reason"),
        recoverable=text("class") == "recoverable",
        message=text("message"),
        attempts=_whole(headers.get("attempts")),
        tries=_whole(headers.get("tries")),
        key=key if isinstance(key, bytes) else None,
        value=value if isinstance(value, bytes) else b"",
        root=text("root"),
    )


def _whole(text: bytes | None) -> int:
    return int(text) if text and text.isdigit() else 0


def _seconds(text: str, otherwise: float) -> float:
    try:
        return float(text)
    except ValueError:
        return otherwise


def _said(topic: str, act: Callable[[], Result]) -> Result:
    try:
        found = act()
    except HeadraceError:
        raise
    except KafkaException as e:
        raise _failure(topic, e.args[0]) from e
    except BufferError as e:
        raise Unavailable(f"topic {topic}: the broker takes nothing", retry_after_s=2.0) from e
    return found


def _failure(topic: str, error: KafkaError) -> HeadraceError:
    code = error.code()
    if code in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_PARTITION):  # noqa: SLF001
        return NotFound(f"topic {topic}: there is none", remedy="it is made with its pipeline: apply that")
    if code in (KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH):  # noqa: SLF001
        return Conflict(f"topic {topic}: another redrive has begun", remedy="wait for it, then see what is left")
    return Unavailable(f"kafka: {error.str()}", remedy="it is retried", retry_after_s=2.0)
