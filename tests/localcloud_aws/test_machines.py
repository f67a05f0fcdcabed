"""Machines: their boot times, those launched directly, consoles, interruptions."""

import json
import os
import random
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from botocore.exceptions import BotoCoreError, ClientError

from localcloud import ports
from localcloud.aws.boot_time import BootTime, BootTimeUnreadableError
from localcloud.aws.client import Control
from tests.localcloud_aws.front import FrontProcess, describe, in_state, make_group, make_template, until

END_S_MAX = 50.0  # less than the call would hang
HANGS_S = 60.0
IMAGE = {"ImageId": "ami-headrace", "InstanceType": "m6a.large"}
SAYING = f"{sys.executable} -c \"print('hello of the machine', flush=True); import time; time.sleep(300)\""


@pytest.mark.parametrize(
    "text", ["", "soon", "-1", "lognormal", "lognormal:5", "lognormal:9:5", "lognormal:0:5", "1e9", "nan"]
)
def test_what_is_no_boot_time_is_refused(text: str) -> None:
    with pytest.raises(BootTimeUnreadableError):
        BootTime.parse(text)


def test_boot_times_have_the_percentiles_that_were_named() -> None:
    chance = random.Random(7)
    boot = BootTime.parse("lognormal:40:120")
    drawn = sorted(boot.sample(chance) for _ in range(20_000))
    assert 39 < drawn[10_000] < 41
    assert 112 < drawn[19_800] < 128
    assert {BootTime.parse("3").sample(chance) for _ in range(5)} == {3.0}


def state_of(front: FrontProcess, instance_id: str) -> str:
    found = front.client("ec2").describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]
    return str(found["State"]["Name"])


def reaches(front: FrontProcess, instance_id: str, state: str) -> None:
    until(lambda: state_of(front, instance_id) == state, f"{instance_id} to be {state}")


def metadata(front: FrontProcess, instance_id: str, path: str) -> httpx.Response:
    return httpx.get(f"{front.url}/_localcloud/imds/{instance_id}/latest/meta-data/{path}", trust_env=False, timeout=60)


@pytest.fixture
def place() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="headrace-machines-"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


def make_front(place: Path, port: int | None = None) -> FrontProcess:
    arguments = ("--machines", "process", "--state", str(place / "state"), "--node-command", SAYING)
    return FrontProcess(port or ports.choose(), place / "front.log", *arguments)


def test_a_machine_launched_directly_lives_and_speaks_and_survives_kill_9(place: Path) -> None:
    front = make_front(place)
    front.start()
    try:
        launched = front.client("ec2").run_instances(**IMAGE, MinCount=1, MaxCount=1)["Instances"][0]
        instance_id = launched["InstanceId"]
        assert launched["PrivateIpAddress"].startswith("127.1.")
        reaches(front, instance_id, "running")
        until(lambda: front.machines().get(instance_id, {}).get("pid"), "its process")
        pid = front.machines()[instance_id]["pid"]
        output = until(lambda: said(front, instance_id), "its console")
        assert output == "hello of the machine\n"
        front.kill()
        again = make_front(place, front.port)
        again.start()
        assert again.machines()[instance_id]["pid"] == pid
        again.client("ec2").stop_instances(InstanceIds=[instance_id])
        until(lambda: again.machines()[instance_id]["state"] == "stopped", "the machine to be stopped")
        again.client("ec2").start_instances(InstanceIds=[instance_id])
        reaches(again, instance_id, "running")
        until(lambda: again.machines()[instance_id]["state"] == "on", "the machine to run again")
        again.client("ec2").terminate_instances(InstanceIds=[instance_id])
        until(lambda: instance_id not in again.machines(), "the machine to be gone")
        again.stop()
    finally:
        front.kill()


def said(front: FrontProcess, instance_id: str) -> str:
    return str(front.client("ec2").get_console_output(InstanceId=instance_id).get("Output", ""))


