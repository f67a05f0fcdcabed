"""Machines that are processes: their environment, their end, their adoption after the front was killed."""

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from localcloud import ports
from localcloud.process import kill_session
from tests.localcloud_aws.front import FrontProcess, describe, in_state, make_group, make_role, make_template, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
NOBODY = 65534
NODE = Path(__file__).parent / "tiny_node.py"
HOOK = {"LifecycleHookName": "boot", "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING"}


def user_data(**content: object) -> str:
    return base64.b64encode(json.dumps(content).encode()).decode()


@pytest.fixture
def place() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="headrace-machines-"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def front(place: Path) -> Iterator[FrontProcess]:
    one = make_front(place)
    one.start()
    yield one
    one.stop()


def make_front(place: Path, port: int | None = None, *node: str) -> FrontProcess:
    command = " ".join([sys.executable, str(NODE), *node])
    arguments = ("--machines", "process", "--state", str(place / "state"), "--node-command", command)
    return FrontProcess(port or ports.choose(), place / "front.log", *arguments)


ASKING = """
import encodings.idna, http.client, os, sys, urllib.request
os.setuid(int(sys.argv[2]))  # after the imports: another user may not be able to read them
wanted = urllib.request.Request(sys.argv[1], method="PUT", headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"})
try:
    print(urllib.request.build_opener(urllib.request.ProxyHandler({})).open(wanted, timeout=60).read().decode())
except (http.client.RemoteDisconnected, ConnectionResetError):
    print()
"""


def token_as(uid: int, url: str) -> str:
    """The token that a process of a user gets; empty when no answer reaches it."""
    command = [sys.executable, "-I", "-c", ASKING, url, str(uid)]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=True, timeout=120)
    return done.stdout.strip()


def told(place: Path, instance_id: str) -> dict[str, object]:
    file = place / "machines" / instance_id / "told.json"
    content: dict[str, object] = json.loads(until(lambda: file.exists() and file.read_text(), f"{instance_id} to tell"))
    return content


def lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_machine_is_given_what_it_needs_and_nothing_else(front: FrontProcess, place: Path) -> None:
    make_role(front, "node")
    template = make_template(
        front,
        "t",
        IamInstanceProfile={"Name": "node"},
        MetadataOptions={"HttpTokens": "required"},
        UserData=user_data(group="g", hook="boot"),
    )
    make_group(front, "g", template, LifecycleHookSpecificationList=[{**HOOK, "HeartbeatTimeout": 120}])
    (instance_id,) = in_state(front, "g", "InService", 1)  # only because the machine completed its hook
    machine, said = front.machines()[instance_id], told(place, instance_id)
    assert (said["id"], said["address"]) == (instance_id, machine["address"])
    assert str(said["identity"]).endswith(f"assumed-role/node/{instance_id}")
    environment = said["environment"]
    assert isinstance(environment, dict)
    assert {"AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_ENDPOINT_URL", "HEADRACE_NODE_ADDRESS"} <= set(environment)
    assert not {"HOME", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} & set(environment)
    assert os.getsid(machine["pid"]) == machine["pid"]
    place_of_token = f"{front.url}/_localcloud/imds/{instance_id}/latest/api/token"
    assert token_as(os.geteuid(), place_of_token)
    another = NOBODY if os.geteuid() == 0 else os.geteuid()  # only root can be somebody else
    assert bool(token_as(another, place_of_token)) is (another == os.geteuid())
    front.client("ec2").modify_instance_metadata_options(InstanceId=instance_id, HttpPutResponseHopLimit=2)
    assert token_as(another, place_of_token)
    front.client("autoscaling").set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=0)
    until(lambda: not lives(machine["pid"]), "the machine to end")
    assert "ended in order" in (place / "machines" / instance_id / "console.log").read_text()
    until(lambda: not front.machines(), "the machine to be gone")


def test_a_machine_that_dies_is_replaced(front: FrontProcess, place: Path) -> None:
    make_group(front, "g", make_template(front, "t", UserData=user_data()))
    (first,) = in_state(front, "g", "InService", 1)
    told(place, first)
    front.ask(f"machines/{first}/crash", "POST")
    until(lambda: in_state(front, "g", "InService", 1) != [first], "the replacement")
    activities = front.client("autoscaling").describe_scaling_activities(AutoScalingGroupName="g")["Activities"]
    assert any("status checks failure" in a["Cause"] for a in activities)


