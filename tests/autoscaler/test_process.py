"""The process as it is started: up on real servers, blind without its neighbours, and gone when told."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from localcloud import ports
from localcloud.certificates import DevelopmentAuthority
from localcloud.servers.postgres import SchemaAccess
from localcloud.servers.prometheus import PrometheusServer
from localcloud.servers.temporal import TemporalServer
from shared.clients.autoscaler import AutoscalerClient
from shared.domain.errors import NotFound, Unavailable
from shared.grpc.client import open_channel
from tests.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]
STOP_S_MAX = 90.0


class Started:
    """A running Autoscaler."""

    def __init__(self, environment: dict[str, str], log: Path, address: str, metrics: str) -> None:
        self.address, self.metrics, self.log = address, metrics, log
        with log.open("wb") as sink:
            command = [sys.executable, "-m", "services.autoscaler"]
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=sink)

    def stopped(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_S_MAX)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> DevelopmentAuthority:
    return DevelopmentAuthority(tmp_path_factory.mktemp("tls"), "test")


@pytest.fixture
def started(
    database: Callable[[str], SchemaAccess],
    prometheus: PrometheusServer,
    temporal: TemporalServer,
    authority: DevelopmentAuthority,
    tmp_path: Path,
) -> Iterator[Started]:
    schema = database("autoscaler")
    listen, metrics, nobody = (f"127.0.0.1:{ports.choose()}" for _ in range(3))
    environment = {
        "PATH": os.environ["PATH"],
        "HEADRACE_PROFILE": "demo",
        "HEADRACE_DATABASE_URL": schema.url,
        "HEADRACE_DATABASE_SCHEMA": schema.schema,
        "HEADRACE_TEMPORAL_ADDRESS": temporal.address,
        "HEADRACE_TEMPORAL_NAMESPACE": temporal.namespace,
        "HEADRACE_PROMETHEUS_URL": prometheus.url,
        "HEADRACE_PROMETHEUS_USERNAME": prometheus.username,
        "HEADRACE_PROMETHEUS_PASSWORD": prometheus.password,
        "HEADRACE_TLS_DIR": str(authority.service("autoscaler")),
        "HEADRACE_LISTEN": listen,
        "HEADRACE_METRICS_LISTEN": metrics,
        "HEADRACE_OBSERVER_ADDRESS": nobody,
        "HEADRACE_PROVISIONER_ADDRESS": nobody,
        "AWS_ENDPOINT_URL": f"http://{nobody}",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
    }
    made = Started(environment, tmp_path / "autoscaler.log", listen, metrics)
    yield made
    if made.process.poll() is None:
        made.process.kill()
        made.process.wait(STOP_S_MAX)


async def test_up_without_neighbours_and_down(started: Started, authority: DevelopmentAuthority) -> None:
    channel = open_channel(started.address, authority.service("deployer"))
    client = AutoscalerClient(channel)

    async def answers() -> bool | None:
        assert started.process.poll() is None, started.log.read_text()
        try:
            await client.explain("delays")
        except Unavailable:
            return None
        except NotFound:
            return True
        return True

    async def failing() -> bool | None:
        async with httpx.AsyncClient(trust_env=False) as http:
            try:
                page = (await http.get(f"http://{started.metrics}/metrics")).text
            except httpx.TransportError:
                return None
        return 'headrace_loop_tick_failures_total{loop="scaling"}' in page or None

    assert await eventually(answers, within_s=90)
    assert await eventually(failing), "the loop goes on and counts that it cannot see"
    await channel.close()
    assert started.stopped() == 0
    log = started.log.read_text()
    assert "tick failed" in log
    assert "password" not in log.lower().replace("[redacted]", "")
