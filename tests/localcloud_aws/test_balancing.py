"""Target groups of a group on a virtual clock: whose opinion counts, and who waits for his connections."""

from typing import Any

import pytest

from localcloud.aws.autoscaling import documents
from localcloud.aws.autoscaling.compute import Condition
from localcloud.aws.target_health import TargetState
from tests.localcloud_aws.model_world import ModelWorld, hook

GROUP = {"AutoScalingGroupName": "web"}
ARN = "arn:tg"


def balanced(**more: Any) -> ModelWorld:
    aws = ModelWorld(boot_s=30)
    settings: dict[str, Any] = {
        "DesiredCapacity": 2,
        "HealthCheckType": "ELB",
        "HealthCheckGracePeriod": 60,
        "TargetGroupARNs": [ARN],
    }
    aws.create(**(settings | more))
    aws.pass_s(30)
    return aws


def find(aws: ModelWorld, state: TargetState, count: int = 1) -> list[str]:
    """The load balancer finds so many of the group's instances in a state."""
    chosen = aws.members()[:count]
    for member in chosen:
        aws.compute.target_states[member.id] = state
        aws.poke(member)
    return [m.id for m in chosen]


def attachment(aws: ModelWorld) -> list[str]:
    found = aws.call("DescribeLoadBalancerTargetGroups", **GROUP)["LoadBalancerTargetGroups"]
    return [one["State"] for one in found]


@pytest.mark.parametrize(("kind", "replaced"), [("ELB", True), ("EC2,ELB", True), ("EC2", False), ("EBS", False)])
def test_an_unhealthy_target_is_replaced_where_the_group_asks_for_it(kind: str, replaced: bool) -> None:
    aws = balanced(HealthCheckType=kind, HealthCheckGracePeriod=0)
    (sick,) = find(aws, TargetState.UNHEALTHY)
    assert (sick not in aws.group().members) == replaced
    causes = [one["Cause"] for one in aws.activities()]
    assert any("in response to an ELB system health check failure." in one for one in causes) == replaced


def test_the_grace_period_is_waited_for() -> None:
    aws = balanced()
    (sick,) = find(aws, TargetState.UNHEALTHY)
    aws.pass_s(59)
    assert sick in aws.group().members
    aws.pass_s(1)
    assert sick not in aws.group().members


@pytest.mark.parametrize("state", [TargetState.INITIAL, TargetState.UNUSED, TargetState.UNAVAILABLE])
def test_only_unhealthy_is_unhealthy(state: TargetState) -> None:
    aws = balanced(HealthCheckGracePeriod=0)
    (one,) = find(aws, state)
    aws.pass_s(3600)
    assert one in aws.group().members


def test_one_target_group_that_finds_it_unhealthy_is_enough() -> None:
    aws = balanced(HealthCheckGracePeriod=0, TargetGroupARNs=["arn:one", "arn:two"])
    (sick,) = find(aws, TargetState.UNHEALTHY)
    assert sick not in aws.group().members


def test_a_suspended_health_check_does_not_look_at_load_balancers() -> None:
    aws = balanced(HealthCheckGracePeriod=0)
    aws.call("SuspendProcesses", **GROUP, ScalingProcesses=["HealthCheck"])
    (sick,) = find(aws, TargetState.UNHEALTHY)
    aws.pass_s(600)
    assert sick in aws.group().members
    aws.call("ResumeProcesses", **GROUP)
    assert sick not in aws.group().members


def test_an_attachment_has_nobody_replaced_before_one_instance_has_passed() -> None:
    aws = balanced(HealthCheckGracePeriod=0, TargetGroupARNs=[])
    sick = find(aws, TargetState.UNHEALTHY, 2)
    aws.call("AttachLoadBalancerTargetGroups", **GROUP, TargetGroupARNs=[ARN])
    aws.pass_s(600)
    assert (attachment(aws), set(sick)) == (["Added"], set(aws.group().members))
    (well,) = find(aws, TargetState.HEALTHY)
    assert attachment(aws) == ["InService"]
    aws.pass_s(30)
    assert set(sick) & set(aws.group().members) == {well}


