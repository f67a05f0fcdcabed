"""How fast the embedded AWS answers with 1,000 groups and 5,000 virtual instances, beside a plain moto server with the same.

Each server is a process of its own, asked by the same boto3 client over HTTP, one call at a time; a figure is the p50 of
REPEATS calls, and the least of ROUNDS rounds, because other work on the machine only ever adds. Then an hour of virtual time: 1,000
groups with launching and terminating hooks, in which each instance is replaced once. moto has no time and no life cycle, so
that hour has no baseline.
"""

import itertools
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

import boto3
import httpx
import psutil
from botocore.config import Config

from localcloud import ports
from localcloud.aws import actions
from localcloud.aws.autoscaling import reconcile
from localcloud.aws.autoscaling.clock import VirtualClock
from localcloud.aws.autoscaling.virtual_compute import VirtualCompute
from localcloud.aws.autoscaling.world import Quotas, World

GROUPS = int(os.environ.get("BENCH_GROUPS", "1000"))
INSTANCES = 5  # of each group
REPEATS, ROUNDS = 20, 3
READY_S_MAX = 120.0
SETTLE_S_MAX = 600.0
REGION = "us-east-1"
TARGETS = {"page_ms": 50.0, "by_name_ms": 10.0, "set_desired_ms": 20.0, "memory_mb": 600.0}
HOUR_S_MAX = 60.0
ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "localcloud.json"


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one server; milliseconds and megabytes."""

    page_ms: float
    by_name_ms: float
    set_desired_ms: float
    memory_mb: float


@contextmanager
def server(*command: str) -> Iterator[tuple[psutil.Process, str]]:
    """A server on a port of its own, which replaces {port} in the command; its process and endpoint."""
    port = ports.choose()
    arguments = [one.replace("{port}", str(port)) for one in command]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen([sys.executable, *arguments], stdout=log, stderr=log, cwd=ROOT)
        try:
            endpoint = f"http://127.0.0.1:{port}"
            wait(lambda: answers(endpoint), READY_S_MAX, f"{arguments[1]} to answer")
            yield psutil.Process(process.pid), endpoint
        finally:
            process.terminate()
            process.wait(60)


def answers(endpoint: str) -> bool:
    """Whether a server is there."""
    try:
        return httpx.get(f"{endpoint}/_localcloud/health", timeout=2, trust_env=False).status_code > 0
    except httpx.HTTPError:
        return False


def wait(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Until a condition holds; TimeoutError."""
    deadline = perf_counter() + seconds
    while not condition():
        if perf_counter() > deadline:
            raise TimeoutError(f"waited {seconds} s in vain for {what}")


def client(service: str, endpoint: str) -> Any:
    """A boto3 client that asks once."""
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id="AKIABENCH00000000000",
        aws_secret_access_key="made-up",
        config=Config(retries={"total_max_attempts": 1}, read_timeout=120),
    )


def fill(endpoint: str) -> None:
    """Make the groups, and wait until every instance is in service."""
    ec2, scaling = client("ec2", endpoint), client("autoscaling", endpoint)
    image = ec2.describe_images()["Images"]
    data = {"ImageId": image[0]["ImageId"] if image else "ami-12c6146b", "InstanceType": "m6a.large"}
    template = ec2.create_launch_template(LaunchTemplateName="bench", LaunchTemplateData=data)["LaunchTemplate"]
    subnets = ec2.describe_subnets()["Subnets"][:3]
    for index in range(GROUPS):
        scaling.create_auto_scaling_group(
            AutoScalingGroupName=name(index),
            MinSize=0,
            MaxSize=20,
            DesiredCapacity=INSTANCES,
            LaunchTemplate={"LaunchTemplateId": template["LaunchTemplateId"], "Version": "1"},
            VPCZoneIdentifier=",".join(
                subnets[(index + turn) % 3]["SubnetId"] for turn in range(3)
            ),  # moto fills the first
            Tags=[{"Key": "headrace:group", "Value": name(index), "PropagateAtLaunch": True}],
        )
    last = GROUPS - 1
    wait(lambda: in_service(scaling, last) == INSTANCES, SETTLE_S_MAX, "the instances")


def in_service(scaling: Any, index: int) -> int:
    """How many instances of a group are."""
    found = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name(index)])["AutoScalingGroups"]
    return sum(one["LifecycleState"] == "InService" for one in found[0]["Instances"])


def name(index: int) -> str:
    """A group's."""
    return f"bench-{index % GROUPS:04d}"


