"""The AWS front as a process for tests, and what tests do with it: clients, launch templates, waiting."""

import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import httpx
from botocore.config import Config

from localcloud.cloud import base_environment
from localcloud.ports import LOOPBACK
from localcloud.process import Launch, StackProcess

REGION = "us-east-1"
PROBE_S_MAX = 2.0
WAIT_S_MAX = 90.0
WAIT_EVERY_S = 0.05
_SESSION = boto3.session.Session()  # keeps the services' descriptions, which take longest to read
_MAKING = threading.Lock()  # a session makes one client at a time


class FrontProcess(StackProcess):
    """`python -m localcloud.aws` with arguments of the test's choice."""

    name = "aws"
    ready_s_max = 90.0  # moto is large, and the machine may be busy
    stop_s_max = 30.0

    def __init__(self, port: int, log: Path, *arguments: str) -> None:
        super().__init__(log)
        self.port = port
        self._arguments = arguments
        self._clients: dict[str, Any] = {}

    def prepare(self) -> None:
        """Connections to an earlier process are of no use."""
        self._clients.clear()

    def ports(self) -> tuple[int, ...]:
        return (self.port,)

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def client_environment(self) -> dict[str, str]:
        """What another process needs to be a client."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "AKIAHEADRACETESTS000",
            "AWS_SECRET_ACCESS_KEY": "made-up",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self, service: str, **more: Any) -> Any:
        """A boto3 client, always the same one; `more` overrides, and gives a new one."""
        if not more and service in self._clients:
            return self._clients[service]
        settings: dict[str, Any] = {
            "region_name": REGION,
            "endpoint_url": self.url,
            "aws_access_key_id": "AKIAHEADRACETESTS000",
            "aws_secret_access_key": "made-up",
            "config": Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
        }
        with _MAKING:
            made = _SESSION.client(service, **(settings | more))
        if not more:
            self._clients[service] = made
        return made

    def launch(self) -> Launch:
        command = (sys.executable, "-m", "localcloud.aws", "--port", str(self.port), *self._arguments)
        account = {"LOCALCLOUD_AWS_ROOT_KEY_ID": "AKIAHEADRACETESTS000", "LOCALCLOUD_AWS_ROOT_SECRET": "made-up"}
        return Launch(command, base_environment() | account, directory=self.log.parent)

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/_localcloud/health", timeout=PROBE_S_MAX, trust_env=False).is_success
        except httpx.HTTPError:
            return False

    def ask(self, path: str, method: str = "GET", **more: Any) -> Any:
        """The control API's answer."""
        answer = httpx.request(method, f"{self.url}/_localcloud/{path}", timeout=60.0, trust_env=False, **more)
        assert answer.is_success, answer.text
        return answer.json()

    def machines(self) -> dict[str, dict[str, Any]]:
        """The machines by id."""
        return {one["id"]: one for one in self.ask("machines")}


def until(condition: Callable[[], Any], what: str, seconds: float = WAIT_S_MAX) -> Any:
    """The condition's value once it is true; fails with `what` when it does not become so."""
    deadline = time.monotonic() + seconds
    gate = threading.Event()
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {seconds} s in vain for {what}"
        gate.wait(WAIT_EVERY_S)
    return value


def make_template(front: FrontProcess, name: str, **data: Any) -> str:
    """A launch template; its id."""
    base = {"ImageId": "ami-headrace", "InstanceType": "m6a.large"}
    made = front.client("ec2").create_launch_template(LaunchTemplateName=name, LaunchTemplateData=base | data)
    template_id: str = made["LaunchTemplate"]["LaunchTemplateId"]
    return template_id


def make_role(front: FrontProcess, name: str) -> None:
    """A role, and an instance profile of the same name with it."""
    iam = front.client("iam")
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": []}))
    iam.create_instance_profile(InstanceProfileName=name)
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)


def make_group(front: FrontProcess, name: str, template: str, **more: Any) -> None:
    """A group over three zones."""
    default = [{"Name": "default-for-az", "Values": ["true"]}]  # other tests may make subnets too
    subnets = front.client("ec2").describe_subnets(Filters=default)["Subnets"]
    base: dict[str, Any] = {
        "AutoScalingGroupName": name,
        "MinSize": 0,
        "MaxSize": 10,
        "DesiredCapacity": 1,
        "LaunchTemplate": {"LaunchTemplateId": template, "Version": "$Latest"},
        "VPCZoneIdentifier": ",".join(s["SubnetId"] for s in subnets),
    }
    front.client("autoscaling").create_auto_scaling_group(**(base | more))


def describe(front: FrontProcess, name: str) -> dict[str, Any] | None:
    """The group; None when it is not there."""
    answer = front.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[name])
    found: list[dict[str, Any]] = answer["AutoScalingGroups"]
    return found[0] if found else None


def in_state(front: FrontProcess, name: str, state: str, count: int) -> list[str]:
    """Waits until exactly `count` instances are in a state; their ids."""

    def ids() -> list[str] | None:
        group = describe(front, name)
        found = [i["InstanceId"] for i in (group or {"Instances": []})["Instances"] if i["LifecycleState"] == state]
        return found if len(found) == count else None

    found: list[str] = until(ids, f"{count} instances of {name} in {state}")
    return found