def test_a_machine_that_hangs_or_will_not_end_is_killed_in_the_end(place: Path) -> None:
    front = make_front(place, None, "ignore-sigterm")
    front.start()
    try:
        make_group(front, "g", make_template(front, "t", UserData=user_data()))
        (instance_id,) = in_state(front, "g", "InService", 1)
        told(place, instance_id)
        pid = front.machines()[instance_id]["pid"]
        front.ask(f"machines/{instance_id}/hang", "POST")
        until(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED, "the machine to hang")
        front.client("autoscaling").delete_auto_scaling_group(AutoScalingGroupName="g", ForceDelete=True)
        until(lambda: not lives(pid), "the machine to be killed")
        until(lambda: describe(front, "g") is None, "the group to be gone")
    finally:
        front.stop()


def test_after_kill_9_everything_is_there_and_machines_are_adopted(place: Path) -> None:
    front = make_front(place)
    front.start()
    try:
        make_role(front, "node")
        template = make_template(front, "t", UserData=user_data(), IamInstanceProfile={"Name": "node"})
        tag = {"Key": "k", "Value": "v", "PropagateAtLaunch": True}
        drain = {"LifecycleHookName": "d", "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING"}
        make_group(front, "g", template, DesiredCapacity=3, Tags=[tag], LifecycleHookSpecificationList=[drain])
        ids = in_state(front, "g", "InService", 3)
        for instance_id in ids:
            told(place, instance_id)
        objects = front.client("s3")
        objects.create_bucket(Bucket="bundles")
        objects.put_bucket_versioning(Bucket="bundles", VersioningConfiguration={"Status": "Enabled"})
        for body in (b"old", b"content"):
            objects.put_object(Bucket="bundles", Key="a/b", Body=body)
        vpc = front.client("ec2").describe_vpcs()["Vpcs"][0]["VpcId"]
        front.client("elbv2").create_target_group(Name="tg", Port=7400, Protocol="TCP", VpcId=vpc)
        front.client("ssm").put_parameter(Name="/secret", Value="hush", Type="SecureString")
        pids = {key: one["pid"] for key, one in front.machines().items()}
        assert front.pid is not None
        os.kill(front.pid, signal.SIGKILL)
        until(lambda: not front.alive(), "the front to be dead")
        lost = ids[0]
        kill_session(pids[lost])  # this one dies while nobody watches
    finally:
        front.kill()
    again = make_front(place, front.port)
    again.start()
    try:
        assert {key: again.machines()[key]["pid"] for key in ids[1:]} == {key: pids[key] for key in ids[1:]}
        until(lambda: lost not in in_service(again) and len(in_service(again)) == 3, "the lost one to be replaced")
        assert set(ids[1:]) <= set(in_service(again))
        assert again.client("s3").get_object(Bucket="bundles", Key="a/b")["Body"].read() == b"content"
        assert len(again.client("s3").list_object_versions(Bucket="bundles")["Versions"]) == 2
        assert again.client("elbv2").describe_target_groups()["TargetGroups"][0]["TargetGroupName"] == "tg"
        parameter = again.client("ssm").get_parameter(Name="/secret", WithDecryption=True)["Parameter"]
        assert parameter["Value"] == "hush"
        profile = again.client("iam").get_instance_profile(InstanceProfileName="node")["InstanceProfile"]
        assert profile["Roles"][0]["RoleName"] == "node"
        assert again.client("ec2").describe_launch_templates()["LaunchTemplates"][0]["LaunchTemplateId"] == template
        hooks = again.client("autoscaling").describe_lifecycle_hooks(AutoScalingGroupName="g")["LifecycleHooks"]
        assert [h["LifecycleHookName"] for h in hooks] == ["d"]
        left = [one["pid"] for one in again.machines().values() if one["pid"]]
    finally:
        again.stop()
    assert not [pid for pid in left if lives(pid)]


def in_service(front: FrontProcess) -> list[str]:
    group = describe(front, "g")
    return [i["InstanceId"] for i in (group or {"Instances": []})["Instances"] if i["LifecycleState"] == "InService"]
