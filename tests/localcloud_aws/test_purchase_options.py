"""Mixed instances: weights, the next type where one has no room, shares of on-demand and spot."""

from typing import Any

import pytest

from localcloud.aws.errors import AwsError
from tests.localcloud_aws.model_world import ModelWorld, mixed

GROUP = {"AutoScalingGroupName": "web"}


def test_weights_fill_the_desired_capacity_and_may_overshoot_it() -> None:
    aws = ModelWorld()
    aws.create(DesiredCapacity=10, MaxSize=20, **mixed([("c5.2xlarge", 4), ("c5.xlarge", 2)]))
    assert [m.weight for m in aws.members()] == [4, 4, 4]
    described = aws.call("DescribeAutoScalingGroups")["AutoScalingGroups"][0]
    assert {i["WeightedCapacity"] for i in described["Instances"]} == {"4"}
    aws.call("SetDesiredCapacity", **GROUP, DesiredCapacity=6)
    assert aws.group().units == 8, "scale-in does not fall below the desired capacity"
    aws.call("SetDesiredCapacity", **GROUP, DesiredCapacity=4)
    assert aws.group().units == 4


def test_instances_that_come_and_go_by_calls_count_by_their_weight() -> None:
    aws = ModelWorld()
    aws.create(DesiredCapacity=8, MaxSize=8, **mixed([("c5.2xlarge", 4)]))
    one, two = [m.id for m in aws.members()]
    aws.call("EnterStandby", **GROUP, InstanceIds=[one], ShouldDecrementDesiredCapacity=True)
    assert (aws.group().desired, aws.group().units) == (4, 4)
    aws.call("ExitStandby", **GROUP, InstanceIds=[one])
    assert (aws.group().desired, aws.group().units) == (8, 8)
    aws.call("TerminateInstanceInAutoScalingGroup", InstanceId=two, ShouldDecrementDesiredCapacity=True)
    assert (aws.group().desired, [m.id for m in aws.members()]) == (4, [one])


def test_the_next_type_is_taken_where_the_first_has_no_room() -> None:
    aws = ModelWorld()
    aws.compute.refusals = {"c5.2xlarge": "InsufficientInstanceCapacity"}
    aws.create(DesiredCapacity=4, **mixed([("c5.2xlarge", 4), ("c5.xlarge", 2)]))
    assert [(m.instance_type, m.weight) for m in aws.members()] == [("c5.xlarge", 2)] * 2


@pytest.mark.parametrize(
    ("base", "above", "desired", "on_demand"),
    [(0, 100, 4, 4), (0, 0, 4, 0), (2, 50, 6, 4), (5, 0, 3, 3), (0, 25, 4, 1)],
)
def test_on_demand_base_and_percentage(base: int, above: int, desired: int, on_demand: int) -> None:
    aws = ModelWorld()
    spread = {"OnDemandBaseCapacity": base, "OnDemandPercentageAboveBaseCapacity": above}
    aws.create(DesiredCapacity=desired, **mixed([("m6a.large", None)], **spread))
    assert sum(not m.spot for m in aws.members()) == on_demand
    assert sum(aws.compute.orders[m.id].spot for m in aws.members()) == desired - on_demand


def test_scale_in_keeps_the_share_of_on_demand() -> None:
    aws = ModelWorld()
    spread = {"OnDemandBaseCapacity": 1, "OnDemandPercentageAboveBaseCapacity": 0}
    aws.create(DesiredCapacity=4, **(mixed([("m6a.large", None)], **spread) | {"VPCZoneIdentifier": "subnet-a"}))
    aws.call("SetDesiredCapacity", **GROUP, DesiredCapacity=1)
    assert [m.spot for m in aws.members()] == [False]


@pytest.mark.parametrize(
    ("what", "overrides", "distribution"),
    [
        ("some weights", [("a.large", 1), ("b.large", None)], {}),
        ("weight", [("a.large", 1000)], {}),
        ("same type twice", [("a.large", None), ("a.large", None)], {}),
        ("percentage", [("a.large", None)], {"OnDemandPercentageAboveBaseCapacity": 101}),
        ("base", [("a.large", None)], {"OnDemandBaseCapacity": -1}),
        ("strategy", [("a.large", None)], {"SpotAllocationStrategy": "cheapest"}),
        ("pools", [("a.large", None)], {"SpotInstancePools": 21}),
    ],
)
def test_mixed_instances_are_checked(
    what: str, overrides: list[tuple[str, int | None]], distribution: dict[str, Any]
) -> None:
    aws = ModelWorld()
    with pytest.raises(AwsError) as refusal:
        aws.create(**mixed(overrides, **distribution))
    assert (refusal.value.code, aws.world.groups) == ("ValidationError", {}), what
