"""Dead letters on a real broker: listed, shown, and redriven once, whoever asks again or is fenced."""

import asyncio
from collections.abc import Mapping

import pytest
from confluent_kafka import Producer
from pydantic import SecretStr

from localcloud.servers.kafka import KafkaServer
from services.provisioner.adapters.kafka_dead_letters import KafkaDeadLetters
from services.provisioner.adapters.kafka_topics import connection_of
from services.provisioner.adapters.memory import MemoryPipelines
from services.provisioner.domain.pipeline import topics_of
from services.provisioner.operations.dead_letters import DeadLetterOffice
from services.provisioner.operations.translation import pipeline_intent
from shared.contracts.dead_letters import RedriveInput, RedriveReport, RedriveRequest
from shared.contracts.node import topic_dead, topic_in
from shared.contracts.objects import Pipeline
from shared.domain.errors import Conflict, NotFound
from shared.system import SystemClock
from tests.dataplane.streams import header, id_of, make_topic_plans, reading
from tests.provisioner.examples import departures

STAGE = "transform"


def connection(kafka: KafkaServer) -> dict[str, object]:
    return connection_of(kafka.bootstrap, kafka.username, SecretStr(kafka.password))


class Office:
    """A registered pipeline of its own, and what a stage would have given up."""

    def __init__(self, kafka: KafkaServer, name: str) -> None:
        self.kafka, self.pipeline = kafka, name
        self.pipelines = MemoryPipelines()
        self.topics = KafkaDeadLetters(connection(kafka))
        self.office = DeadLetterOffice(self.pipelines, self.topics, SystemClock())

    async def register(self) -> None:
        spec = Pipeline.model_validate(departures().model_dump() | {"name": self.pipeline, "partitions": 2})
        intent = pipeline_intent(spec, 1)
        await self.pipelines.register(intent)
        await asyncio.to_thread(make_topic_plans, self.kafka, [t for t in topics_of(intent) if STAGE in t.name])

    def give_up(self, events: Mapping[str, str]) -> None:
        """Ids with their reasons, as a stage writes them."""
        producer = Producer(connection(self.kafka))
        for event_id, reason in events.items():
            headers: list[tuple[str, str | bytes | None]] = [
                ("id", event_id.encode()),
                ("t", b"1700000000.5"),
                ("root", b"r"),
                ("reason", reason.encode()),
                ("class", b"non_recoverable"),
                ("tries", b"2"),
            ]
            producer.produce(topic_dead(self.pipeline, STAGE), event_id.encode(), b"k", headers=headers)
        assert producer.flush(60) == 0

    async def redrive(self, **request: object) -> RedriveReport:
        asked = RedriveRequest.model_validate({"rate": 5000} | request)
        return await self.office.redrive(
            RedriveInput(pipeline=self.pipeline, stage=STAGE, request=asked, request_id="op-1")
        )

    async def waiting(self) -> list[str]:
        found = await self.office.list(self.pipeline, STAGE, 100, "", include_redriven=False)
        assert found.waiting == len(found.items)
        return [letter.id for letter in found.items]


@pytest.fixture
async def office(kafka: KafkaServer, unique_name: str) -> Office:
    made = Office(kafka, unique_name)
    await made.register()
    return made


async def test_letters_are_listed_without_values_shown_with_them_and_redriven_once(office: Office) -> None:
    office.give_up({"a": "Airport", "b": "Http422", "c": "Airport"})
    listed = (await office.office.list(office.pipeline, STAGE, 2, "", include_redriven=False)).items
    assert [(x.id, x.reason, x.value, x.tries) for x in listed] == [("c", "Airport", "", 2), ("b", "Http422", "", 2)]
    shown = await office.office.get(office.pipeline, STAGE, listed[0].offset)
    assert (shown.value, shown.event_time, shown.kind, shown.key) == ("c", 1700000000.5, "non_recoverable", "k")
    assert await office.redrive(reason="Airport") == RedriveReport(redriven=2)
    assert await office.waiting() == ["b"]
    assert await office.redrive() == RedriveReport(redriven=1, already=2)
    assert await office.redrive() == RedriveReport(already=3)
    with reading(office.kafka, office.pipeline, topic_in(office.pipeline, STAGE)) as reader:
        found = reader.until(lambda got: len(got) >= 3)
    assert sorted(id_of(m) for m in found) == ["a", "b", "c"]
    assert {(header(m, "t"), header(m, "root"), m.value()) for m in found if id_of(m) == "b"} == {
        ("1700000000.5", "r", b"b")
    }
    assert "tries" not in dict(found[0].headers() or ())
    gone = await office.office.list(office.pipeline, STAGE, 100, "", include_redriven=True)
    assert (gone.waiting, [x.redriven for x in gone.items]) == (0, [True] * 3)


async def test_a_redrive_that_another_has_overtaken_sends_nothing_more(office: Office) -> None:
    office.give_up({"a": "Airport", "b": "Airport"})
    shelf = await office.topics.read(topic_dead(office.pipeline, STAGE))
    dead, back = topic_dead(office.pipeline, STAGE), topic_in(office.pipeline, STAGE)
    async with office.topics.redrive(dead, back) as slow:
        assert await office.redrive(offsets=[shelf.letters[0].offset]) == RedriveReport(redriven=1)
        with pytest.raises(Conflict):
            await slow.send(shelf.letters)
    assert await office.waiting() == ["b"]


async def test_what_is_not_there_is_named(office: Office) -> None:
    with pytest.raises(NotFound, match="pipeline nowhere"):
        await office.office.list("nowhere", STAGE, 10, "", include_redriven=False)
    with pytest.raises(NotFound, match="name one of") as caught:
        await office.office.list(office.pipeline, "ingest", 10, "", include_redriven=False)
    assert STAGE in caught.value.remedy
    with pytest.raises(NotFound, match="dead letter 99"):
        await office.office.get(office.pipeline, STAGE, 99)
