"""The process as it is started, on real servers: it judges what flows, admits by it, and leads again after a kill."""

import functools
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import httpx
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from localcloud import ports
from localcloud.certificates import DevelopmentAuthority
from localcloud.servers.kafka import KafkaServer
from localcloud.servers.postgres import SchemaAccess
from localcloud.servers.prometheus import PrometheusServer
from localcloud.servers.temporal import TemporalServer
from localcloud.servers.valkey import ValkeyServer
from shared.clients.observer import ObserverClient
from shared.contracts.admission import TTL_S_MAX, BeginInput, EndInput, HeartbeatInput, VerdictModel
from shared.domain.activity import ActivityKind, ActivityOutcome, HolderAsk
from shared.domain.errors import HeadraceError, NotFound, Unavailable
from shared.grpc.client import open_channel
from tests.kafka_patience import patiently
from tests.observer.neighbours import (
    DELAYS,
    ENTRY,
    Declared,
    NodeMetrics,
    aws_is_up,
    create_fleet,
    group_model,
    pipeline_model,
    running_aws,
)
from tests.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]
STOP_S_MAX = 90.0


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> DevelopmentAuthority:
    return DevelopmentAuthority(tmp_path_factory.mktemp("tls"), "test")


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_aws(tmp_path_factory.mktemp("aws") / "log") as url:
        yield url


class Observer:
    """A running process, started again with the same environment."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self.environment, self.log = environment, log
        self.process = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as sink:
            command = [sys.executable, "-m", "services.observer"]
            return subprocess.Popen(command, cwd=ROOT, env=self.environment, stderr=sink)

    def kill_and_restart(self) -> None:
        self.process.kill()
        self.process.wait(STOP_S_MAX)
        self.process = self._start()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_S_MAX)


class World:
    """Everything around it."""

    def __init__(self, observer: Observer, client: ObserverClient, nodes: list[NodeMetrics], topic: str) -> None:
        self.observer, self.client, self.nodes, self.topic = observer, client, nodes, topic

    async def verdict(self, scope: str) -> VerdictModel | None:
        assert self.observer.process.poll() is None, self.observer.log.read_text()
        try:
            return await self.client.verdict(scope)
        except (Unavailable, NotFound):
            return None

    async def until(self, scope: str, state: str, within_s: float = 90.0) -> VerdictModel:
        last: list[VerdictModel | None] = [None]

        async def look() -> VerdictModel | None:
            last[0] = await self.verdict(scope)
            return last[0] if last[0] and last[0].effective == state else None

        try:
            return await eventually(look, within_s)
        except TimeoutError:
            raise AssertionError(f"{scope} is {last[0]}, not {state}") from None


def produce(kafka: KafkaServer, topic: str, count: int) -> None:
    producer = Producer({**kafka.client_settings(), "log_level": 0})
    for i in range(count):
        producer.produce(topic, value=b"{}", key=str(i))
    assert producer.flush(60) == 0


def commit_all_but(kafka: KafkaServer, topic: str, left: int) -> None:
    """Commit the end of each partition less `left` in partition 0, as the stage's consumer group."""
    consumer = Consumer({**kafka.client_settings(), "group.id": topic, "log_level": 0, "enable.auto.commit": False})
    offsets = []
    for partition in range(2):
        place = TopicPartition(topic, partition)
        _, high = patiently(functools.partial(consumer.get_watermark_offsets, place, timeout=60))
        offsets.append(TopicPartition(topic, partition, high - (left if partition == 0 else 0)))
    committed = patiently(lambda: consumer.commit(offsets=offsets, asynchronous=False))
    assert committed is not None
    assert [place.error for place in committed if place.error] == []
    consumer.close()


@pytest.fixture
async def world(
    database: Callable[[str], SchemaAccess],
    empty_valkey: ValkeyServer,
    prometheus: PrometheusServer,
    temporal: TemporalServer,
    kafka: KafkaServer,
    authority: DevelopmentAuthority,
    aws: str,
    unique_name: str,
    tmp_path: Path,
) -> AsyncIterator[World]:
    async def up() -> bool | None:
        return aws_is_up(aws) or None

    await eventually(up)
    ids = {"entry": create_fleet(aws, "entry", 1, 1), "delays": create_fleet(aws, "delays", 1, 2)}
    topic = unique_name
    admin = AdminClient({**kafka.client_settings(), "log_level": 0})
    admin.create_topics([NewTopic(topic, 2, 1)])[topic].result(60)
    declared = Declared()
    declared.groups = [group_model(ENTRY), group_model(DELAYS, topic=topic)]
    declared.pipelines = [pipeline_model()]
    provisioner = declared.server("127.0.0.1:0", authority.service("provisioner"))
    await provisioner.start()
    nodes = [NodeMetrics("default", group, f"{group}-r1", node) for group in ids for node in ids[group]]
    prometheus.scrape([{"job_name": "nodes", "static_configs": [{"targets": [n.target for n in nodes]}]}])
    listen, metrics = (f"127.0.0.1:{ports.choose()}" for _ in range(2))
    schema = database("observer")
    settings = kafka.client_settings()
    environment = {
        "PATH": os.environ["PATH"],
        "HEADRACE_PROFILE": "demo",
        "HEADRACE_DATABASE_URL": schema.url,
        "HEADRACE_DATABASE_SCHEMA": schema.schema,
        "HEADRACE_REDIS_URL": empty_valkey.url,
        "HEADRACE_TEMPORAL_ADDRESS": temporal.address,
        "HEADRACE_TEMPORAL_NAMESPACE": temporal.namespace,
        "HEADRACE_PROMETHEUS_URL": prometheus.url,
        "HEADRACE_PROMETHEUS_USERNAME": prometheus.username,
        "HEADRACE_PROMETHEUS_PASSWORD": prometheus.password,
        "HEADRACE_KAFKA_BOOTSTRAP": settings["bootstrap.servers"],
        "HEADRACE_KAFKA_USERNAME": settings["sasl.username"],
        "HEADRACE_KAFKA_PASSWORD": settings["sasl.password"],
        "HEADRACE_TLS_DIR": str(authority.service("observer")),
        "HEADRACE_LISTEN": listen,
        "HEADRACE_METRICS_LISTEN": metrics,
        "HEADRACE_PROVISIONER_ADDRESS": provisioner.address,
        "AWS_ENDPOINT_URL": aws,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
    }
    observer = Observer(environment, tmp_path / "observer.log")
    channel = open_channel(listen, authority.service("deployer"))
    yield World(observer, ObserverClient(channel), nodes, topic)
    await channel.close()
    if observer.process.poll() is None:
        observer.process.kill()
        observer.process.wait(STOP_S_MAX)
    for node in nodes:
        node.close()
    prometheus.scrape([])
    await provisioner.stop()
    async with httpx.AsyncClient(trust_env=False) as http:
        await http.post(f"{aws}/moto-api/reset")


