"""How a group keeps its capacity: replacement within bounds, weights, purchase options, zones, lifetime, cooldown."""

from collections import Counter
from typing import Any

import pytest

from localcloud.aws.autoscaling.compute import Condition, Stray
from localcloud.aws.autoscaling.plans import TemplateRef
from localcloud.aws.autoscaling.records import Member
from localcloud.aws.autoscaling.zones import moves
from localcloud.aws.errors import AwsError
from tests.localcloud_aws.model_world import ModelWorld, hook

GROUP = {"AutoScalingGroupName": "web"}
TEMPLATE = {"LaunchTemplateId": "lt-1", "Version": "1"}
DAY_S = 86_400


def policy(least: int, most: int) -> dict[str, Any]:
    return {"InstanceMaintenancePolicy": {"MinHealthyPercentage": least, "MaxHealthyPercentage": most}}


def impair(aws: ModelWorld, count: int) -> list[str]:
    sick = aws.members()[:count]
    for member in sick:
        aws.compute.conditions[member.id] = Condition.IMPAIRED
        aws.poke(member)
    return [m.id for m in sick]


def mixed(overrides: list[tuple[str, int | None]], **distribution: Any) -> dict[str, Any]:
    return {
        "LaunchTemplate": None,
        "MixedInstancesPolicy": {
            "LaunchTemplate": {
                "LaunchTemplateSpecification": TEMPLATE,
                "Overrides": [
                    {"InstanceType": name} | ({"WeightedCapacity": str(weight)} if weight else {})
                    for name, weight in overrides
                ],
            },
            "InstancesDistribution": distribution,
        },
    }


# ------------------------------------------------------------------------------------------------------- replacement


def test_without_a_policy_an_unhealthy_instance_is_terminated_at_once() -> None:
    aws = ModelWorld(boot_s=30)
    aws.create(DesiredCapacity=4)
    aws.pass_s(30)
    sick = impair(aws, 2)
    assert not set(sick) & set(aws.group().members)
    assert Counter(aws.states()) == {"InService": 2, "Pending": 2}


def test_a_policy_that_launches_first_terminates_when_the_replacement_serves() -> None:
    aws = ModelWorld(boot_s=30)
    aws.create(DesiredCapacity=4, DefaultInstanceWarmup=60, **policy(100, 125))
    aws.pass_s(100)
    (sick,) = impair(aws, 1)
    assert sick in aws.group().members
    assert Counter(aws.states()) == {"InService": 4, "Pending": 1}
    aws.pass_s(89)
    assert sick in aws.group().members, "the replacement has not warmed up"
    aws.pass_s(1)
    assert sick not in aws.group().members
    assert aws.states() == ["InService"] * 4


def test_many_unhealthy_ones_go_one_after_the_other_when_the_maximum_is_near() -> None:
    aws = ModelWorld(boot_s=30)
    aws.create(DesiredCapacity=10, MaxSize=10, VPCZoneIdentifier="subnet-a", **policy(100, 110))
    aws.pass_s(30)
    sick = set(impair(aws, 3))
    for left in (2, 1, 0):
        assert len(aws.group().capacity) <= 11
        aws.pass_s(30)
        assert len(sick & set(aws.group().members)) == left
    assert (aws.states(), aws.group().desired) == (["InService"] * 10, 10)


def test_one_that_is_gone_is_replaced_at_once_whatever_the_policy_says() -> None:
    aws = ModelWorld(boot_s=30)
    aws.create(DesiredCapacity=2, **policy(100, 150))
    aws.pass_s(30)
    first = aws.members()[0]
    aws.compute.conditions[first.id] = Condition.STOPPED
    aws.poke(first)
    assert Counter(aws.states()) == {"InService": 1, "Pending": 1}


def test_a_suspended_health_check_leaves_the_sick_alone_until_it_is_resumed() -> None:
    aws = ModelWorld()
    aws.create(DesiredCapacity=2)
    aws.call("SuspendProcesses", **GROUP, ScalingProcesses=["HealthCheck"])
    (sick,) = impair(aws, 1)
    aws.pass_s(600)
    assert sick in aws.group().members
    aws.call("ResumeProcesses", **GROUP)
    assert sick not in aws.group().members


