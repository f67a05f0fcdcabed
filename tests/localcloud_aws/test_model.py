"""The behaviour of groups on a virtual clock; each test is a rule of the Auto Scaling user guide."""

from collections import Counter
from typing import Any

import pytest

from localcloud.aws.autoscaling import documents
from localcloud.aws.autoscaling.compute import Condition
from localcloud.aws.delayed_reads import DelayedReads
from localcloud.aws.errors import AwsError
from tests.localcloud_aws.model_world import END_HOOK, LAUNCH_HOOK, ModelWorld, hook

GROUP = {"AutoScalingGroupName": "web"}
REFUSED = [
    ("min above max", {"MinSize": 3, "MaxSize": 2}, "ValidationError", "Max bound"),
    ("desired above max", {"DesiredCapacity": 11}, "ValidationError", "Desired capacity:11"),
    ("desired below min", {"MinSize": 2, "DesiredCapacity": 1}, "ValidationError", "Desired capacity:1"),
    ("negative min", {"MinSize": -1}, "ValidationError", "negative"),
    ("colon in name", {"AutoScalingGroupName": "a:b"}, "ValidationError", "autoScalingGroupName"),
    ("no template", {"LaunchTemplate": None}, "ValidationError", "Valid requests must contain"),
    (
        "unknown template",
        {"LaunchTemplate": {"LaunchTemplateId": "lt-9"}},
        "ValidationError",
        "does not exist",
    ),
    (
        "unknown version",
        {"LaunchTemplate": {"LaunchTemplateId": "lt-1", "Version": "7"}},
        "ValidationError",
        "specified version 7",
    ),
    ("unknown subnet", {"VPCZoneIdentifier": "subnet-x"}, "ValidationError", "subnet-x"),
    ("no place", {"VPCZoneIdentifier": ""}, "ValidationError", "At least one Availability Zone"),
    ("policy", {"TerminationPolicies": ["Random"]}, "ValidationError", "termination policy"),
    ("health check", {"HealthCheckType": "PING"}, "ValidationError", "health check type"),
    (
        "maintenance",
        {"InstanceMaintenancePolicy": {"MinHealthyPercentage": 90, "MaxHealthyPercentage": 210}},
        "ValidationError",
        "100 to 200",
    ),
    ("lifetime", {"MaxInstanceLifetime": 60}, "ValidationError", "MaxInstanceLifetime"),
    ("aws tag", {"Tags": [{"Key": "aws:x", "Value": "1"}]}, "ValidationError", "tag key"),
    (
        "hook timeout",
        {"LifecycleHookSpecificationList": [hook("h", "LAUNCHING", HeartbeatTimeout=1)]},
        "ValidationError",
        "Heartbeat Timeout",
    ),
    ("launch configuration", {"LaunchConfigurationName": "lc"}, "ValidationError", "LaunchConfigurationName"),
]


@pytest.fixture
def aws() -> ModelWorld:
    return ModelWorld()


@pytest.mark.parametrize(("what", "parameters", "code", "text"), REFUSED, ids=[row[0] for row in REFUSED])
def test_create_refuses(aws: ModelWorld, what: str, parameters: dict[str, Any], code: str, text: str) -> None:
    with pytest.raises(AwsError, match=text) as refusal:
        aws.create(**parameters)
    assert refusal.value.code == code
    assert not aws.world.groups


def test_a_name_is_unique(aws: ModelWorld) -> None:
    aws.create()
    with pytest.raises(AwsError) as refusal:
        aws.create()
    assert refusal.value.code == "AlreadyExists"


def test_instances_boot_in_all_zones_and_their_launch_is_told(aws: ModelWorld) -> None:
    aws = ModelWorld(boot_s=30)
    aws.create(DesiredCapacity=6)
    assert aws.states() == ["Pending"] * 6
    assert set(Counter(m.zone for m in aws.members()).values()) == {2}
    aws.pass_s(29)
    assert aws.states() == ["Pending"] * 6
    aws.pass_s(1)
    assert aws.states() == ["InService"] * 6
    newest = aws.activities()[0]
    assert newest["StatusCode"] == "Successful"
    assert newest["Progress"] == 100
    assert "constraints to min: 0, max: 10, desired: 6" in newest["Cause"]
    assert "increasing the capacity from 5 to 6" in newest["Cause"]