def test_without_load_balancer_health_an_attachment_stays_added() -> None:
    aws = balanced(HealthCheckType="EC2", TargetGroupARNs=[])
    aws.call("AttachTrafficSources", **GROUP, TrafficSources=[{"Identifier": ARN}])
    assert aws.call("DescribeTrafficSources", **GROUP)["TrafficSources"][0]["State"] == "Added"
    aws.pass_s(600)
    assert attachment(aws) == ["Added"]


def test_what_leaves_drains_before_its_hook_and_its_end() -> None:
    aws = balanced(LifecycleHookSpecificationList=[hook("drain", "TERMINATING", HeartbeatTimeout=100)])
    aws.compute.draining_s = 40
    victim = aws.members()[0].id
    aws.call("TerminateInstanceInAutoScalingGroup", InstanceId=victim, ShouldDecrementDesiredCapacity=True)
    assert victim not in aws.compute.registered[ARN]
    aws.pass_s(39)
    assert aws.group().members[victim].lifecycle == "Terminating"
    assert aws.activities()[0]["StatusCode"] == "WaitingForELBConnectionDraining"
    aws.pass_s(1)
    assert aws.group().members[victim].lifecycle == "Terminating:Wait"
    aws.pass_s(100)
    assert victim not in aws.group().members
    assert aws.activities()[0]["StatusCode"] == "Successful"


def test_an_instance_that_drains_counts_no_more_and_is_replaced_meanwhile() -> None:
    aws = balanced(HealthCheckGracePeriod=0)
    aws.compute.draining_s = 600
    (sick,) = find(aws, TargetState.UNHEALTHY)
    aws.pass_s(30)
    assert sorted(aws.states()) == ["InService", "InService", "Terminating"]
    aws.pass_s(570)
    assert sick not in aws.group().members


@pytest.mark.parametrize(
    ("action", "waits", "ends"), [("EnterStandby", "EnteringStandby", "Standby"), ("DetachInstances", "Detaching", "")]
)
def test_standby_and_detaching_wait_too(action: str, waits: str, ends: str) -> None:
    aws = balanced()
    aws.compute.draining_s = 40
    one = aws.members()[0].id
    aws.call(action, **GROUP, InstanceIds=[one], ShouldDecrementDesiredCapacity=True)
    aws.pass_s(39)
    assert aws.group().members[one].lifecycle == waits
    aws.pass_s(1)
    left = [m.lifecycle.value for m in aws.members() if m.id == one]
    assert left == ([ends] if ends else [])


def test_what_is_dead_and_what_is_deleted_by_force_does_not_wait() -> None:
    aws = balanced()
    aws.compute.draining_s = 600
    dead = aws.members()[0]
    aws.compute.conditions[dead.id] = Condition.STOPPED
    aws.poke(dead)
    aws.pass_s(0)
    assert dead.id not in aws.group().members
    aws.call("DeleteAutoScalingGroup", **GROUP, ForceDelete=True)
    aws.pass_s(0)
    assert aws.world.groups == {}


def test_a_target_group_that_was_detached_is_told_of_while_it_drains() -> None:
    aws = balanced()
    aws.compute.draining_s = 40
    aws.call("DetachLoadBalancerTargetGroups", **GROUP, TargetGroupARNs=[ARN])
    assert attachment(aws) == ["Removing"]
    aws.pass_s(40)
    assert attachment(aws) == []


def test_draining_goes_on_after_a_restart() -> None:
    aws = balanced()
    aws.compute.draining_s = 40
    victim = aws.members()[0].id
    aws.call("TerminateInstanceInAutoScalingGroup", InstanceId=victim, ShouldDecrementDesiredCapacity=True)
    aws.world.groups["web"] = documents.read(documents.write(aws.group()))
    aws.world.wake("web", aws.clock.now())
    aws.pass_s(39)
    assert aws.group().members[victim].lifecycle == "Terminating"
    aws.pass_s(1)
    assert victim not in aws.group().members
