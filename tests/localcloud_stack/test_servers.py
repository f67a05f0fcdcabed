"""Each server of the stack, as the supervisor starts it: it wants its password, and survives being killed."""

import os
import time
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import redis
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic
from redis.backoff import NoBackoff
from redis.retry import Retry
from temporalio.client import Client

from localcloud import ports
from localcloud.errors import NotReadyError, PortInUseError
from localcloud.servers.kafka import KafkaServer
from localcloud.servers.postgres import PostgresServer
from localcloud.servers.prometheus import PrometheusServer
from localcloud.servers.temporal import SEARCH_ATTRIBUTES, TemporalServer
from localcloud.servers.valkey import ValkeyServer
from tests.temporal_namespaces import connected


def test_postgres_wants_the_password(postgres: PostgresServer) -> None:
    with postgres.connect() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(host="127.0.0.1", port=postgres.port, user="postgres", password="wrong", dbname="postgres")


def test_a_service_role_reaches_its_own_schema_only(postgres: PostgresServer, unique_name: str) -> None:
    postgres.create_database(unique_name)
    mine = postgres.create_schema(unique_name, "mine", f"{unique_name}_mine", "one")
    postgres.create_schema(unique_name, "theirs", f"{unique_name}_theirs", "two")
    try:
        with psycopg.connect(mine.url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("CREATE TABLE kept (n int)")
            connection.execute("INSERT INTO mine.kept VALUES (1)")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("CREATE TABLE theirs.taken (n int)")
    finally:
        postgres.drop_database(unique_name)
        with postgres.connect() as connection:
            for role in ("mine", "theirs"):
                connection.execute(f'DROP ROLE "{unique_name}_{role}"'.encode())


def test_valkey_wants_the_password(empty_valkey: ValkeyServer) -> None:
    with redis.Redis.from_url(empty_valkey.url) as client:
        client.set("a", "b")
        assert client.get("a") == b"b"
    with (
        redis.Redis(port=empty_valkey.port, retry=Retry(NoBackoff(), 0)) as stranger,
        pytest.raises(redis.AuthenticationError),
    ):
        stranger.ping()


async def test_temporal_has_the_namespace_and_the_search_attributes(temporal_server: TemporalServer) -> None:
    from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest

    address, namespace = temporal_server.address, temporal_server.namespace
    client = await connected(lambda: Client.connect(address, namespace=namespace))
    known = await client.operator_service.list_search_attributes(ListSearchAttributesRequest(namespace="headrace"))
    assert set(SEARCH_ATTRIBUTES) <= set(known.custom_attributes)


def test_prometheus_wants_the_password(prometheus: PrometheusServer) -> None:
    query = f"{prometheus.url}/api/v1/query?query=vector(1)"
    assert httpx.get(query).status_code == 401
    answer = httpx.get(query, auth=(prometheus.username, prometheus.password)).json()
    assert answer["data"]["result"][0]["value"][1] == "1"


def test_prometheus_says_what_is_wrong_with_a_configuration(prometheus: PrometheusServer) -> None:
    with pytest.raises(NotReadyError, match="job_name"):
        prometheus.scrape([{"job_name": ""}])
    prometheus.scrape([])


def test_kafka_carries_a_message(kafka: KafkaServer, unique_name: str) -> None:
    admin = AdminClient(kafka.client_settings())
    admin.create_topics([NewTopic(unique_name, num_partitions=1, replication_factor=1)])[unique_name].result(60)
    producer = Producer({**kafka.client_settings(), "acks": "all"})
    producer.produce(unique_name, b"hello")
    assert producer.flush(60) == 0
    consumer = Consumer({**kafka.client_settings(), "group.id": unique_name, "auto.offset.reset": "earliest"})
    consumer.subscribe([unique_name])
    try:
        message = consumer.poll(60)
        assert message is not None
        assert message.value() == b"hello"
    finally:
        consumer.close()


def test_kafka_turns_a_wrong_password_away(kafka: KafkaServer) -> None:
    failures: list[str] = []
    settings: dict[str, Any] = {**kafka.client_settings(), "sasl.password": "wrong", "log_level": 0}
    settings["error_cb"] = lambda error: failures.append(str(error))
    client = AdminClient(settings)
    deadline = time.monotonic() + 60
    while not failures and time.monotonic() < deadline:
        client.poll(0.2)
    assert any("uthentication" in failure for failure in failures), failures


def test_postgres_keeps_what_was_committed_through_a_kill(server_directory: Path, unique_name: str) -> None:
    log = server_directory / f"{unique_name}.log"
    server = PostgresServer(server_directory / unique_name, ports.choose(), "pw", log)
    server.start()
    try:
        with server.connect() as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
        server.kill()
        assert not server.alive()
        server.start()
        with server.connect() as connection:
            assert connection.execute("SELECT n FROM kept").fetchone() == (7,)
    finally:
        server.stop()
    assert server.exit_code == 0


def test_a_port_in_use_is_said_with_its_holder(server_directory: Path, unique_name: str, valkey: ValkeyServer) -> None:
    other = ValkeyServer(server_directory / unique_name, valkey.port, "pw", server_directory / f"{unique_name}.log")
    with pytest.raises(PortInUseError, match=rf"port {valkey.port}.*valkey.*in use by process {valkey.pid}"):
        other.start()


def test_a_server_that_dies_at_once_gives_its_last_words(server_directory: Path, unique_name: str) -> None:
    directory = server_directory / unique_name
    (directory / "appendonlydir").mkdir(parents=True)
    (directory / "appendonlydir" / "appendonly.aof.manifest").write_text("nonsense\n")
    server = ValkeyServer(directory, ports.choose(), "pw", server_directory / f"{unique_name}.log")
    with pytest.raises(NotReadyError, match=r"valkey ended with 1 before it was ready(.|\n)*manifest"):
        server.start()


def test_stopping_also_ends_what_was_started(server_directory: Path, unique_name: str) -> None:
    server = PostgresServer(
        server_directory / unique_name, ports.choose(), "pw", server_directory / f"{unique_name}.log", durable=False
    )
    server.start()
    leader = server.pid
    assert leader is not None
    server.stop()
    with pytest.raises(ProcessLookupError):
        os.killpg(leader, 0)


async def test_time_skipping(time_skipping: object) -> None:
    from temporalio.testing import WorkflowEnvironment

    assert isinstance(time_skipping, WorkflowEnvironment)
    before = await time_skipping.get_current_time()
    await time_skipping.sleep(3600)
    assert (await time_skipping.get_current_time() - before).total_seconds() >= 3600
