"""Lifecycle hooks: machines wait for them, for a bounded time, on their way in and out."""

import pytest

from localcloud.aws.errors import AwsError
from tests.localcloud_aws.model_world import END_HOOK, LAUNCH_HOOK, ModelWorld, hook

GROUP = {"AutoScalingGroupName": "web"}


@pytest.fixture
def aws() -> ModelWorld:
    return ModelWorld()


def test_a_launching_hook_holds_until_completed(aws: ModelWorld) -> None:
    aws.create(DesiredCapacity=1, LifecycleHookSpecificationList=[LAUNCH_HOOK])
    member = aws.members()[0]
    assert aws.states() == ["Pending:Wait"]
    answer = {"LifecycleHookName": "boot", "InstanceId": member.id, "LifecycleActionResult": "CONTINUE"}
    aws.call("CompleteLifecycleAction", **GROUP, **answer)
    assert aws.states() == ["InService"]
    with pytest.raises(AwsError, match="No active Lifecycle Action found with instance ID"):
        aws.call("CompleteLifecycleAction", **GROUP, **answer)


def test_a_launch_that_is_abandoned_is_replaced_and_its_activity_says_so(aws: ModelWorld) -> None:
    aws.create(DesiredCapacity=1, LifecycleHookSpecificationList=[LAUNCH_HOOK, END_HOOK])
    first = aws.members()[0]
    answer = {"LifecycleHookName": "boot", "InstanceId": first.id, "LifecycleActionResult": "ABANDON"}
    aws.call("CompleteLifecycleAction", **GROUP, **answer)
    assert [m.id for m in aws.members()] != [first.id]
    assert aws.states() == ["Pending:Wait"]
    cancelled = [a for a in aws.activities() if a["StatusCode"] == "Cancelled"]
    assert "was abandoned: Lifecycle Action Completed with ABANDON Result" in cancelled[0]["StatusMessage"]


def test_a_hook_that_nobody_completes_ends_with_its_default_result(aws: ModelWorld) -> None:
    aws.create(DesiredCapacity=1, LifecycleHookSpecificationList=[LAUNCH_HOOK])
    first = aws.members()[0]
    aws.pass_s(59)
    assert aws.members()[0].id == first.id
    aws.pass_s(2)
    assert aws.members()[0].id != first.id
    aws.call("PutLifecycleHook", **GROUP, LifecycleHookName="boot", DefaultResult="CONTINUE")
    aws.pass_s(120)
    assert aws.states() == ["InService"]


def test_a_heartbeat_starts_the_timeout_anew_up_to_the_global_limit(aws: ModelWorld) -> None:
    aws.create(DesiredCapacity=1, LifecycleHookSpecificationList=[LAUNCH_HOOK])
    first = aws.members()[0].id
    beat = {"LifecycleHookName": "boot", "InstanceId": first}
    for _ in range(119):
        aws.pass_s(50)
        aws.call("RecordLifecycleActionHeartbeat", **GROUP, **beat)
    assert aws.members()[0].id == first
    aws.pass_s(51)  # 100 timeouts of 60 s have passed since it began
    assert aws.members()[0].id != first


def test_every_launching_hook_must_continue(aws: ModelWorld) -> None:
    hooks = [LAUNCH_HOOK, hook("second", "LAUNCHING", HeartbeatTimeout=60)]
    aws.create(DesiredCapacity=1, LifecycleHookSpecificationList=hooks)
    answer = {"InstanceId": aws.members()[0].id, "LifecycleActionResult": "CONTINUE"}
    aws.call("CompleteLifecycleAction", **GROUP, LifecycleHookName="boot", **answer)
    assert aws.states() == ["Pending:Wait"]
    aws.call("CompleteLifecycleAction", **GROUP, LifecycleHookName="second", **answer)
    assert aws.states() == ["InService"]


def test_a_terminating_instance_waits_for_its_hook_but_counts_no_more(aws: ModelWorld) -> None:
    aws.create(DesiredCapacity=1, LifecycleHookSpecificationList=[END_HOOK])
    first = aws.members()[0].id
    answer = aws.call("TerminateInstanceInAutoScalingGroup", InstanceId=first, ShouldDecrementDesiredCapacity=False)
    assert answer["Activity"]["StatusCode"] == "InProgress"
    assert sorted(aws.states()) == ["InService", "Terminating:Wait"]
    aws.pass_s(60)
    assert aws.states() == ["InService"]
    assert aws.members()[0].id != first
