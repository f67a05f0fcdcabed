"""The Provisioner as a process tells a balancing client who serves; killed, it is not missed."""

import asyncio
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import orjson
import pytest
from pydantic import SecretStr

from dataplane.agent.node_state import NodeState
from dataplane.client.settings import ClientSettings
from dataplane.client.tasks import AsyncGroupClient
from localcloud import ports
from localcloud.certificates import DevelopmentAuthority
from localcloud.servers.postgres import SchemaAccess
from localcloud.servers.temporal import TemporalServer
from localcloud.servers.valkey import ValkeyServer
from services.provisioner.adapters.authority import FileAuthority
from services.provisioner.adapters.postgres_groups import PostgresGroups
from shared.clients.provisioner import ProvisionerClient
from shared.contracts.serving import FeatureServing, GroupCall, OnlineStore
from shared.database import Database
from shared.domain.errors import Denied
from shared.domain.names import FleetId, GroupName
from shared.grpc.client import open_channel
from tests.dataplane.streams import wait_until
from tests.dataplane_client.nodes import Node
from tests.provisioner.examples import fleet, intent, spec
from tests.provisioner.test_process import environment_of, launched

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
WITHIN_S = 90.0
CALL_S = 30.0
SERVING = FeatureServing(store=OnlineStore(url="redis://x:1/0", view="v"), transform=GroupCall(group="delays"))


def machines(cloud: dict[str, str], group: str, revision: int, count: int) -> Callable[[], list[str]]:
    """An Auto Scaling Group of virtual machines as the Provisioner makes it; gives their addresses."""
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    at: dict[str, Any] = {"endpoint_url": cloud["AWS_ENDPOINT_URL"], "region_name": "us-east-1", **keys}
    ec2, asg = boto3.client("ec2", **at), boto3.client("autoscaling", **at)
    name = f"{group}-r{revision}"
    ec2.create_launch_template(
        LaunchTemplateName=name, LaunchTemplateData={"ImageId": "ami-headrace", "InstanceType": "m6a.large"}
    )
    tags = {"managed": "true", "stack": "test", "workspace": "default", "group": group, "fleet": name}
    asg.create_auto_scaling_group(
        AutoScalingGroupName=f"default-{name}",
        MinSize=0,
        MaxSize=4,
        DesiredCapacity=count,
        AvailabilityZones=["us-east-1a"],
        LaunchTemplate={"LaunchTemplateName": name, "Version": "$Latest"},
        Tags=[
            {
                "Key": f"headrace:{k}",
                "Value": v,
                "PropagateAtLaunch": True,
                "ResourceId": f"default-{name}",
                "ResourceType": "auto-scaling-group",
            }
            for k, v in tags.items()
        ],
    )

    def addresses() -> list[str]:
        (found,) = asg.describe_auto_scaling_groups(AutoScalingGroupNames=[f"default-{name}"])["AutoScalingGroups"]
        ids = [i["InstanceId"] for i in found["Instances"] if i["LifecycleState"] == "InService"]
        there = ec2.describe_instances(InstanceIds=ids)["Reservations"] if ids else []
        return [i["PrivateIpAddress"] for r in there for i in r["Instances"]]

    return addresses


async def until(met: Callable[[], bool], what: str) -> None:
    await asyncio.to_thread(wait_until, met, what, WITHIN_S)


async def who(client: AsyncGroupClient, calls: int) -> Counter[str]:
    """The nodes that answered so many calls; fails when one of them failed."""
    found: Counter[str] = Counter()
    for _ in range(calls):
        (result,) = await client.transform("act", [b"{}"], CALL_S)
        assert not result.HasField("error"), result.error
        found[orjson.loads(result.outputs[0])["node"]] += 1
    return found


def node_identity(authority: DevelopmentAuthority, folder: Path, group: str) -> Path:
    """As a machine of a group gets it by joining."""
    state = NodeState(folder)
    signer = FileAuthority(authority.files.certificate, authority.files.key)
    uri = f"spiffe://test/workspace/default/group/{group}/node/i-1"
    certificate = signer.sign(state.csr("i-1"), uri, "", datetime.now(UTC))
    state.keep_certificate(authority.files.certificate.read_text(), certificate)
    return folder


@pytest.fixture
async def groups(database: Callable[[str], SchemaAccess]) -> AsyncIterator[tuple[PostgresGroups, SchemaAccess]]:
    """Two fleets of a transform group, a feature group that calls it, and a group that does not."""
    access = database("provisioner")
    store = Database(SecretStr(access.url), access.schema, "test")
    made = PostgresGroups(store)
    await made.register(intent())
    for revision, weight in ((1, 75), (2, 25)):
        await made.put_fleet(fleet(revision=revision, weight=weight))
    document = spec("served", "feature", serving=SERVING).model_dump_json()
    await made.register(replace(intent("served", kind="feature"), document=document))
    await made.register(intent("stranger", kind="stage"))
    yield made, access
    await store.close()


async def test_a_client_follows_the_provisioner_and_does_not_miss_it(
    cloud_environment: dict[str, str],
    groups: tuple[PostgresGroups, SchemaAccess],
    empty_valkey: ValkeyServer,
    temporal: TemporalServer,
    tmp_path: Path,
) -> None:
    store, access = groups
    authority = DevelopmentAuthority(tmp_path / "tls", "test")
    listen, join, metrics = (f"127.0.0.1:{ports.choose()}" for _ in range(3))
    log = (tmp_path / "log").open("wb")
    process = launched(
        {
            **environment_of(cloud_environment, access, authority, empty_valkey, temporal, tmp_path),
            "HEADRACE_LISTEN": listen,
            "HEADRACE_JOIN_LISTEN": join,
            "HEADRACE_METRICS_LISTEN": metrics,
        },
        log,
    )
    nodes: list[Node] = []
    try:
        for revision in (1, 2):
            addresses = await asyncio.to_thread(machines, cloud_environment, "delays", revision, 1)
            await until(lambda there=addresses: len(there()) == 1, "a machine")  # type: ignore[misc]
            nodes.append(Node(tmp_path, f"r{revision}", authority, listen=f"{addresses()[0]}:7400"))
        for node in nodes:
            await asyncio.to_thread(node.address)
        feature_node = node_identity(authority, tmp_path / "served", "served")
        settings = ClientSettings("delays", listen, feature_node, tmp_path / "copies", "us-east-1a")
        async with AsyncGroupClient(settings) as client:
            await until(lambda: sum(bool(m.endpoint.zone) for m in client._balancer.members) == 2, "both machines")
            assert await who(client, 100) == {"r1": 75, "r2": 25}
            known = client.generation
            await store.set_weights(GroupName("delays"), {FleetId("delays-r1"): 0, FleetId("delays-r2"): 100}, 1)
            await until(lambda: client.generation > known, "new weights")
            assert await who(client, 20) == {"r2": 20}

            stranger = open_channel(listen, node_identity(authority, tmp_path / "stranger", "stranger"))
            with pytest.raises(Denied, match="delays"):
                await ProvisionerClient(stranger).routes("delays")
            await stranger.close()

            process.kill()
            await asyncio.to_thread(process.wait)
            assert await who(client, 200) == {"r2": 200}
            await until(lambda: not client.connected, "it is noticed")
        async with AsyncGroupClient(settings) as restarted:
            assert await who(restarted, 50) == {"r2": 50}
    finally:
        for node in nodes:
            await asyncio.to_thread(node.end)
        end(process)
        log.close()
        print((tmp_path / "log").read_text()[-3000:])  # noqa: T201  pytest shows it when the test fails


def end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.kill()
        process.wait()
