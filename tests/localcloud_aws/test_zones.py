"""Availability Zones of a group: evened out, left alone, moved away from."""

from collections import Counter
from typing import Any

import pytest

from localcloud.aws.autoscaling.plans import TemplateRef
from localcloud.aws.autoscaling.records import Member
from localcloud.aws.autoscaling.zones import moves
from tests.localcloud_aws.model_world import ModelWorld

GROUP = {"AutoScalingGroupName": "web"}


def even(aws: ModelWorld) -> bool:
    counts = Counter(dict.fromkeys(aws.group().zones, 0))
    counts.update(m.zone for m in aws.group().capacity)
    return max(counts.values()) - min(counts.values()) <= 1


def uneven_group(**more: Any) -> ModelWorld:
    """Six instances in two of three zones: the third had no room."""
    aws = ModelWorld(boot_s=30)
    aws.compute.refusals = {"us-east-1c": "InsufficientInstanceCapacity"}
    aws.create(DesiredCapacity=6, **more)
    aws.pass_s(30)
    assert not even(aws)
    return aws


def test_zones_are_evened_out_by_launching_first_once_there_is_room_again() -> None:
    aws = uneven_group()
    aws.compute.refusals = {}
    least, most = 6, 6
    for _ in range(120):
        aws.pass_s(5)
        least = min(least, aws.states().count("InService"))
        most = max(most, len(aws.group().capacity))
    assert even(aws)
    assert (least, most) == (6, 7)  # a tenth of the maximum of ten more, at most
    assert any("to balance instances in zones us-east-1c" in a["Cause"] for a in aws.activities())


@pytest.mark.parametrize("process", ["AZRebalance", "Launch", "Terminate"])
def test_zones_are_left_as_they_are_while_the_process_is_suspended(process: str) -> None:
    aws = uneven_group()
    aws.compute.refusals = {}
    aws.call("SuspendProcesses", **GROUP, ScalingProcesses=[process])
    before = set(aws.group().members)
    aws.pass_s(3600)
    assert set(aws.group().members) == before
    aws.call("ResumeProcesses", **GROUP)
    aws.pass_s(3600)
    assert even(aws)


def test_zones_of_protected_instances_are_left_alone() -> None:
    aws = uneven_group(NewInstancesProtectedFromScaleIn=True)
    aws.compute.refusals = {}
    before = set(aws.group().members)
    aws.pass_s(3600)
    assert set(aws.group().members) == before


def test_instances_of_a_zone_that_the_group_has_left_are_moved() -> None:
    aws = ModelWorld(boot_s=30)
    aws.create(DesiredCapacity=6)
    aws.pass_s(30)
    aws.call("UpdateAutoScalingGroup", **GROUP, VPCZoneIdentifier="subnet-a,subnet-b")
    lowest = 6
    for _ in range(60):
        aws.pass_s(5)
        lowest = min(lowest, aws.states().count("InService"))
    assert {m.zone for m in aws.members()} == {"us-east-1a", "us-east-1b"}
    assert (lowest, len(aws.members())) == (6, 6)


def test_balanced_only_waits_for_the_zone_that_has_no_room() -> None:
    aws = ModelWorld()
    aws.compute.refusals = {"us-east-1c": "InsufficientInstanceCapacity"}
    aws.create(DesiredCapacity=6, AvailabilityZoneDistribution={"CapacityDistributionStrategy": "balanced-only"})
    assert Counter(m.zone for m in aws.members()) == {"us-east-1a": 1, "us-east-1b": 1}
    aws.compute.refusals = {}
    aws.pass_s(10)
    assert set(Counter(m.zone for m in aws.members()).values()) == {2}


@pytest.mark.parametrize(
    ("counts", "wanted"),
    [((2, 2, 2), 0), ((3, 2, 2), 0), ((4, 1, 1), 2), ((3, 3, 1), 1), ((6, 0, 0), 4), ((1, 0, 0), 0)],
)
def test_how_many_have_to_move(counts: tuple[int, ...], wanted: int) -> None:
    ref = TemplateRef("lt-1", "lt-1", "1")
    members = [
        Member(f"i-{z}{n}", f"z{z}", "s", "t", ref, 0.0, 0.0) for z, count in enumerate(counts) for n in range(count)
    ]
    assert moves([f"z{z}" for z in range(len(counts))], members) == wanted
