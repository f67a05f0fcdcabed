"""Topics, producing and reading for tests of stages, on the real broker."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import orjson
from confluent_kafka import Consumer, Message, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from dataplane.stages.audits import AuditBook
from dataplane.stages.events import Event, Work
from dataplane.stages.measures import Measures
from dataplane.stages.stage_loop import StageLoop, StagePlan
from localcloud.servers.kafka import KafkaServer
from services.provisioner.adapters.kafka_topics import config_of
from services.provisioner.domain.pipeline import TopicPlan
from shared.contracts.node import LETTER_BYTES_MAX, KafkaAccess
from shared.contracts.objects import RetryPolicy

DEADLINE_S = 90.0
LABELS = {"workspace": "default", "pipeline": "p", "stage": "s", "group": "g", "fleet": "g-r1", "revision": "1"}
QUICK = RetryPolicy(attempts=3, first_s=0.01, factor=2, max_s=0.05)


def access_of(kafka: KafkaServer) -> KafkaAccess:
    return KafkaAccess(bootstrap=kafka.bootstrap, username=kafka.username, password=kafka.password)


def make_topics(kafka: KafkaServer, *names: str, partitions: int = 4) -> None:
    make_topic_plans(kafka, [TopicPlan(n, partitions, bytes_max=LETTER_BYTES_MAX) for n in names])


def make_topic_plans(kafka: KafkaServer, topics: Sequence[TopicPlan]) -> None:
    admin = AdminClient({**kafka.client_settings(), "log_level": 0})
    for made in admin.create_topics([NewTopic(t.name, t.partitions, 1, config=config_of(t)) for t in topics]).values():
        made.result(DEADLINE_S)
    wait_until(lambda: _have_leaders(admin, topics), f"leaders of {', '.join(t.name for t in topics)}")


def _have_leaders(admin: AdminClient, topics: Sequence[TopicPlan]) -> bool:
    """A broker answers for a topic a little after it was made."""
    there = admin.list_topics(timeout=DEADLINE_S).topics
    leaders = [p.leader for t in topics if t.name in there for p in there[t.name].partitions.values()]
    return len(leaders) == sum(t.partitions for t in topics) and min(leaders) >= 0


def fill(kafka: KafkaServer, topic: str, values: Mapping[str, bytes], at: float | None = None) -> None:
    """Events by id, with our headers."""
    producer = Producer({**kafka.client_settings(), "acks": "all", "linger.ms": 20, "log_level": 0})
    event_time = repr(at or time.time()).encode()
    for event_id, value in values.items():
        headers: list[tuple[str, str | bytes | None]] = [("id", event_id.encode()), ("t", event_time)]
        while True:
            try:
                producer.produce(topic, value, event_id.encode(), headers=headers)
            except BufferError:
                producer.poll(0.1)
            else:
                break
    assert producer.flush(DEADLINE_S) == 0


def event(value: object, event_id: str = "e") -> Event:
    """One as a stage's work is given it."""
    return Event(event_id, 1.0, b"k", value if isinstance(value, bytes) else orjson.dumps(value), event_id, 0, 0)


def events(count: int, prefix: str = "e", pad: int = 0) -> dict[str, bytes]:
    return {f"{prefix}{n}": orjson.dumps({"id": f"{prefix}{n}", "n": n, "pad": "x" * pad}) for n in range(count)}


class Reader:
    """Reads topics from their beginning, without a group."""

    def __init__(self, kafka: KafkaServer, name: str, *topics: str) -> None:
        self._consumer = Consumer(
            {**kafka.client_settings(), "group.id": f"reader-{name}", "auto.offset.reset": "earliest", "log_level": 0}
        )
        self._consumer.subscribe(list(topics))
        self.messages: list[Message] = []

    def until(self, met: Callable[[list[Message]], bool], deadline_s: float = DEADLINE_S) -> list[Message]:
        """Read until the messages fit; fails at the deadline."""
        end = time.monotonic() + deadline_s
        while not met(self.messages):
            assert time.monotonic() < end, f"{len(self.messages)} messages after {deadline_s} s"
            self.messages += [m for m in self._consumer.consume(5000, 0.1) if m.error() is None]
        return self.messages

    def ids(self, count: int) -> set[str]:
        """Distinct ids, once there are `count`."""
        return {id_of(m) for m in self.until(lambda found: len({id_of(m) for m in found}) >= count)}

    def close(self) -> None:
        self._consumer.close()


@contextmanager
def reading(kafka: KafkaServer, name: str, *topics: str) -> Iterator[Reader]:
    reader = Reader(kafka, name, *topics)
    try:
        yield reader
    finally:
        reader.close()


def id_of(message: Message) -> str:
    return header(message, "id")


def fields_of(message: Message) -> Any:
    """The value's JSON."""
    value = message.value()
    assert isinstance(value, bytes)
    return orjson.loads(value)


def is_dead(message: Message) -> bool:
    return str(message.topic()).endswith(".dead")


def header(message: Message, name: str) -> str:
    value = dict(message.headers() or ())[name]
    assert isinstance(value, bytes)
    return value.decode()


def plan_of(kafka: KafkaServer, name: str, topics_out: Sequence[str], retry: RetryPolicy = QUICK) -> StagePlan:
    return StagePlan(
        name="s",
        access=access_of(kafka),
        client="i-1",
        topic_in=f"{name}.in",
        topics_out=tuple(topics_out),
        topic_dead=f"{name}.dead",
        consumer_group=f"{name}.group",
        retry=retry,
    )


@contextmanager
def running(plan: StagePlan, work: Work) -> Iterator[tuple[StageLoop, Measures, AuditBook]]:
    measures, book = Measures(LABELS, {}), AuditBook()
    loop = StageLoop(plan, work, measures, book)
    loop.start()
    try:
        yield loop, measures, book
    finally:
        loop.stop()


def wait_until(met: Callable[[], bool], what: str, deadline_s: float = DEADLINE_S) -> None:
    end = time.monotonic() + deadline_s
    while not met():
        assert time.monotonic() < end, f"not within {deadline_s} s: {what}"
        time.sleep(0.02)  # between looks; the condition decides


def value_of(lines: Sequence[str], name: str, **labels: str) -> float:
    """The sum of a metric's samples that carry the labels."""
    wanted = [f'{k}="{v}"' for k, v in labels.items()]
    found = [line for line in lines if line.startswith(f"{name}{{") and all(w in line for w in wanted)]
    return sum(float(line.rpartition(" ")[2]) for line in found)
