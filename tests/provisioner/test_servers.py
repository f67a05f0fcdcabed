"""Topics on a real Kafka, the mirror on a real Valkey."""

import asyncio
import json
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient
from pydantic import SecretStr
from redis.asyncio import Redis

from localcloud.servers.kafka import KafkaServer
from localcloud.servers.valkey import ValkeyServer
from services.provisioner.adapters.kafka_topics import KafkaTopics
from services.provisioner.adapters.redis_routes import RedisRoutes
from services.provisioner.domain.pipeline import TopicPlan
from shared.contracts.node import routes_key
from shared.domain.errors import InvalidInput, Unavailable
from shared.domain.names import GroupName, Workspace
from shared.redis import redis_client
from tests.sim.world.pipelines import SimTopics

pytestmark = pytest.mark.slow
METADATA_S_MAX = 60.0
W, G = Workspace("default"), GroupName("delays")


def topics_of(kafka: KafkaServer) -> KafkaTopics:
    settings = kafka.client_settings()
    password = SecretStr(settings.get("sasl.password", ""))
    return KafkaTopics(kafka.bootstrap, settings.get("sasl.username", ""), password, 1)


async def shows(kafka: KafkaServer, prefix: str, expected: dict[str, int]) -> None:
    """Wait until the broker's metadata shows exactly these topics: it follows a change a little later."""
    admin = AdminClient(kafka.client_settings())
    seen: dict[str, int] | None = None
    async with asyncio.timeout(METADATA_S_MAX):
        while seen != expected:
            there = (await asyncio.to_thread(admin.list_topics, timeout=60)).topics
            seen = {name: len(t.partitions) for name, t in there.items() if name.startswith(prefix)}


async def test_topics_are_made_grown_and_removed(kafka: KafkaServer, unique_name: str) -> None:
    topics = topics_of(kafka)
    plans = [TopicPlan(f"{unique_name}.a", 2), TopicPlan(f"{unique_name}.dead", 1)]
    await topics.ensure(plans)
    await topics.ensure(plans)
    await shows(kafka, unique_name, {f"{unique_name}.a": 2, f"{unique_name}.dead": 1})
    await topics.ensure([TopicPlan(f"{unique_name}.a", 5)])
    await shows(kafka, unique_name, {f"{unique_name}.a": 5, f"{unique_name}.dead": 1})
    with pytest.raises(InvalidInput, match=r"2 partitions declared, it has 5") as caught:
        await topics.ensure([TopicPlan(f"{unique_name}.a", 2)])
    assert "partitions=5" in caught.value.remedy
    await topics.ensure([TopicPlan(f"{unique_name}.a", 2, as_it_is=True)])
    await shows(kafka, unique_name, {f"{unique_name}.a": 5, f"{unique_name}.dead": 1})
    await topics.remove([f"{unique_name}.a", f"{unique_name}.dead", f"{unique_name}.never"])
    await shows(kafka, unique_name, {})


async def test_a_broker_that_is_away_is_unavailable(unique_name: str) -> None:
    with pytest.raises(Unavailable, match="kafka"):
        await KafkaTopics("127.0.0.1:1", "", SecretStr(""), 1).ensure([TopicPlan(unique_name, 1)])


def document(generation: int, **more: Any) -> str:
    return json.dumps({"group": G, "generation": generation, **more})


async def test_the_mirror_goes_only_forward_and_comes_back_after_a_loss(empty_valkey: ValkeyServer) -> None:
    redis: Redis = redis_client(SecretStr(empty_valkey.url))
    try:
        heard = redis.pubsub()
        await heard.subscribe(routes_key(W, G))
        mirror = RedisRoutes(redis)
        assert await mirror.restore(W, {G: document(3)}) == (G,)
        assert await mirror.restore(W, {G: document(3)}) == ()
        assert await mirror.restore(W, {G: document(2, old=True)}) == ()
        assert await redis.get(routes_key(W, G)) == document(3)
        await redis.flushall()
        assert await mirror.restore(W, {G: document(3)}) == (G,)
        messages = [await heard.get_message(timeout=30) for _ in range(3)]
        assert [m["data"] for m in messages if m and m["type"] == "message"] == [document(3), document(3)]
        await heard.aclose()  # type: ignore[no-untyped-call]  # redis-py has no types here
    finally:
        await redis.aclose()


async def test_a_mirror_that_is_away_is_unavailable() -> None:
    redis = redis_client(SecretStr("redis://127.0.0.1:1/0"))
    try:
        with pytest.raises(Unavailable, match="redis"):
            await RedisRoutes(redis).restore(W, {G: document(1)})
    finally:
        await redis.aclose()


async def test_topics_of_the_simulator_answer_as_the_broker_does(kafka: KafkaServer, unique_name: str) -> None:
    a, b, c = (f"{unique_name}.{letter}" for letter in "abc")
    script: tuple[tuple[str, Any], ...] = (
        ("ensure", [TopicPlan(a, 2), TopicPlan(b, 1)]),
        ("ensure", [TopicPlan(a, 4), TopicPlan(c, 3, as_it_is=True)]),
        ("ensure", [TopicPlan(c, 3), TopicPlan(a, 3)]),  # refused as a whole
        ("ensure", [TopicPlan(a, 1, as_it_is=True), TopicPlan(b, 2)]),
        ("remove", [b, f"{unique_name}.never"]),
        ("remove_below", f"{unique_name}."),
    )
    real, simulated = topics_of(kafka), SimTopics()
    refused = 0
    for verb, given in script:
        said: list[str] = []
        for topics in (real, simulated):
            try:
                await getattr(topics, verb)(given)
                said.append("done")
            except InvalidInput as e:
                said.append(e.field)
        assert said[0] == said[1], (verb, given)
        refused += said[0] != "done"
        await shows(kafka, unique_name, simulated.there)
    assert refused == 1
