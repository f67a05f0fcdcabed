"""Kafka: one broker that is its own controller (KRaft). Clients log in (SASL/PLAIN)."""

import logging
import shutil
import subprocess
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from localcloud.errors import NotReadyError, ToolMissingError
from localcloud.ports import LOOPBACK, answers
from localcloud.process import Launch, StackProcess

ROOT = Path(__file__).resolve().parents[2]
USERNAME = "headrace"
PROBE_S_MAX = 2.0
FORMAT_S_MAX = 60.0
HEAP = "256m"
JVM = (f"-Xmx{HEAP}", f"-Xms{HEAP}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true")
STOPPED_BY_SIGTERM = 143
LOGGING = """\
Configuration:
  status: warn
  Appenders:
    Console: {name: C, PatternLayout: {pattern: "%d{ISO8601} %p %m (%c{1})%n"}}
  Loggers:
    Root: {level: warn, AppenderRef: {ref: C}}
"""
# Short sessions: a broker that was killed is back in seconds, and a consumer's partitions move in seconds.
CONFIGURATION = """\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers={host}:{controller_port}
listeners=CLIENT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=CLIENT://{host}:{port},CONTROLLER://{host}:{controller_port}
controller.listener.names=CONTROLLER
inter.broker.listener.name=CLIENT
listener.security.protocol.map=CLIENT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT
sasl.enabled.mechanisms=PLAIN
sasl.mechanism.inter.broker.protocol=PLAIN
listener.name.client.plain.sasl.jaas.config={login}
log.dirs={directory}/data
num.partitions=12
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
group.consumer.heartbeat.interval.ms=500
group.consumer.min.heartbeat.interval.ms=500
group.consumer.session.timeout.ms=6000
group.consumer.min.session.timeout.ms=6000
group.min.session.timeout.ms=1000
log.segment.bytes=67108864
log.retention.hours=2
log.cleaner.dedupe.buffer.size=16777216
broker.session.timeout.ms=6000
broker.heartbeat.interval.ms=500
num.network.threads=2
num.io.threads=4
background.threads=2
"""


class KafkaServer(StackProcess):
    """A broker that keeps its log in `directory`."""

    name = "kafka"
    stop_s_max = 20.0

    def __init__(self, directory: Path, port: int, controller_port: int, password: str, log: Path) -> None:
        """The password is put in a file of mode 0600."""
        super().__init__(log)
        self._directory = directory
        self.port = port
        self._controller_port = controller_port
        self.username = USERNAME
        self.password = password

    def ports(self) -> tuple[int, ...]:
        """The clients' port and the controller's."""
        return (self.port, self._controller_port)

    @property
    def bootstrap(self) -> str:
        """`host:port` for clients."""
        return f"{LOOPBACK}:{self.port}"

    def client_settings(self) -> dict[str, Any]:
        """What every librdkafka client needs to log in."""
        return {
            "bootstrap.servers": self.bootstrap,
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanisms": "PLAIN",
            "sasl.username": self.username,
            "sasl.password": self.password,
        }

    def prepare(self) -> None:
        """Write the configuration; format the storage at the first start."""
        self._directory.mkdir(parents=True, exist_ok=True)
        login = (
            "org.apache.kafka.common.security.plain.PlainLoginModule required "
            f'username="{self.username}" password="{self.password}" user_{self.username}="{self.password}";'
        )
        file = self._directory / "server.properties"
        file.touch(mode=0o600)
        file.write_text(
            CONFIGURATION.format(
                host=LOOPBACK,
                port=self.port,
                controller_port=self._controller_port,
                directory=self._directory,
                login=login,
            )
        )
        (self._directory / "log4j2.yaml").write_text(LOGGING)
        if (self._directory / "data" / "meta.properties").exists():
            return
        cluster = cluster_id(uuid.uuid4())
        arguments = ("format", "-t", cluster, "-c", str(file), "--standalone", "--ignore-formatted")
        done = subprocess.run(
            [*self._java(), "kafka.tools.StorageTool", *arguments],
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=FORMAT_S_MAX,
        )
        if done.returncode:
            raise NotReadyError(f"kafka: formatting its storage ended with {done.returncode}: {done.stderr[-400:]}")

    def launch(self) -> Launch:
        """The broker itself."""
        command = (*self._java(), "kafka.Kafka", str(self._directory / "server.properties"))
        return Launch(command, self._environment(), directory=self._directory)

    def is_ready(self) -> bool:
        """Whether it answers for its cluster."""
        if not answers(self.port):
            return False
        quiet = logging.Logger("kafka-probe", logging.CRITICAL)  # noqa: LOG001  thrown away with the client
        client = AdminClient({**self.client_settings(), "log_level": 0, "socket.timeout.ms": 1000}, logger=quiet)
        try:
            return bool(client.list_topics(timeout=PROBE_S_MAX).brokers)
        except KafkaException:
            return False

    def _java(self) -> tuple[str, ...]:
        java = shutil.which("java")
        if not java:
            raise ToolMissingError("kafka: java is not on the PATH: install Java 17 or newer, then run `make setup`.")
        libraries = ROOT / ".tools" / "kafka" / "libs"
        if not libraries.is_dir():
            raise ToolMissingError("kafka: its jars are not there: run `make setup`, which gets them.")
        logging_file = f"-Dlog4j2.configurationFile={self._directory / 'log4j2.yaml'}"
        return (java, *JVM, logging_file, "-cp", f"{libraries}/*")

    def _environment(self) -> dict[str, str]:
        return {"PATH": "/usr/bin:/bin", "HOME": str(self._directory)}


def cluster_id(chosen: uuid.UUID) -> str:
    """Kafka's spelling of an id: 22 characters. One that starts with a dash would be read as an option.

    >>> cluster_id(uuid.UUID(bytes=bytes([248] + [0] * 15)))
    'eAAAAAAAAAAAAAAAAAAAAA'
    """
    raw = bytes([chosen.bytes[0] & 0x7F]) + chosen.bytes[1:]  # the first character is then one of A-Z and a-f
    return urlsafe_b64encode(raw).decode().rstrip("=")
