"""How a group keeps its capacity: replacement within bounds, lifetime, rebalance, what is attached, protected or deleted."""

from collections import Counter
from typing import Any

import pytest

from localcloud.aws.autoscaling.compute import Condition, Stray
from localcloud.aws.autoscaling.plans import TemplateRef
from localcloud.aws.errors import AwsError
from tests.localcloud_aws.model_world import ModelWorld, hook, mixed

GROUP = {"AutoScalingGroupName": "web"}
DAY_S = 86_400


def policy(least: int, most: int) -> dict[str, Any]:
    return {"InstanceMaintenancePolicy": {"MinHealthyPercentage": least, "MaxHealthyPercentage": most}}


def impair(aws: ModelWorld, count: int) -> list[str]:
    sick = aws.members()[:count]
    for member in sick:
        aws.compute.conditions[member.id] = Condition.IMPAIRED
        aws.poke(member)
    return [m.id for m in sick]


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