def test_desired_capacity_must_lie_in_bounds_and_can_honour_the_cooldown(aws: ModelWorld) -> None:
    aws.create(MinSize=1, DefaultCooldown=100)
    for value, text in ((11, "above max value 10"), (0, "below min value 1")):
        with pytest.raises(AwsError, match=text):
            aws.call("SetDesiredCapacity", **GROUP, DesiredCapacity=value)
    with pytest.raises(AwsError) as refusal:
        aws.call("SetDesiredCapacity", **GROUP, DesiredCapacity=2, HonorCooldown=True)
    assert refusal.value.code == "ScalingActivityInProgress"
    aws.pass_s(100)
    aws.call("SetDesiredCapacity", **GROUP, DesiredCapacity=2, HonorCooldown=True)
    assert len(aws.members()) == 2


def test_an_update_of_the_bounds_moves_the_desired_capacity(aws: ModelWorld) -> None:
    aws.create(DesiredCapacity=2)
    aws.call("UpdateAutoScalingGroup", **GROUP, MinSize=4)
    assert (aws.group().desired, len(aws.members())) == (4, 4)
    aws.call("UpdateAutoScalingGroup", **GROUP, MinSize=0, MaxSize=1)
    assert (aws.group().desired, len(aws.members())) == (1, 1)
    with pytest.raises(AwsError, match="Max bound"):
        aws.call("UpdateAutoScalingGroup", **GROUP, MinSize=5)


def test_terminating_with_decrement_stops_at_the_minimum(aws: ModelWorld) -> None:
    aws.create(MinSize=1, DesiredCapacity=2)
    aws.call(
        "TerminateInstanceInAutoScalingGroup",
        InstanceId=aws.members()[0].id,
        ShouldDecrementDesiredCapacity=True,
    )
    assert (aws.group().desired, len(aws.members())) == (1, 1)
    with pytest.raises(AwsError, match="desiredSize equals minSize"):
        aws.call(
            "TerminateInstanceInAutoScalingGroup",
            InstanceId=aws.members()[0].id,
            ShouldDecrementDesiredCapacity=True,
        )


def test_an_impaired_machine_is_replaced_after_its_grace_period(aws: ModelWorld) -> None:
    aws.create(DesiredCapacity=1, HealthCheckGracePeriod=60)
    first = aws.members()[0]
    aws.compute.conditions[first.id] = Condition.IMPAIRED
    aws.poke(first)
    assert aws.members() == [first]
    aws.pass_s(60)
    assert aws.members() != [first]
    assert any("status checks failure" in a["Cause"] for a in aws.activities())


def test_a_machine_that_was_stopped_gets_no_grace(aws: ModelWorld) -> None:
    aws.create(DesiredCapacity=1, HealthCheckGracePeriod=600)
    first = aws.members()[0]
    aws.compute.conditions[first.id] = Condition.STOPPED
    aws.poke(first)
    assert aws.members() != [first]


def test_set_instance_health_replaces_and_can_respect_the_grace_period(aws: ModelWorld) -> None:
    aws.create(DesiredCapacity=1, HealthCheckGracePeriod=60)
    first = aws.members()[0]
    aws.call("SetInstanceHealth", InstanceId=first.id, HealthStatus="Unhealthy")
    assert aws.members() == [first]
    aws.call("SetInstanceHealth", InstanceId=first.id, HealthStatus="Unhealthy", ShouldRespectGracePeriod=False)
    assert aws.members() != [first]
    assert any("a user health-check" in a["Cause"] for a in aws.activities())


@pytest.mark.parametrize(
    ("process", "act"),
    [
        ("Launch", lambda aws: aws.call("SetDesiredCapacity", **GROUP, DesiredCapacity=5)),
        ("Terminate", lambda aws: aws.call("SetDesiredCapacity", **GROUP, DesiredCapacity=1)),
        (
            "ReplaceUnhealthy",
            lambda aws: aws.call("SetInstanceHealth", InstanceId=aws.members()[0].id, HealthStatus="Unhealthy"),
        ),
    ],
)
def test_a_suspended_process_does_nothing_until_it_is_resumed(process: str, act: Any) -> None:
    aws = ModelWorld()
    aws.create(DesiredCapacity=2)
    before = [m.id for m in aws.members()]
    aws.call("SuspendProcesses", **GROUP, ScalingProcesses=[process])
    act(aws)
    aws.pass_s(60)
    assert [m.id for m in aws.members()] == before
    aws.call("ResumeProcesses", **GROUP, ScalingProcesses=[process])
    aws.pass_s(60)
    assert [m.id for m in aws.members()] != before


