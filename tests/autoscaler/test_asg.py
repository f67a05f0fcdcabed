"""Desired capacity on the embedded AWS: written, waited for, and what it says when there are no machines to be had."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest

from services.autoscaler.adapters import asg
from services.autoscaler.adapters.asg import AsgSizes
from services.autoscaler.adapters.inventory import snapshot_of
from services.autoscaler.domain.group import GroupSnapshot
from shared.aws import clients
from shared.aws.groups import AsgInventory
from shared.contracts.objects import Autoscaling, ServerGroup
from shared.contracts.provisioning import FleetModel, GroupModel
from shared.contracts.scaling import SetDesiredInput, WaitInServiceInput
from shared.domain.errors import InvalidInput, Throttled, Unavailable
from shared.domain.names import GroupName
from shared.system import SystemClock
from tests.autoscaler.groups import GROUP
from tests.autoscaler.requests import ask, scale
from tests.autoscaler.world import World, world
from tests.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]
STOP_S_MAX = 60.0
SIZES, IN_TIME = AsgSizes(SystemClock()), float("inf")
CREDENTIALS = {
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "AKIAHEADRACE",
    "AWS_SECRET_ACCESS_KEY": "s",
}


@pytest.fixture(scope="module")
def front() -> Iterator[str]:
    """The embedded AWS with machines that are only rows; gives its address."""
    command = [sys.executable, "-m", "localcloud.aws", "--port", "0", "--machines", "virtual"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.terminate()
        process.wait(STOP_S_MAX)


@pytest.fixture
def fleet_asg(front: str, monkeypatch: pytest.MonkeyPatch, unique_name: str) -> Iterator[str]:
    """An Auto Scaling Group of group `delays`, revision 1, with one node, in a workspace of its own."""
    for name, value in (CREDENTIALS | {"AWS_ENDPOINT_URL": front}).items():
        monkeypatch.setenv(name, value)
    clients._make.cache_clear()
    asg._client.cache_clear()
    ec2, autoscaling = boto3.client("ec2"), boto3.client("autoscaling")
    ec2.create_launch_template(
        LaunchTemplateName=unique_name, LaunchTemplateData={"ImageId": "ami-headrace", "InstanceType": "m6a.large"}
    )
    tags = {"managed": "true", "workspace": unique_name, "group": GROUP, "fleet": "delays-r1", "revision": "1"}
    name = f"{unique_name}-delays-r1"
    autoscaling.create_auto_scaling_group(
        AutoScalingGroupName=name,
        LaunchTemplate={"LaunchTemplateName": unique_name, "Version": "1"},
        MinSize=0,
        MaxSize=6,
        DesiredCapacity=1,
        AvailabilityZones=["us-east-1a"],
        Tags=[{"Key": f"headrace:{k}", "Value": v, "PropagateAtLaunch": True} for k, v in tags.items()],
    )
    yield name
    httpx.delete(f"{front}/_localcloud/faults", trust_env=False)
    autoscaling.delete_auto_scaling_group(AutoScalingGroupName=name, ForceDelete=True)
    clients._make.cache_clear()
    asg._client.cache_clear()


def inject(front: str, fault: dict[str, Any]) -> None:
    placed = httpx.post(f"{front}/_localcloud/faults", json=fault, trust_env=False)
    assert placed.is_success, placed.text


class Declared:
    """An inventory of one declared group, whose fleets are what AWS has."""

    def __init__(self, workspace: str) -> None:
        spec = ServerGroup(name=GROUP, kind="stage", scaling=Autoscaling(min_nodes=1, max_nodes=6))
        weighted = (FleetModel(fleet="delays-r1", asg="", revision=1, weight=100),)
        self._model = GroupModel(spec=spec, generation=1, phase="READY", fleets=weighted)
        self._workspace, self._asgs = workspace, AsgInventory()

    async def groups(self) -> tuple[GroupSnapshot, ...]:
        return (await self.group(GROUP),)

    async def group(self, name: GroupName) -> GroupSnapshot:
        return snapshot_of(self._model, self._asgs.describe(self._workspace))


def real(name: str) -> World:
    """The operations over the real group and the real time."""
    made = world()
    found = replace(
        made.adapters, inventory=Declared(name.removesuffix("-delays-r1")), sizes=SIZES, clock=SystemClock()
    )
    return made.over(found)


async def test_out_waited_for_and_in_again(fleet_asg: str) -> None:
    w = real(fleet_asg)
    for step in (scale("out", 1, 3), scale("in", 3, 2, "dec-2")):
        made = await w.service.scaling.set_desired(SetDesiredInput(scale=step, lease=w.lease()))
        assert made.outcome == "set"
        done = await w.service.scaling.wait_in_service(WaitInServiceInput(scale=step, timeout_s=90), lambda _: None)
        assert (done.outcome, done.in_service) == ("in_service", dict(step.desired))


async def test_reserve_sets_absolute_sizes_within_max_size(fleet_asg: str) -> None:
    w = real(fleet_asg)
    request = ask(w, 1.0, floor=9).model_copy(update={"fleet": "delays-r1"})
    answer = await w.service.reservations.reserve(request)
    assert answer.desired == {"delays-r1": 6}
    assert "BoundedByMaxSize" in [r.code for r in answer.reasons]
    assert (await Declared(fleet_asg.removesuffix("-delays-r1")).group(GROUP)).fleets[0].desired == 6


async def test_above_max_size_and_a_group_that_is_not_there_are_refused(fleet_asg: str) -> None:
    with pytest.raises(InvalidInput, match="SetDesiredCapacity"):
        await SIZES.set_desired(fleet_asg, 7, IN_TIME)
    with pytest.raises(InvalidInput, match="not-there"):
        await SIZES.set_desired("not-there", 1, IN_TIME)


async def test_a_call_that_could_outlast_its_lease_is_not_sent(fleet_asg: str) -> None:
    with pytest.raises(Unavailable, match="not sent"):
        await SIZES.set_desired(fleet_asg, 2, SystemClock().monotonic() + asg.ATTEMPT_S_MAX - 0.1)
    seen = await Declared(fleet_asg.removesuffix("-delays-r1")).group(GROUP)
    assert seen.fleets[0].desired == 1


async def test_without_machines_to_be_had_it_gives_up_with_what_aws_says(fleet_asg: str, front: str) -> None:
    w = real(fleet_asg)
    fault = {"kind": "insufficient-capacity", "instance_type": "m6a.large", "seconds": 900}
    inject(front, fault)
    step = scale("out", 1, 3)
    await w.service.scaling.set_desired(SetDesiredInput(scale=step, lease=w.lease()))

    async def failed() -> str | None:
        return await SIZES.failure(fleet_asg, 0.0) or None

    assert "do not have sufficient m6a.large capacity" in await eventually(failed)
    done = await w.service.scaling.wait_in_service(WaitInServiceInput(scale=step, timeout_s=1), lambda _: None)
    assert done.outcome == "gave_up"
    assert "m6a.large" in done.text
    seen = await Declared(fleet_asg.removesuffix("-delays-r1")).group(GROUP)
    assert seen.fleets[0].desired == 3, "what was ordered is not taken back"


async def test_throttling_may_be_tried_again_and_leaves_nothing_open(fleet_asg: str, front: str) -> None:
    w = real(fleet_asg)
    inject(front, {"kind": "throttle", "service": "autoscaling", "actions": ["SetDesired"], "seconds": 900})
    with pytest.raises(Throttled):
        await w.service.scaling.set_desired(SetDesiredInput(scale=scale("out", 1, 2), lease=w.lease()))
    assert await w.store.unsettled(0.0) == ()


async def test_an_aws_that_is_gone_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (CREDENTIALS | {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}).items():
        monkeypatch.setenv(name, value)
    asg._client.cache_clear()
    with pytest.raises(Unavailable, match="SetDesiredCapacity gone to 1"):
        await SIZES.set_desired("gone", 1, IN_TIME)
    asg._client.cache_clear()
