"""How stages speak to the broker: settings, and messages to events and back."""

from typing import Any

from confluent_kafka import Message

from dataplane.stages.events import HEADER_ID, HEADER_ROOT, HEADER_TIME, HEADER_TRIES, Event, Output
from shared.contracts.node import LETTER_BYTES_MAX, KafkaAccess

SESSION_MS = 6_000
HEARTBEAT_MS = 1_000
POLL_INTERVAL_MS_MAX = 300_000  # a batch of users' code may take long; heartbeats come from a thread of the library
DELIVERY_MS_MAX = 30_000
LINGER_MS = 5
UNKNOWN_TOPIC_MS = 5_000  # after that a topic that is not there is an error
ID_BYTES_MAX = 1_000
FETCHED_KB_MAX = 8_192  # read ahead, all partitions together
FETCHED_MESSAGES_MIN = 5_000
TRIES_DIGITS_MAX = 4
Headers = list[tuple[str, str | bytes | None]]


def connection(access: KafkaAccess) -> dict[str, Any]:
    """What every client needs; with a username it logs in (SASL/PLAIN on loopback)."""
    settings: dict[str, Any] = {
        "bootstrap.servers": access.bootstrap,
        "log_level": 0,  # brokers come and go; what matters comes as an error
        "socket.keepalive.enable": True,
        "reconnect.backoff.ms": 100,
        "reconnect.backoff.max.ms": 2_000,
    }
    if access.username:
        settings |= {
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanisms": "PLAIN",
            "sasl.username": access.username,
            "sasl.password": access.password,
        }
    return settings


def consumer_settings(access: KafkaAccess, group: str, client: str) -> dict[str, Any]:
    """Offsets are committed by us, and only after the next link has acknowledged."""
    return connection(access) | {
        "group.id": group,
        "client.id": client,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "partition.assignment.strategy": "cooperative-sticky",
        "session.timeout.ms": SESSION_MS,
        "heartbeat.interval.ms": HEARTBEAT_MS,
        "max.poll.interval.ms": POLL_INTERVAL_MS_MAX,
        "queued.max.messages.kbytes": FETCHED_KB_MAX,
        "queued.min.messages": FETCHED_MESSAGES_MIN,
        "fetch.wait.max.ms": 100,
        "allow.auto.create.topics": False,
    }


def producer_settings(access: KafkaAccess, client: str) -> dict[str, Any]:
    """Idempotent, acknowledged by all replicas; the callback comes for failures only."""
    return connection(access) | {
        "client.id": client,
        "acks": "all",
        "enable.idempotence": True,
        "linger.ms": LINGER_MS,
        "topic.metadata.propagation.max.ms": UNKNOWN_TOPIC_MS,
        "compression.type": "lz4",
        "delivery.timeout.ms": DELIVERY_MS_MAX,
        "message.max.bytes": LETTER_BYTES_MAX,
        "partitioner": "murmur2_random",
        "allow.auto.create.topics": False,
    }


def event_of(message: Message) -> Event:
    """A message as an event. Without our headers it gets an id from its place and its time from the broker."""
    found: dict[str, bytes] = dict(message.headers() or ())  # type: ignore[arg-type]  # as read, a list of pairs with bytes
    partition, offset = message.partition() or 0, message.offset() or 0
    raw_id = found.get(HEADER_ID)
    event_id = raw_id[:ID_BYTES_MAX].decode(errors="replace") if raw_id else f"{message.topic()}/{partition}/{offset}"
    root = found.get(HEADER_ROOT)
    return Event(
        event_id,
        _time(found.get(HEADER_TIME), message),
        message.key(),
        message.value() or b"",
        root[:ID_BYTES_MAX].decode(errors="replace") if root else event_id,
        partition,
        offset,
        _tries(found.get(HEADER_TRIES)),
    )


def _tries(header: bytes | None) -> int:
    """A header that others wrote may hold anything."""
    return int(header) if header and len(header) < TRIES_DIGITS_MAX and header.isdigit() else 0


def _time(header: bytes | None, message: Message) -> float:
    try:
        time = float(header) if header else 0.0
    except ValueError:
        time = 0.0
    if 0.0 < time < 1e11:  # noqa: PLR2004  seconds, not milliseconds
        return time
    return float(message.timestamp()[1]) / 1000.0


def headers_of(output: Output) -> Headers:
    """What travels beside the value."""
    headers: Headers = [(HEADER_ID, output.id.encode()), (HEADER_TIME, repr(output.time).encode())]
    if output.root != output.id:
        headers.append((HEADER_ROOT, output.root.encode()))
    return headers