def test_the_maximum_lifetime_replaces_a_tenth_at_a_time() -> None:
    aws = ModelWorld(boot_s=30)
    aws.create(DesiredCapacity=10, MaxInstanceLifetime=DAY_S)
    aws.pass_s(DAY_S - 1)
    first = set(aws.group().members)
    assert len(first) == 10
    aws.pass_s(1)
    assert len(first & set(aws.group().members)) == 9
    for _ in range(30):
        aws.pass_s(10)
        assert aws.states().count("InService") >= 9
    assert not first & set(aws.group().members)
    assert any("maximum instance lifetime" in a["Cause"] for a in aws.activities())


def test_capacity_rebalance_replaces_a_spot_instance_at_risk_before_it_is_lost() -> None:
    spot = mixed([("m6a.large", None)], OnDemandPercentageAboveBaseCapacity=0)
    for wanted in (True, False):
        aws = ModelWorld(boot_s=30)
        aws.create(DesiredCapacity=2, CapacityRebalance=wanted, **spot)
        aws.pass_s(30)
        risky = aws.members()[0]
        aws.compute.risky.add(risky.id)
        aws.poke(risky)
        assert Counter(aws.states()) == ({"InService": 2, "Pending": 1} if wanted else {"InService": 2})
        aws.pass_s(30)
        assert (risky.id in aws.group().members) != wanted
        assert aws.states() == ["InService"] * 2


# ------------------------------------------------------------------------------------------------------------- zones


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


# ------------------------------------------------------------------------------------- weights and purchase options


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


# -------------------------------------------------------------------------------------------- attach, balance, delete


def stray(aws: ModelWorld, name: str, zone: str = "us-east-1a") -> str:
    aws.compute.strays[name] = Stray(name, zone, "subnet-a", "m6a.large", TemplateRef("", "", ""))
    aws.compute.conditions[name] = Condition.OK
    return name


def test_an_instance_is_attached_and_the_desired_capacity_grows() -> None:
    aws = ModelWorld()
    aws.create(DesiredCapacity=1, MaxSize=2, TargetGroupARNs=["arn:tg"])
    aws.call("SuspendProcesses", **GROUP, ScalingProcesses=["AZRebalance"])
    one = stray(aws, "i-stray")
    aws.call("AttachInstances", **GROUP, InstanceIds=[one])
    assert (aws.group().desired, aws.group().members[one].lifecycle) == (2, "InService")
    assert one in aws.compute.registered["arn:tg"]
    for ids, text in (
        ([one], "already part"),
        (["i-none"], "Invalid"),
        ([stray(aws, "i-2")], "desired-size=2. To attach 1 instance, please update"),
    ):
        with pytest.raises(AwsError, match=text):
            aws.call("AttachInstances", **GROUP, InstanceIds=ids)
    aws.call("UpdateAutoScalingGroup", **GROUP, MaxSize=9)
    with pytest.raises(AwsError, match="not in a zone"):
        aws.call("AttachInstances", **GROUP, InstanceIds=[stray(aws, "i-3", "eu-west-1a")])


def test_load_balancers_and_traffic_sources_hold_what_is_in_service() -> None:
    aws = ModelWorld()
    aws.create(DesiredCapacity=2, LoadBalancerNames=["classic"])
    ids = {m.id for m in aws.members()}
    assert aws.compute.registered["classic"] == ids
    aws.call("AttachTrafficSources", **GROUP, TrafficSources=[{"Identifier": "arn:tg", "Type": "elbv2"}])
    assert aws.compute.registered["arn:tg"] == ids
    found = aws.call("DescribeTrafficSources", **GROUP)["TrafficSources"]
    assert [(one["Identifier"], one["Type"]) for one in found] == [("arn:tg", "elbv2"), ("classic", "elb")]
    aws.call("DetachLoadBalancers", **GROUP, LoadBalancerNames=["classic"])
    aws.call("DetachTrafficSources", **GROUP, TrafficSources=[{"Identifier": "arn:tg"}])
    assert aws.compute.registered == {"classic": set(), "arn:tg": set()}
    with pytest.raises(AwsError, match="not attached"):
        aws.call("DetachLoadBalancers", **GROUP, LoadBalancerNames=["classic"])


