"""Health checks of targets: what passes, through boto3 what is told of it, and what a group does about it."""

import shutil
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from localcloud import ports
from localcloud.aws.client import Control
from localcloud.aws.target_checks import answers, connects
from localcloud.aws.target_health import FAILED, MISMATCH, TIMEOUT, Outcome
from tests.localcloud_aws.front import FrontProcess, in_state, make_group, make_template, until

TIMEOUT_S = 30.0
PATIENT = {"Delay": 1, "MaxAttempts": 120}
CHECKS = {"HealthCheckIntervalSeconds": 5, "HealthCheckTimeoutSeconds": 2, "HealthyThresholdCount": 2}
SERVING = (
    f"{sys.executable} -c \"import http.server as h, os; h.ThreadingHTTPServer((os.environ['HEADRACE_NODE_ADDRESS'], 7400),"
    ' h.SimpleHTTPRequestHandler).serve_forever()"'
)


class Answering(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(int(self.path.strip("/")))
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Silent."""


@pytest.fixture
def server() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), Answering) as one:
        thread = threading.Thread(target=one.serve_forever)
        thread.start()
        try:
            yield one.server_port
        finally:
            one.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "codes", "outcome"),
    [
        (200, "200", Outcome()),
        (204, "200-299", Outcome()),
        (503, "200,503", Outcome()),
        (503, "200-299", Outcome(MISMATCH, "503")),
    ],
)
def test_a_check_by_http_wants_one_of_the_codes(server: int, status: int, codes: str, outcome: Outcome) -> None:
    assert answers(f"http://127.0.0.1:{server}/{status}", codes, TIMEOUT_S) == outcome
    assert connects("127.0.0.1", server, TIMEOUT_S) == Outcome()


def test_nobody_there_fails_and_silence_is_a_timeout() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        port = silent.getsockname()[1]
        assert answers(f"http://127.0.0.1:{port}/", "200", 0.2) == Outcome(TIMEOUT)
    with closing(socket.socket()) as deaf:  # it holds the port, so that nobody else listens there
        deaf.bind(("127.0.0.1", 0))
        port = deaf.getsockname()[1]
        assert answers(f"http://127.0.0.1:{port}/", "200", TIMEOUT_S) == Outcome(FAILED)
        assert connects("127.0.0.1", port, TIMEOUT_S) == Outcome(FAILED)


def make_target_group(front: FrontProcess, name: str, protocol: str, kind: str, *, used: bool = True) -> str:
    """A target group whose connections drain in two seconds, behind a load balancer if it is used; its ARN."""
    balancing, ec2 = front.client("elbv2"), front.client("ec2")
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    made = balancing.create_target_group(Name=name, Port=7400, Protocol=protocol, VpcId=vpc, **CHECKS)
    arn = str(made["TargetGroups"][0]["TargetGroupArn"])
    delay = {"Key": "deregistration_delay.timeout_seconds", "Value": "2"}
    balancing.modify_target_group_attributes(TargetGroupArn=arn, Attributes=[delay])
    if used:
        subnets = [s["SubnetId"] for s in ec2.describe_subnets()["Subnets"][:2]]
        balancer = balancing.create_load_balancer(Name=name, Subnets=subnets, Type=kind)["LoadBalancers"][0]
        forward = [{"Type": "forward", "TargetGroupArn": arn}]
        balancing.create_listener(
            LoadBalancerArn=balancer["LoadBalancerArn"], Protocol=protocol, Port=80, DefaultActions=forward
        )
    return arn


def health(front: FrontProcess, arn: str, **more: Any) -> dict[str, tuple[str, str | None]]:
    """State and reason of the targets, by id."""
    found = front.client("elbv2").describe_target_health(TargetGroupArn=arn, **more)["TargetHealthDescriptions"]
    return {one["Target"]["Id"]: (one["TargetHealth"]["State"], one["TargetHealth"].get("Reason")) for one in found}


def test_a_target_that_fails_its_checks_is_replaced_and_drains(localcloud_aws: FrontProcess, unique_name: str) -> None:
    front, balancing = localcloud_aws, localcloud_aws.client("elbv2")
    arn = make_target_group(front, unique_name, "TCP", "network")
    make_group(
        front,
        unique_name,
        make_template(front, unique_name),
        HealthCheckType="ELB",
        HealthCheckGracePeriod=0,
        TargetGroupARNs=[arn],
    )
    (first,) = in_state(front, unique_name, "InService", 1)
    balancing.get_waiter("target_in_service").wait(TargetGroupArn=arn, Targets=[{"Id": first}], WaiterConfig=PATIENT)
    assert health(front, arn) == {first: ("healthy", None)}
    with Control(front.url) as control, control.fault("failing-target", 600, machine=first, target_group=arn):
        until(lambda: first not in in_state(front, unique_name, "InService", 1), "the replacement")
    balancing.get_waiter("target_deregistered").wait(TargetGroupArn=arn, Targets=[{"Id": first}], WaiterConfig=PATIENT)
    named = {"Targets": [{"Id": first}]}
    until(lambda: health(front, arn, **named)[first] == ("unused", "Target.NotRegistered"), "the draining to end")
    activities = front.client("autoscaling").describe_scaling_activities(AutoScalingGroupName=unique_name)["Activities"]
    assert any("an ELB system health check failure" in one["Cause"] for one in activities)


def test_a_target_group_that_no_listener_uses_is_not_checked(localcloud_aws: FrontProcess, unique_name: str) -> None:
    arn = make_target_group(localcloud_aws, unique_name, "TCP", "network", used=False)
    named = {"AutoScalingGroupName": unique_name}
    make_group(localcloud_aws, unique_name, make_template(localcloud_aws, unique_name), TargetGroupARNs=[arn])
    (one,) = in_state(localcloud_aws, unique_name, "InService", 1)
    assert health(localcloud_aws, arn) == {one: ("unused", "Target.NotInUse")}
    localcloud_aws.client("autoscaling").delete_auto_scaling_group(**named, ForceDelete=True)
    until(lambda: health(localcloud_aws, arn) == {}, "the target to be gone")
    with pytest.raises(ClientError) as refusal:
        health(localcloud_aws, arn.replace(unique_name, "none"))
    assert refusal.value.response["Error"]["Code"] == "TargetGroupNotFound"


@pytest.mark.parametrize(
    ("name", "value"),
    [("HealthCheckIntervalSeconds", 0), ("UnhealthyThresholdCount", 99), ("HealthCheckTimeoutSeconds", 1000)],
)
def test_checks_out_of_their_bounds_are_refused(localcloud_aws: FrontProcess, name: str, value: int) -> None:
    vpc = localcloud_aws.client("ec2").describe_vpcs()["Vpcs"][0]["VpcId"]
    loose = Config(parameter_validation=False, retries={"total_max_attempts": 1})
    with pytest.raises(ClientError, match="failed to satisfy constraint"):
        localcloud_aws.client("elbv2", config=loose).create_target_group(
            Name="bounds", Port=80, Protocol="HTTP", VpcId=vpc, **{name: value}
        )


def test_a_machine_that_is_a_process_is_really_asked() -> None:
    place = Path(tempfile.mkdtemp(prefix="headrace-targets-"))
    arguments = ("--machines", "process", "--state", str(place / "state"), "--node-command", SERVING)
    front = FrontProcess(ports.choose(), place / "front.log", *arguments)
    front.start()
    try:
        arn = make_target_group(front, "tg", "HTTP", "application")
        make_group(front, "g", make_template(front, "t"), TargetGroupARNs=[arn])
        (one,) = in_state(front, "g", "InService", 1)
        until(lambda: health(front, arn) == {one: ("healthy", None)}, "the machine to answer")
        front.stop()
    finally:
        front.kill()
        shutil.rmtree(place, ignore_errors=True)