def p50_ms(call: Callable[[int], object]) -> float:
    """The least of the rounds' medians."""
    numbers, medians = itertools.count(), []
    for _ in range(ROUNDS):
        took = []
        for _ in range(REPEATS):
            began = perf_counter()
            call(next(numbers) * 37)
            took.append(perf_counter() - began)
        medians.append(sorted(took)[REPEATS // 2] * 1000)
    return min(medians)


def measure(*command: str) -> Figures:
    """Fill a server and ask it."""
    with server(*command) as (process, endpoint):
        began = perf_counter()
        fill(endpoint)
        print(f"  filled in {perf_counter() - began:.0f} s", flush=True)
        scaling = client("autoscaling", endpoint)
        return Figures(
            page_ms=p50_ms(lambda _: scaling.describe_auto_scaling_groups(MaxRecords=50)),
            by_name_ms=p50_ms(lambda n: scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name(n)])),
            set_desired_ms=p50_ms(
                lambda n: scaling.set_desired_capacity(AutoScalingGroupName=name(n), DesiredCapacity=INSTANCES + n % 2)
            ),
            memory_mb=process.memory_info().rss / 1e6,
        )


def virtual_hour() -> tuple[float, int]:
    """Seconds of an hour in which every instance of every group is replaced once, and the launches in it."""
    clock = VirtualClock()
    compute = VirtualCompute(clock, boot_s=lambda: 40.0)
    ids = itertools.count()
    world = World(clock, compute, lambda: f"id-{next(ids)}", quotas=Quotas(groups=GROUPS))
    hooks = [
        {"LifecycleHookName": kind, "LifecycleTransition": f"autoscaling:EC2_INSTANCE_{kind}", "HeartbeatTimeout": 60}
        | {"DefaultResult": "CONTINUE"}
        for kind in ("LAUNCHING", "TERMINATING")
    ]
    create = actions.find("CreateAutoScalingGroup", known=True)
    for index in range(GROUPS):
        parameters = {
            "AutoScalingGroupName": name(index),
            "MinSize": 0,
            "MaxSize": 20,
            "DesiredCapacity": INSTANCES,
            "LaunchTemplate": {"LaunchTemplateId": "lt-1", "Version": "$Latest"},
            "VPCZoneIdentifier": "subnet-a,subnet-b,subnet-c",
            "LifecycleHookSpecificationList": hooks,
            "DefaultCooldown": 0,
        }
        create(world, parameters)
    reconcile.run_until(world, clock, clock.now() + 300)
    first = [list(group.members) for group in world.groups.values()]
    health = actions.find("SetInstanceHealth", known=True)
    began = perf_counter()
    start = clock.now()
    for minute in range(60):
        for members in first[minute::60]:  # each minute a sixtieth of the groups loses its instances
            for instance_id in members:
                health(world, {"InstanceId": instance_id, "HealthStatus": "Unhealthy"})
        reconcile.run_until(world, clock, start + 60 * (minute + 1))
    took = perf_counter() - began
    return took, len(compute.orders)


def main() -> int:
    """Measure both, print the ratios; 1 when a target is missed."""
    print(f"the embedded AWS, {GROUPS} groups of {INSTANCES}", flush=True)
    own = measure("-m", "localcloud.aws", "--port", "{port}")
    print("a plain moto server, the same", flush=True)
    plain = measure("-m", "moto.server", "-H", "127.0.0.1", "-p", "{port}")
    missed = 0
    for figure, most in TARGETS.items():
        ours, theirs = getattr(own, figure), getattr(plain, figure)
        missed += ours > most
        print(f"  {figure:<16} {ours:8.1f}   target < {most:g}   moto {theirs:8.1f}   ratio {ours / theirs:5.2f}")
    took, launches = virtual_hour()
    missed += took > HOUR_S_MAX
    print(
        f"  virtual hour     {took:8.1f} s target < {HOUR_S_MAX:g}   {launches} launches, no baseline: moto has no time"
    )
    RESULT.write_text(
        json.dumps(
            {
                "at": datetime.now(UTC).isoformat(timespec="seconds"),
                "machine": {"cpus": os.cpu_count(), "python": platform.python_version(), "load": os.getloadavg()[0]},
                "groups": GROUPS,
                "instances": GROUPS * INSTANCES,
                "own": asdict(own),
                "moto": asdict(plain),
                "virtual_hour_s": took,
                "virtual_hour_launches": launches,
            },
            indent=2,
        )
        + "\n"
    )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