def test_a_console_is_only_of_an_instance_that_there_is(localcloud_aws: FrontProcess) -> None:
    assert code_of(lambda: localcloud_aws.client("ec2").get_console_output(InstanceId="i-nothing")) == (
        "InvalidInstanceID.NotFound"
    )


def code_of(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as refusal:
        call()
    return str(refusal.value.response["Error"]["Code"])


def test_a_spot_machine_is_told_apart_and_its_interruption_brings_the_recommendation_too(
    localcloud_aws: FrontProcess, unique_name: str
) -> None:
    template = make_template(localcloud_aws, unique_name)
    subnets = ",".join(s["SubnetId"] for s in localcloud_aws.client("ec2").describe_subnets()["Subnets"][:2])
    localcloud_aws.client("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName=unique_name,
        MinSize=1,
        MaxSize=2,
        VPCZoneIdentifier=subnets,
        CapacityRebalance=True,
        MixedInstancesPolicy={
            "LaunchTemplate": {"LaunchTemplateSpecification": {"LaunchTemplateId": template, "Version": "$Latest"}},
            "InstancesDistribution": {"OnDemandPercentageAboveBaseCapacity": 0},
        },
    )
    (instance_id,) = in_state(localcloud_aws, unique_name, "InService", 1)
    found = localcloud_aws.client("ec2").describe_instances(InstanceIds=[instance_id])
    assert found["Reservations"][0]["Instances"][0]["InstanceLifecycle"] == "spot"
    with Control(localcloud_aws.url) as control:
        control.do(instance_id, "interrupt", seconds=7200)
    until(lambda: is_replaced(localcloud_aws, unique_name, instance_id), "another machine in its place")


def is_replaced(front: FrontProcess, group: str, instance_id: str) -> bool:
    states = {i["InstanceId"]: i["LifecycleState"] for i in (describe(front, group) or {})["Instances"]}
    return states.pop(instance_id, "") != "InService" and "InService" in states.values()


def test_a_spot_machine_is_told_that_it_is_taken_and_then_is(localcloud_aws: FrontProcess, unique_name: str) -> None:
    make_group(localcloud_aws, unique_name, make_template(localcloud_aws, unique_name))
    (instance_id,) = in_state(localcloud_aws, unique_name, "InService", 1)
    assert metadata(localcloud_aws, instance_id, "spot/instance-action").status_code == 404
    with Control(localcloud_aws.url) as control:
        control.do(instance_id, "rebalance")
        assert "noticeTime" in json.loads(
            metadata(localcloud_aws, instance_id, "events/recommendations/rebalance").text
        )
        control.do(instance_id, "interrupt")
        notice = json.loads(metadata(localcloud_aws, instance_id, "spot/instance-action").text)
        assert notice["action"] == "terminate"
        assert metadata(localcloud_aws, instance_id, "spot/termination-time").text == notice["time"]
        assert state_of(localcloud_aws, instance_id) == "running"
        control.do(instance_id, "interrupt", seconds=0)
    reaches(localcloud_aws, instance_id, "terminated")
    until(lambda: in_state(localcloud_aws, unique_name, "InService", 1) != [instance_id], "the replacement")


def test_one_signal_ends_it_while_a_call_hangs_and_a_connection_is_open(place: Path) -> None:
    front = make_front(place)
    front.start()
    try:
        make_group(front, "g", make_template(front, "t"))
        (instance_id,) = in_state(front, "g", "InService", 1)
        until(lambda: front.machines()[instance_id]["pid"], "its process")
        pid = front.machines()[instance_id]["pid"]
        with Control(front.url) as control, ThreadPoolExecutor(1) as pool:
            control.inject("slow", 900, service="ec2", delay_s=HANGS_S)
            hanging = pool.submit(front.client("ec2").describe_vpcs)
            until(lambda: control.faults() and not hanging.done(), "the call to hang")
            assert front.pid is not None
            os.kill(front.pid, signal.SIGTERM)
            until(lambda: not front.alive(), "the front to end", END_S_MAX)
            assert isinstance(hanging.exception(), BotoCoreError)
        assert not psutil.pid_exists(pid)
    finally:
        front.kill()
