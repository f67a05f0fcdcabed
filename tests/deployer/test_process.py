"""The process as it is started, behind real workflows: killed in the middle of a rollout, nothing is done twice."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from localcloud import ports
from localcloud.certificates import DevelopmentAuthority
from localcloud.servers.postgres import SchemaAccess
from localcloud.servers.prometheus import PrometheusServer
from localcloud.servers.temporal import TemporalServer
from shared.clients.deployer import DeployerClient
from shared.contracts import queues
from shared.contracts.deployment import DeployInput
from shared.contracts.objects import ProvisionedScaling, Rolling, ServerGroup
from shared.contracts.provisioning import ProvisionGroupInput
from shared.domain.errors import NotFound
from shared.grpc.client import open_channel
from shared.temporal.client import connect
from tests.localcloud_aws.front import FrontProcess
from tests.workflows.conftest import playing
from tests.workflows.world import World
from tests.workflows.world_state import code

ROOT = Path(__file__).resolve().parents[2]
STOP_S_MAX = 90.0
NODES = 2
GROUP = ServerGroup(
    name="delays",
    kind="transform",
    environment="flights-env",
    scaling=ProvisionedScaling(desired_nodes=NODES),
    rollout=Rolling(percents=(50, 100), bake_s=0),
)


class DeployerProcess:
    """`python -m services.deployer`, started as often as it is killed."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self._environment, self._log = environment, log
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as sink:
            command = [sys.executable, "-m", "services.deployer"]
            self.process = subprocess.Popen(command, cwd=ROOT, env=self._environment, stderr=sink)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(STOP_S_MAX)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_S_MAX)


@pytest.fixture
def authority(tmp_path: Path) -> DevelopmentAuthority:
    return DevelopmentAuthority(tmp_path / "tls", "test")


@pytest.fixture
def address() -> str:
    return f"127.0.0.1:{ports.choose()}"


@pytest.fixture
def deployer(
    database: Callable[[str], SchemaAccess],
    prometheus: PrometheusServer,
    temporal: TemporalServer,
    localcloud_aws: FrontProcess,
    authority: DevelopmentAuthority,
    address: str,
    tmp_path: Path,
) -> Iterator[DeployerProcess]:
    schema = database("deployer")
    s3 = localcloud_aws.client("s3")
    s3.create_bucket(Bucket="bundles")
    for key in ("env-1", "code-1", "code-2"):
        s3.put_object(Bucket="bundles", Key=key, Body=b"-")
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
        "HEADRACE_TLS_DIR": str(authority.service("deployer")),
        "HEADRACE_LISTEN": address,
        "HEADRACE_METRICS_LISTEN": f"127.0.0.1:{ports.choose({int(address.rpartition(':')[2])})}",
        **localcloud_aws.client_environment(),
    }
    made = DeployerProcess(environment, tmp_path / "deployer.log")
    yield made
    if made.process.poll() is None:
        made.kill()


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_killed_in_the_middle_of_a_rollout_it_is_finished_with_nothing_done_twice(
    deployer: DeployerProcess, temporal: TemporalServer, authority: DevelopmentAuthority, address: str
) -> None:
    client = await connect(temporal.address, temporal.namespace)
    world = World()
    killed: list[str] = []

    async def on_call(name: str, nth: int) -> None:
        if (name, nth) in {("provisioner.add_fleet", 2), ("provisioner.set_weights", 3)}:
            deployer.kill()
            deployer.start()
            killed.append(name)

    async with playing(client, cached_max=100, without=frozenset({queues.DEPLOYER})) as theatre:
        created = await theatre.run(
            world,
            "ProvisionGroup",
            ProvisionGroupInput(spec=GROUP, generation=1, request_id="r-1", code=code("code-1")),
        )
        assert created.outcome == "done", created
        world.need = NODES
        world.on_call = on_call
        given = DeployInput(group="delays", request_id="r-2", code=code("code-2"), reason="faster")
        done = await theatre.run(world, "DeployGroup", given)
    assert done.outcome == "done", done
    assert len(killed) == 2
    assert world.problems == []
    assert world.serving == {"delays-r2": 100}
    assert (world.counts["provisioner.add_fleet"], world.counts["provisioner.remove_fleet"]) == (2, 1)
    await _shown(authority, address, done.details["deployment_id"])
    assert deployer.stop() == 0


async def _shown(authority: DevelopmentAuthority, address: str, deployment: str) -> None:
    """What the gRPC face says of it, over mutual TLS."""
    channel = open_channel(address, authority.service("admin_api"))
    asked = DeployerClient(channel)
    shown = await asked.deployment(deployment)
    assert (shown.phase, shown.revision, shown.from_revision) == ("FINISHED", 2, 1)
    assert [j.outcome for j in shown.judgements][-1] == "no_data"  # nobody sent anything: there was nothing to judge
    assert [d.id for d in await asked.deployments("delays")] == [deployment]
    assert [(r.revision.number, r.bad) for r in await asked.revisions("delays")] == [(2, False), (1, False)]
    with pytest.raises(NotFound):
        await asked.deployment("dep-none")
    await channel.close()
