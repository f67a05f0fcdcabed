"""The other sides of the Observer's process: a Provisioner that answers its contract, nodes' metrics, an AWS."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import httpx
from headraceapi.provisioner.v1 import provisioner_pb2 as pb
from headraceapi.provisioner.v1.provisioner_pb2_grpc import (
    ProvisionerServiceServicer,
    add_ProvisionerServiceServicer_to_server,
)
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from localcloud import ports
from shared.contracts.objects import HttpIngest, Pipeline, ProvisionedScaling, ServerGroup, Slo, Stage, Transform
from shared.contracts.provisioning import FleetModel, GroupModel, PipelineModel
from shared.grpc.server import GrpcServer

BUCKETS = (0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600)
ENTRY = ServerGroup(name="entry", kind="ingest", scaling=ProvisionedScaling(desired_nodes=1), slo=Slo(lag_p95_s=2))
DELAYS = ServerGroup(name="delays", kind="transform", scaling=ProvisionedScaling(desired_nodes=2), slo=Slo(lag_p95_s=2))


def fleet(group: str, revision: int, weight: int) -> FleetModel:
    name = f"{group}-r{revision}"
    return FleetModel(fleet=name, asg=f"default-{name}", revision=revision, weight=weight)


def group_model(spec: ServerGroup, *, topic: str = "", fleets: tuple[FleetModel, ...] | None = None) -> GroupModel:
    return GroupModel(
        spec=spec,
        generation=3,
        phase="READY",
        fleets=(fleet(spec.name, 1, 100),) if fleets is None else fleets,
        topic_in=topic,
        consumer_group=topic,
    )


def pipeline_model() -> PipelineModel:
    stages = (
        Stage(name="ingest", group="entry", work=HttpIngest()),
        Stage(name="transform", group="delays", work=Transform()),
    )
    return PipelineModel(spec=Pipeline(name="departures", stages=stages), generation=2, phase="READY")


class Declared(ProvisionerServiceServicer):
    """Answers `ListGroups` with what the test says is declared."""

    def __init__(self) -> None:
        self.groups: list[GroupModel] = []
        self.pipelines: list[PipelineModel] = []

    async def ListGroups(self, request: Any, context: Any) -> pb.ListGroupsResponse:  # noqa: N802
        return pb.ListGroupsResponse(
            group_json=[g.model_dump_json() for g in self.groups],
            pipeline_json=[p.model_dump_json() for p in self.pipelines],
        )

    def server(self, listen: str, tls_dir: Path) -> GrpcServer:
        name = "headraceapi.provisioner.v1.ProvisionerService"
        return GrpcServer(
            listen,
            tls_dir,
            lambda s: add_ProvisionerServiceServicer_to_server(self, s),
            (name,),
            {name: frozenset({"service/*"})},
        )


class NodeMetrics:
    """`/metrics` of one node, with the names and labels of every node."""

    def __init__(self, workspace: str, group: str, fleet_name: str, node: str) -> None:
        self.registry = CollectorRegistry()
        self.port = ports.choose()
        labels = {"workspace": workspace, "group": group, "fleet": fleet_name, "node": node, "revision": "1"}
        names, values = tuple(labels), tuple(labels.values())
        self.info = Gauge("headrace_node_info", "i", names, registry=self.registry).labels(*values)
        self.info.set(1)
        self.lag = Histogram("headrace_lag_out_seconds", "l", names, buckets=BUCKETS, registry=self.registry).labels(
            *values
        )
        self.received = Counter("headrace_messages_in", "n", names, registry=self.registry).labels(*values)
        self.failed = Counter(
            "headrace_messages_failed", "n", (*names, "kind", "reason"), registry=self.registry
        ).labels(*values, "non_recoverable", "users_code")
        self.busy = Gauge("headrace_busy_ratio", "b", names, registry=self.registry).labels(*values)
        self.busy.set(0.4)
        self.lag_s, self.rate, self.fail_share = 0.3, 50, 0.0
        self._stop = threading.Event()
        self._server, self._serving = start_http_server(self.port, addr="127.0.0.1", registry=self.registry)
        self._thread = threading.Thread(target=self._flow, daemon=True)
        self._thread.start()

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.port}"

    def _flow(self) -> None:
        """Events pass all the time, ten times a second."""
        while not self._stop.wait(0.1):
            count = self.rate // 10
            self.received.inc(count)
            self.failed.inc(count * self.fail_share)
            for _ in range(count):
                self.lag.observe(self.lag_s)

    def close(self) -> None:
        self._stop.set()
        self._thread.join(5)
        self._server.shutdown()
        self._server.server_close()
        self._serving.join(5)


@contextmanager
def running_aws(log: Path) -> Iterator[str]:
    """An AWS endpoint (moto) as a process; its URL."""
    port = ports.choose()
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    environment = {
        **os.environ,
        "MOTO_EC2_LOAD_DEFAULT_AMIS": "true",
    }  # the embedded AWS, imported here, turns them off
    with log.open("wb") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=sink, env=environment)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)


def aws_is_up(url: str) -> bool:
    try:
        return httpx.get(f"{url}/moto-api/data.json", trust_env=False, timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def create_fleet(url: str, group: str, revision: int, desired: int) -> list[str]:
    """An Auto Scaling Group with our tags; the ids of its instances."""
    access = {
        "endpoint_url": url,
        "region_name": "us-east-1",
        "aws_access_key_id": "none",
        "aws_secret_access_key": "none",
    }
    client = boto3.client("autoscaling", **access)
    ec2 = boto3.client("ec2", **access)
    image = ec2.describe_images()["Images"][0]["ImageId"]
    name = f"default-{group}-r{revision}"
    client.create_launch_configuration(LaunchConfigurationName=name, ImageId=image, InstanceType="m6a.large")
    tags = {
        "headrace:managed": "true",
        "headrace:workspace": "default",
        "headrace:group": group,
        "headrace:fleet": f"{group}-r{revision}",
        "headrace:revision": str(revision),
    }
    client.create_auto_scaling_group(
        AutoScalingGroupName=name,
        LaunchConfigurationName=name,
        MinSize=0,
        MaxSize=5,
        DesiredCapacity=desired,
        AvailabilityZones=["us-east-1a"],
        Tags=[{"Key": k, "Value": v, "PropagateAtLaunch": True} for k, v in tags.items()],
    )
    described = client.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"][0]
    return [i["InstanceId"] for i in described["Instances"]]