def test_scale_in_spares_the_protected_and_keeps_zones_even(aws: ModelWorld) -> None:
    aws.create(DesiredCapacity=6)
    kept = aws.members()[0].id
    aws.call("SetInstanceProtection", **GROUP, InstanceIds=[kept], ProtectedFromScaleIn=True)
    aws.call("SetDesiredCapacity", **GROUP, DesiredCapacity=3)
    assert set(Counter(m.zone for m in aws.members()).values()) == {1}
    aws.call("SetDesiredCapacity", **GROUP, DesiredCapacity=0)
    assert [m.id for m in aws.members()] == [kept]


def test_the_oldest_template_goes_first_then_the_oldest_instance(aws: ModelWorld) -> None:
    aws.create(DesiredCapacity=2, VPCZoneIdentifier="subnet-a")
    aws.compute.templates["lt-1"] = 2
    aws.pass_s(10)
    aws.call("SetDesiredCapacity", **GROUP, DesiredCapacity=4)
    aws.call("SetDesiredCapacity", **GROUP, DesiredCapacity=2)
    assert [m.template.version for m in aws.members()] == ["2", "2"]


@pytest.mark.parametrize(("policy", "left"), [("OldestInstance", [1, 2]), ("NewestInstance", [0, 1])])
def test_termination_policies(aws: ModelWorld, policy: str, left: list[int]) -> None:
    aws.create(TerminationPolicies=[policy], VPCZoneIdentifier="subnet-a")
    for desired in (1, 2, 3):
        aws.call("SetDesiredCapacity", **GROUP, DesiredCapacity=desired)
        aws.pass_s(10)
    ids = [m.id for m in aws.members()]
    aws.call("SetDesiredCapacity", **GROUP, DesiredCapacity=2)
    assert [m.id for m in aws.members()] == [ids[i] for i in left]


def test_a_zone_without_capacity_is_passed_over_and_none_at_all_is_told_and_tried_again(aws: ModelWorld) -> None:
    aws.compute.refusals = {"us-east-1a": "InsufficientInstanceCapacity"}
    aws.create(DesiredCapacity=2)
    assert sorted(m.zone for m in aws.members()) == ["us-east-1b", "us-east-1c"]
    aws.compute.refusals |= {"us-east-1b": "x", "us-east-1c": "x"}
    aws.call("SetDesiredCapacity", **GROUP, DesiredCapacity=3)
    failed = aws.activities()[0]
    assert failed["StatusCode"] == "Failed"
    assert "do not have sufficient capacity" in failed["StatusMessage"]
    aws.compute.refusals = {}
    aws.pass_s(5)
    assert len(aws.members()) == 3


def test_standby_and_detach(aws: ModelWorld) -> None:
    aws.create(DesiredCapacity=3)
    one, two, _ = [m.id for m in aws.members()]
    aws.call("EnterStandby", **GROUP, InstanceIds=[one], ShouldDecrementDesiredCapacity=True)
    assert Counter(aws.states()) == {"InService": 2, "Standby": 1}
    aws.call("ExitStandby", **GROUP, InstanceIds=[one])
    assert (Counter(aws.states()), aws.group().desired) == ({"InService": 3}, 3)
    aws.call("DetachInstances", **GROUP, InstanceIds=[two], ShouldDecrementDesiredCapacity=False)
    assert two not in aws.group().members
    assert aws.states() == ["InService"] * 3
    assert aws.compute.condition(two) is Condition.OK


def test_a_group_with_instances_is_deleted_only_by_force_and_then_without_hooks(aws: ModelWorld) -> None:
    aws.create(DesiredCapacity=2, LifecycleHookSpecificationList=[END_HOOK])
    with pytest.raises(AwsError) as refusal:
        aws.call("DeleteAutoScalingGroup", **GROUP)
    assert refusal.value.code == "ResourceInUse"
    aws.call("DeleteAutoScalingGroup", **GROUP, ForceDelete=True)
    assert not aws.world.groups
    assert not aws.compute.conditions


