"""A redrive writes in transactions, whose ends are records of the topic that no stage sees: they are no backlog."""

import time

from confluent_kafka import Consumer, Producer, TopicPartition

from dataplane.stages.normalizing import Normalizing
from localcloud.servers.kafka import KafkaServer
from shared.contracts.objects import Normalize
from tests.dataplane.streams import DEADLINE_S, make_topics, plan_of, reading, running, wait_until

PARTITIONS = 4


def in_a_transaction(kafka: KafkaServer, topic: str, count: int, *, commit: bool) -> None:
    settings = {**kafka.client_settings(), "transactional.id": f"{topic}.redrive", "log_level": 0}
    producer = Producer(settings)
    producer.init_transactions(DEADLINE_S)
    producer.begin_transaction()
    for n in range(count):
        headers: list[tuple[str, str | bytes | None]] = [("id", f"e{n}".encode()), ("t", repr(time.time()).encode())]
        producer.produce(topic, b"{}", f"e{n}".encode(), partition=n % PARTITIONS, headers=headers)
    assert producer.flush(DEADLINE_S) == 0
    if commit:
        producer.commit_transaction(DEADLINE_S)
    else:
        producer.abort_transaction(DEADLINE_S)


def test_a_stage_commits_past_the_end_of_transactions(kafka: KafkaServer, unique_name: str) -> None:
    make_topics(kafka, *(f"{unique_name}.{t}" for t in ("in", "out", "dead")), partitions=PARTITIONS)
    topic = f"{unique_name}.in"
    in_a_transaction(kafka, topic, 8, commit=True)
    watching = Consumer({**kafka.client_settings(), "group.id": f"{unique_name}.group", "log_level": 0})

    def backlog() -> int:
        places = [TopicPartition(topic, p) for p in range(PARTITIONS)]
        ends = [watching.get_watermark_offsets(p, DEADLINE_S)[1] for p in places]
        return sum(ends) - sum(max(0, p.offset) for p in watching.committed(places, DEADLINE_S))

    try:
        with (
            running(plan_of(kafka, unique_name, [f"{unique_name}.out"]), Normalizing(Normalize())),
            reading(kafka, unique_name, f"{unique_name}.out") as reader,
        ):
            assert reader.ids(8) == {f"e{n}" for n in range(8)}
            wait_until(lambda: backlog() == 0, "the ends of the transaction are committed")
            in_a_transaction(kafka, topic, 4, commit=False)
            wait_until(lambda: backlog() == 0, "what was taken back is no backlog")
            assert len(reader.messages) == 8
    finally:
        watching.close()
