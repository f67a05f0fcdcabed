"""The words of refusals and causes: as AWS's own pages and people who have met them quote them."""

from typing import Any

import pytest

from localcloud.aws.autoscaling import activities
from localcloud.aws.autoscaling.compute import Condition
from localcloud.aws.errors import AwsError
from localcloud.aws.target_health import TargetState
from tests.localcloud_aws.model_world import ModelWorld

GROUP = {"AutoScalingGroupName": "web"}
ONE: dict[str, Any] = {"MinSize": 1, "MaxSize": 1, "DesiredCapacity": 1}
AT = "At 1970-01-01T00:00:00Z "
# From repost.aws/knowledge-center/auto-scaling-instance-how-terminated.
REASONS = [
    (Condition.STOPPED, None, "an EC2 health check indicating it has been terminated or stopped."),
    (Condition.IMPAIRED, None, "an EC2 instance status checks failure."),
    (Condition.OK, TargetState.UNHEALTHY, "an ELB system health check failure."),
]
# From hashicorp/nomad-autoscaler#1290, spacelift-io/terraform-aws-spacelift-workerpool-on-ec2#85,
# TwiN/aws-eks-asg-rolling-update-handler#16 and convox/praxis#258.
REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    (
        "TerminateInstanceInAutoScalingGroup",
        {"InstanceId": "ONE", "ShouldDecrementDesiredCapacity": True},
        "ValidationError",
        (
            "Currently, desiredSize equals minSize (1). Terminating instance without replacement will violate group's min size "
            "constraint. Either set shouldDecrementDesiredCapacity flag to false or lower group's min size."
        ),
    ),
    (
        "DetachInstances",
        GROUP | {"InstanceIds": ["ONE"], "ShouldDecrementDesiredCapacity": True},
        "ValidationError",
        (
            "AutoScalingGroup web has min-size=1, max-size=1, and desired-size=1. To detach 1 instance, please update the "
            "AutoScalingGroup sizes appropriately."
        ),
    ),
    (
        "EnterStandby",
        GROUP | {"InstanceIds": ["ONE"], "ShouldDecrementDesiredCapacity": True},
        "ValidationError",
        (
            "AutoScalingGroup web has min-size=1, max-size=1, and desired-size=1. To place into standby 1 instance, please update "
            "the AutoScalingGroup sizes appropriately."
        ),
    ),
    (
        "SetDesiredCapacity",
        GROUP | {"DesiredCapacity": 1, "HonorCooldown": True},
        "ScalingActivityInProgress",
        "Scaling activity ACTIVITY is in progress and blocks this action",
    ),
    (
        "UpdateAutoScalingGroup",
        GROUP | {"DesiredCapacity": 2},
        "ValidationError",
        "Desired capacity:2 must be between the specified min size:1 and max size:1",
    ),
]


def filled(value: Any, names: dict[str, str]) -> Any:
    """The value with the ids of this world in it."""
    if isinstance(value, list):
        return [filled(one, names) for one in value]
    return names.get(value, value) if isinstance(value, str) else value


@pytest.mark.parametrize(("action", "parameters", "code", "words"), REFUSED)
def test_refusals(action: str, parameters: dict[str, Any], code: str, words: str) -> None:
    aws = ModelWorld()
    aws.create(**ONE)
    names = {"ONE": aws.members()[0].id}
    with pytest.raises(AwsError) as refusal:
        aws.call(action, **{key: filled(value, names) for key, value in parameters.items()})
    expected = words.replace("ACTIVITY", aws.activities()[0]["ActivityId"])
    assert (refusal.value.code, refusal.value.message) == (code, expected)


@pytest.mark.parametrize(("condition", "target", "words"), REASONS)
def test_reasons_of_a_replacement(condition: Condition, target: TargetState | None, words: str) -> None:
    aws = ModelWorld()
    aws.create(**ONE, HealthCheckType="ELB", TargetGroupARNs=["arn:tg"])
    (one,) = aws.members()
    aws.compute.conditions[one.id] = condition
    if target:
        aws.compute.target_states[one.id] = target
    aws.poke(one)
    causes = [told["Cause"] for told in aws.activities() if one.id in told["Description"]]
    assert causes[0].endswith(f"Z an instance was taken out of service in response to {words}")


def test_causes_of_a_new_desired_capacity() -> None:
    """From repost.aws/knowledge-center/auto-scaling-scale-down."""
    aws = ModelWorld()
    aws.create(**ONE)
    group = aws.group()
    assert activities.constraints_changed(0, group, 2) == (
        AT + "a user request update of AutoScalingGroup constraints to min: 1, max: 1, desired: 1 changing the desired "
        "capacity from 2 to 1."
    )
    assert activities.scheduled(0, group, 3) == (
        AT
        + "a scheduled action update of AutoScalingGroup constraints to min: 1, max: 1, desired: 1 changing the desired "
        "capacity from 3 to 1."
    )
    assert activities.policy_executed(0, "Decrease Group Size", "My-Scale-Down-Alarm", 4, 3) == (
        AT
        + "a monitor alarm My-Scale-Down-Alarm in state ALARM triggered policy Decrease Group Size changing the desired "
        "capacity from 4 to 3."
    )