def test_an_activity_that_runs_stops_a_delete(aws: ModelWorld) -> None:
    aws.create(DesiredCapacity=1, LifecycleHookSpecificationList=[LAUNCH_HOOK])
    with pytest.raises(AwsError) as refusal:
        aws.call("DeleteAutoScalingGroup", **GROUP)
    assert refusal.value.code == "ScalingActivityInProgress"


def test_tags_reach_new_instances_when_they_are_to(aws: ModelWorld) -> None:
    tags = [
        {"Key": "team", "Value": "a", "PropagateAtLaunch": True},
        {"Key": "cost", "Value": "b", "PropagateAtLaunch": False},
    ]
    aws.create(DesiredCapacity=1, Tags=tags)
    assert dict(aws.compute.orders[aws.members()[0].id].tags) == {"team": "a"}
    found = aws.call("DescribeAutoScalingGroups", Filters=[{"Name": "tag:team", "Values": ["a"]}])
    assert len(found["AutoScalingGroups"]) == 1
    aws.call("DeleteTags", Tags=[{"ResourceId": "web", "ResourceType": "auto-scaling-group", "Key": "team"}])
    assert not aws.call("DescribeAutoScalingGroups", Filters=[{"Name": "tag-key", "Values": ["team"]}])[
        "AutoScalingGroups"
    ]


def test_target_groups_follow_the_instances_in_service(aws: ModelWorld) -> None:
    aws.create(DesiredCapacity=2)
    aws.call("AttachLoadBalancerTargetGroups", **GROUP, TargetGroupARNs=["arn:tg"])
    assert aws.compute.registered["arn:tg"] == {m.id for m in aws.members()}
    aws.call("SetDesiredCapacity", **GROUP, DesiredCapacity=1)
    assert aws.compute.registered["arn:tg"] == {m.id for m in aws.members()}
    aws.call("DetachLoadBalancerTargetGroups", **GROUP, TargetGroupARNs=["arn:tg"])
    assert aws.compute.registered["arn:tg"] == set()


def test_pages_and_a_bad_token(aws: ModelWorld) -> None:
    for index in range(5):
        aws.create(f"g{index}")
    first = aws.call("DescribeAutoScalingGroups", MaxRecords=3)
    second = aws.call("DescribeAutoScalingGroups", MaxRecords=3, NextToken=first["NextToken"])
    names = [g["AutoScalingGroupName"] for g in first["AutoScalingGroups"] + second["AutoScalingGroups"]]
    assert names == ["g0", "g1", "g2", "g3", "g4"]
    assert second["NextToken"] is None
    with pytest.raises(AwsError) as refusal:
        aws.call("DescribeAutoScalingGroups", NextToken="nonsense")
    assert refusal.value.code == "InvalidNextToken"


def test_a_group_is_the_same_after_it_was_written_down_and_read(aws: ModelWorld) -> None:
    aws.create(DesiredCapacity=2, LifecycleHookSpecificationList=[LAUNCH_HOOK], Tags=[{"Key": "k", "Value": "v"}])
    assert documents.read(documents.write(aws.group())) == aws.group()


def test_a_call_with_more_tags_than_a_group_may_have_adds_none(aws: ModelWorld) -> None:
    aws.create()
    wanted = [tag_of("web", f"k{number}") for number in range(51)]
    with pytest.raises(AwsError, match="More than 50 tags"):
        aws.call("CreateOrUpdateTags", Tags=wanted)
    assert not aws.group().tags
    aws.call("CreateOrUpdateTags", Tags=wanted[:50])
    assert len(aws.group().tags) == 50


def tag_of(group: str, key: str) -> dict[str, Any]:
    return {"ResourceId": group, "ResourceType": "auto-scaling-group", "Key": key, "PropagateAtLaunch": False}


def test_reads_may_lag_behind_writes(aws: ModelWorld) -> None:
    reads = DelayedReads(aws.world, lambda: 2.0)
    reads.follow()
    aws.create(DesiredCapacity=1)
    reads.note(aws.world.changed)
    assert "web" not in reads.view().groups
    aws.pass_s(2)
    assert reads.view().groups["web"].desired == 1
    aws.call("SetDesiredCapacity", **GROUP, DesiredCapacity=3)
    reads.note(aws.world.changed)
    assert reads.view().groups["web"].desired == 1
    aws.pass_s(2)
    assert reads.view().groups["web"].desired == 3
    assert DelayedReads(aws.world, lambda: 0.0).view() is aws.world
