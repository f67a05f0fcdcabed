"""Allocation strategies of mixed instances: which type is launched, out of which pool, at which price."""

from collections import Counter
from typing import Any

import pytest

from localcloud.aws.autoscaling.allocation import Pool
from tests.localcloud_aws.model_world import ModelWorld

GROUP = {"AutoScalingGroupName": "web"}
ZONE = "us-east-1a"
# By place in the list: dear and roomy, cheap and scarce, in between and roomy.
SPOT = {"a.large": Pool(0.09), "b.large": Pool(0.02, room=2), "c.large": Pool(0.05)}
ON_DEMAND = {"a.large": Pool(0.20), "b.large": Pool(0.30), "c.large": Pool(0.10)}


def world() -> ModelWorld:
    aws = ModelWorld()
    for pools, spot in ((SPOT, True), (ON_DEMAND, False)):
        for kind, pool in pools.items():
            aws.compute.pools[kind, ZONE, spot] = pool
    return aws


def policy(weights: dict[str, int] | None = None, **distribution: Any) -> dict[str, Any]:
    overrides = [
        {"InstanceType": kind} | ({"WeightedCapacity": str(weights[kind])} if weights else {}) for kind in SPOT
    ]
    template = {"LaunchTemplateId": "lt-1", "Version": "1"}
    return {
        "LaunchTemplate": None,
        "VPCZoneIdentifier": "subnet-a",
        "MixedInstancesPolicy": {
            "LaunchTemplate": {"LaunchTemplateSpecification": template, "Overrides": overrides},
            "InstancesDistribution": distribution,
        },
    }


def launched(aws: ModelWorld) -> Counter[str]:
    return Counter(m.instance_type for m in aws.members())


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [("prioritized", {"a.large": 3}), ("lowest-price", {"c.large": 3}), (None, {"a.large": 3})],
)
def test_on_demand(strategy: str | None, expected: dict[str, int]) -> None:
    aws = world()
    named: dict[str, Any] = {"OnDemandAllocationStrategy": strategy} if strategy else {}
    aws.create(DesiredCapacity=3, **policy(**named))
    assert launched(aws) == expected


@pytest.mark.parametrize(
    ("strategy", "more", "expected"),
    [
        ("capacity-optimized", {}, {"a.large": 4}),
        ("capacity-optimized-prioritized", {}, {"a.large": 4}),
        ("price-capacity-optimized", {}, {"c.large": 4}),
        ("lowest-price", {"SpotInstancePools": 1}, {"b.large": 2, "c.large": 2}),  # b has two machines only
        ("lowest-price", {"SpotInstancePools": 2}, {"a.large": 1, "b.large": 2, "c.large": 1}),
        ("lowest-price", {"SpotInstancePools": 3}, {"a.large": 1, "b.large": 2, "c.large": 1}),
        (None, {}, {"a.large": 1, "b.large": 2, "c.large": 1}),
    ],
)
def test_spot(strategy: str | None, more: dict[str, Any], expected: dict[str, int]) -> None:
    aws = world()
    named: dict[str, Any] = {"SpotAllocationStrategy": strategy} if strategy else {}
    aws.create(DesiredCapacity=4, **policy(OnDemandPercentageAboveBaseCapacity=0, **named, **more))
    assert launched(aws) == expected
    assert all(m.spot for m in aws.members())


def test_prices_are_those_of_a_unit_of_capacity() -> None:
    aws = world()
    weights = {"a.large": 4, "b.large": 1, "c.large": 1}  # 0.05 a unit, 0.30, 0.10
    aws.create(DesiredCapacity=4, **policy(weights, OnDemandAllocationStrategy="lowest-price"))
    assert launched(aws) == {"a.large": 1}


def test_a_type_without_a_price_is_the_last() -> None:
    aws = world()
    del aws.compute.pools["c.large", ZONE, False]
    aws.create(DesiredCapacity=1, **policy(OnDemandAllocationStrategy="lowest-price"))
    assert launched(aws) == {"a.large": 1}


def test_a_spot_machine_that_costs_more_than_allowed_is_refused() -> None:
    aws = world()
    aws.compute.pools["b.large", ZONE, True] = Pool(0.07)
    spread: dict[str, Any] = {"OnDemandPercentageAboveBaseCapacity": 0, "SpotMaxPrice": "0.04"}
    aws.create(DesiredCapacity=1, **policy(**spread))
    assert launched(aws) == {}
    failed = aws.activities()[0]
    assert failed["StatusCode"] == "Failed"
    assert "Your Spot request price of 0.04 is lower than the minimum required Spot request" in failed["StatusMessage"]
    aws.compute.pools["c.large", ZONE, True] = Pool(0.03)
    aws.pass_s(60)
    assert launched(aws) == {"c.large": 1}


def test_scale_in_by_allocation_strategy_takes_what_would_be_launched_last() -> None:
    aws = world()
    spread: dict[str, Any] = {"OnDemandPercentageAboveBaseCapacity": 0, "SpotInstancePools": 3}
    aws.create(DesiredCapacity=4, TerminationPolicies=["AllocationStrategy"], **policy(**spread))
    aws.compute.pools["b.large", ZONE, True] = Pool(0.50)  # the market has turned
    aws.call("SetDesiredCapacity", **GROUP, DesiredCapacity=2)
    assert launched(aws) == {"a.large": 1, "c.large": 1}