def deploy(request_id: str, scope: str = "group/delays") -> BeginInput:
    return BeginInput(
        kind=ActivityKind.DEPLOY, scope=scope, ttl_s=TTL_S_MAX, request_id=request_id, holder="deploy/delays"
    )


@pytest.mark.slow
@pytest.mark.timeout(600)  # the servers start within it
async def test_judges_admits_and_survives(world: World, kafka: KafkaServer) -> None:  # noqa: PLR0915
    """One long story, because the servers take longer to start than the story takes to tell."""
    produce(kafka, world.topic, 200)
    commit_all_but(kafka, world.topic, 0)
    healthy = await world.until("group/delays", "HEALTHY")
    assert healthy.coverage_expected == healthy.coverage_reporting == 2
    assert healthy.observed_generation == 3
    assert healthy.signals["lag_p95_s"] == pytest.approx(0.5, abs=0.2)
    assert healthy.signals["backlog"] == 0
    await world.until("pipeline/departures", "HEALTHY")
    await world.until("system", "HEALTHY")

    granted = await world.client.begin(deploy("story-1"))
    assert granted.outcome == "granted", granted
    assert granted.lease is not None
    again = await world.client.begin(deploy("story-1"))
    assert again.lease == granted.lease
    blocked = await world.client.begin(deploy("story-2"))
    assert [r.code for r in blocked.reasons] == ["DeployRunning"]
    lease = HeartbeatInput(activity_id=granted.lease.activity_id, token=granted.lease.token, before_step=True)
    assert (await world.client.heartbeat(lease)).ask is HolderAsk.GO_ON

    for node in world.nodes[1:]:
        node.fail_share = 0.2
    bad = await world.until("group/delays", "UNHEALTHY")
    assert [r.code for r in bad.reasons] == ["ErrorsOverSlo"]
    held = await world.client.heartbeat(lease)
    assert held.ask is HolderAsk.PARK
    assert {r.code for r in held.reasons} >= {"VerdictUnhealthy"}
    assert any(a.alarm_class == "errors" and a.scope == "group/delays" for a in await world.client.alarms())
    for node in world.nodes[1:]:
        node.fail_share = 0.0
    await world.until("group/delays", "HEALTHY")
    await world.until("system", "HEALTHY")
    assert (await world.client.heartbeat(lease)).ask is HolderAsk.GO_ON

    world.observer.kill_and_restart()

    async def ticks_again() -> VerdictModel | None:
        seen = await world.verdict("group/delays")
        return seen if seen and seen.epoch > healthy.epoch and seen.effective == "HEALTHY" else None

    await eventually(ticks_again, 90)
    end = EndInput(activity_id=lease.activity_id, token=lease.token, outcome=ActivityOutcome.DONE)
    await world.client.end(end)
    await world.client.end(end)
    assert (await world.client.heartbeat(lease)).ask is HolderAsk.STOP

    produce(kafka, world.topic, 3_000)
    commit_all_but(kafka, world.topic, 1_000)

    async def sees_backlog() -> VerdictModel | None:
        seen = await world.verdict("group/delays")
        waits = seen is not None and seen.signals.get("backlog") == 1_000
        return seen if seen and waits and seen.signals["arrival_rate"] < 400 else None

    await eventually(sees_backlog, 90)
    async with httpx.AsyncClient(trust_env=False) as http:
        page = (await http.get(f"http://{world.observer.environment['HEADRACE_METRICS_LISTEN']}/metrics")).text
    labels = 'group="delays",partition="0",pipeline="departures",stage="transform"'
    assert f"headrace_topic_end_offset{{{labels}" in page
    assert "headrace_group_committed_offset" in page
    shrink = BeginInput(kind=ActivityKind.SCALE_IN, scope="group/delays", ttl_s=30, request_id="s-1", holder="scale")
    refused = await world.client.begin(shrink)
    assert "Backlog" in [r.code for r in refused.reasons]
    with pytest.raises(HeadraceError, match="is not a scope"):
        await world.client.begin(deploy("story-3", scope="nonsense"))
    assert world.observer.stop() == 0
    log = world.observer.log.read_text()
    late = ("Unavailable", "Timeout")  # what a tick on a busy machine may say, and goes on
    assert [line for line in log.splitlines() if "Traceback" in line and not any(word in line for word in late)] == []
    assert "password" not in log.lower().replace("[redacted]", "")