def test_add_to_load_balancer_suspended_registers_nothing() -> None:
    aws = ModelWorld()
    aws.create()
    aws.call("SuspendProcesses", **GROUP, ScalingProcesses=["AddToLoadBalancer"])
    aws.call("AttachLoadBalancerTargetGroups", **GROUP, TargetGroupARNs=["arn:tg"])
    aws.call("SetDesiredCapacity", **GROUP, DesiredCapacity=2)
    assert "arn:tg" not in aws.compute.registered


@pytest.mark.parametrize(
    ("protection", "force", "refused"),
    [
        ("prevent-force-deletion", True, True),
        ("prevent-force-deletion", False, False),
        ("prevent-all-deletion", False, True),
        ("none", True, False),
    ],
)
def test_deletion_protection(protection: str, force: bool, refused: bool) -> None:
    aws = ModelWorld()
    aws.create(DeletionProtection=protection)
    if refused:
        with pytest.raises(AwsError, match="deletion protection"):
            aws.call("DeleteAutoScalingGroup", **GROUP, ForceDelete=force)
    else:
        aws.call("DeleteAutoScalingGroup", **GROUP, ForceDelete=force)
    assert bool(aws.world.groups) == refused


def test_activities_of_a_deleted_group_are_told_on_request_for_six_weeks() -> None:
    aws = ModelWorld()
    aws.create(DesiredCapacity=1)
    aws.call("DeleteAutoScalingGroup", **GROUP, ForceDelete=True)
    assert not aws.call("DescribeScalingActivities")["Activities"]
    found = aws.call("DescribeScalingActivities", IncludeDeletedGroups=True, **GROUP)["Activities"]
    assert {one["AutoScalingGroupState"] for one in found} == {"Deleted"}
    assert len(found) == 2
    aws.pass_s(43 * DAY_S)
    aws.create("other")
    aws.call("DeleteAutoScalingGroup", AutoScalingGroupName="other")
    with pytest.raises(AwsError, match="not found"):
        aws.call("DescribeScalingActivities", IncludeDeletedGroups=True, **GROUP)


@pytest.mark.parametrize(
    ("policies", "left"),
    [
        (["OldestLaunchTemplate"], ["2", "2"]),
        (["NewestInstance"], ["1", "1"]),
        (["Default"], ["2", "2"]),
        (["ClosestToNextInstanceHour"], ["1", "1"]),
    ],
)
def test_termination_policies_on_templates_and_hours(policies: list[str], left: list[str]) -> None:
    aws = ModelWorld()
    aws.create(TerminationPolicies=policies, VPCZoneIdentifier="subnet-a", DesiredCapacity=2)
    aws.pass_s(1800)
    aws.compute.templates["lt-1"] = 2
    aws.call("SetDesiredCapacity", **GROUP, DesiredCapacity=4)
    aws.pass_s(3300)  # of the current hour the old ones have used 25 minutes, the new ones 55
    aws.call("SetDesiredCapacity", **GROUP, DesiredCapacity=2)
    assert [m.template.version for m in aws.members()] == left


@pytest.mark.parametrize("policies", [["Default", "OldestInstance"], ["OldestInstance", "arn:aws:lambda:x"]])
def test_the_order_of_termination_policies_is_checked(policies: list[str]) -> None:
    with pytest.raises(AwsError, match="termination policy must be"):
        ModelWorld().create(TerminationPolicies=policies)


def test_a_hook_of_a_replacement_counts_as_not_serving() -> None:
    aws = ModelWorld()
    aws.create(DesiredCapacity=2, **policy(100, 150))
    aws.call("PutLifecycleHook", **GROUP, **hook("boot", "LAUNCHING", HeartbeatTimeout=60, DefaultResult="CONTINUE"))
    (sick,) = impair(aws, 1)
    assert Counter(aws.states()) == {"InService": 2, "Pending:Wait": 1}
    aws.pass_s(60)
    assert sick not in aws.group().members
