"""The broker's topics through its admin protocol. librdkafka blocks: every call runs in a thread."""

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic
from pydantic import SecretStr

from services.provisioner.domain.pipeline import TopicPlan
from shared.domain.errors import InvalidInput, Unavailable

CALL_S_MAX = 15.0
METADATA_S_MAX = 5.0
Result = TypeVar("Result")
LOG = logging.getLogger("headrace.kafka")


class KafkaTopics:
    """`Topics`."""

    def __init__(self, bootstrap: str, username: str, password: SecretStr, replicas: int) -> None:
        """The connection is made at the first call."""
        self._config = connection_of(bootstrap, username, password)
        self._replicas = replicas
        self._client: AdminClient | None = None
        self._lock = threading.Lock()

    async def ensure(self, topics: Sequence[TopicPlan]) -> None:
        """Make and grow; for no topic the broker is not asked."""
        if topics:
            await self._call(lambda admin: self._ensure(admin, topics))

    async def remove(self, names: Sequence[str]) -> None:
        """Delete."""
        wanted = frozenset(names)
        await self._call(lambda admin: _delete(admin, wanted.__contains__))

    async def remove_below(self, prefix: str) -> None:
        """Delete by the beginning of their names."""
        await self._call(lambda admin: _delete(admin, lambda name: name.startswith(prefix)))

    def _ensure(self, admin: AdminClient, topics: Sequence[TopicPlan]) -> None:
        there = {n: len(t.partitions) for n, t in admin.list_topics(timeout=METADATA_S_MAX).topics.items()}
        sized = [t for t in topics if not t.as_it_is]
        for topic in sized:
            if there.get(topic.name, 0) > topic.partitions:
                raise InvalidInput(
                    f"topic {topic.name}: {topic.partitions} partitions declared, it has {there[topic.name]}",
                    field="partitions",
                    remedy=f"a topic cannot shrink: declare partitions={there[topic.name]} or destroy the pipeline",
                )
        new = [
            NewTopic(t.name, t.partitions, self._replicas, config=config_of(t)) for t in topics if t.name not in there
        ]
        if new:
            _settle(admin.create_topics(new, operation_timeout=CALL_S_MAX), KafkaError.TOPIC_ALREADY_EXISTS)
        small = [NewPartitions(t.name, t.partitions) for t in sized if 0 < there.get(t.name, 0) < t.partitions]
        if small:
            _settle(admin.create_partitions(small, operation_timeout=CALL_S_MAX), KafkaError.INVALID_PARTITIONS)

    async def _call(self, act: Callable[[AdminClient], Result]) -> Result:
        def run() -> Result:
            with self._lock:
                if self._client is None:
                    self._client = AdminClient(self._config, logger=LOG)
                client = self._client
            try:
                return act(client)
            except KafkaException as e:
                text = e.args[0].str() if isinstance(e.args[0], KafkaError) else str(e)
                raise Unavailable(
                    f"kafka: {text}", remedy="it is retried; `headrace status` shows the broker", retry_after_s=2.0
                ) from e

        return await asyncio.to_thread(run)


def connection_of(bootstrap: str, username: str, password: SecretStr) -> dict[str, Any]:
    """What every client of the broker needs."""
    config: dict[str, Any] = {
        "bootstrap.servers": bootstrap,
        "log_level": 0,
        "socket.timeout.ms": int(CALL_S_MAX * 1000),
        "client.id": "headrace-provisioner",
    }
    if username:
        config |= {
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "PLAIN",
            "sasl.username": username,
            "sasl.password": password.get_secret_value(),
        }
    return config


def config_of(topic: TopicPlan) -> dict[str, str]:
    """What a new topic is made with."""
    config = {"max.message.bytes": str(topic.bytes_max)}
    return config if topic.kept_s is None else config | {"retention.ms": str(topic.kept_s * 1000)}


def _delete(admin: AdminClient, is_wanted: Callable[[str], bool]) -> None:
    wanted = [name for name in admin.list_topics(timeout=METADATA_S_MAX).topics if is_wanted(name)]
    if wanted:
        _settle(admin.delete_topics(wanted, operation_timeout=CALL_S_MAX), KafkaError.UNKNOWN_TOPIC_OR_PART)


def _settle(futures: dict[str, Any], harmless: int) -> None:
    for future in futures.values():
        try:
            future.result(timeout=CALL_S_MAX)
        except KafkaException as e:
            if e.args[0].code() != harmless:
                raise
