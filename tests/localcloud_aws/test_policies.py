"""Scaling policies on a virtual clock, with the user guide's examples."""

from typing import Any

import pytest

from localcloud.aws.autoscaling import documents
from localcloud.aws.autoscaling.alarms import Breach
from localcloud.aws.errors import AwsError
from tests.localcloud_aws.model_world import ModelWorld

GROUP = {"AutoScalingGroupName": "web"}
# "Step adjustments for scaling out" and "... in" of the user guide.
STEPS: list[dict[str, Any]] = [
    {"MetricIntervalLowerBound": 0.0, "MetricIntervalUpperBound": 10.0, "ScalingAdjustment": 0},
    {"MetricIntervalLowerBound": 10.0, "MetricIntervalUpperBound": 20.0, "ScalingAdjustment": 10},
    {"MetricIntervalLowerBound": 20.0, "ScalingAdjustment": 30},
    {"MetricIntervalLowerBound": -10.0, "MetricIntervalUpperBound": 0.0, "ScalingAdjustment": 0},
    {"MetricIntervalLowerBound": -20.0, "MetricIntervalUpperBound": -10.0, "ScalingAdjustment": -10},
    {"MetricIntervalUpperBound": -20.0, "ScalingAdjustment": -30},
]
TRACKING: dict[str, Any] = {
    "PolicyType": "TargetTrackingScaling",
    "TargetTrackingConfiguration": {
        "PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"},
        "TargetValue": 50.0,
    },
}
SIMPLE: dict[str, Any] = {"AdjustmentType": "ChangeInCapacity", "ScalingAdjustment": 2}
STEP: dict[str, Any] = {
    "PolicyType": "StepScaling",
    "AdjustmentType": "PercentChangeInCapacity",
    "StepAdjustments": STEPS,
}


def group(desired: int = 10, **more: Any) -> ModelWorld:
    aws = ModelWorld()
    aws.create(**({"DesiredCapacity": desired, "MinSize": 1, "MaxSize": 40} | more))
    aws.pass_s(1)
    return aws


def put(aws: ModelWorld, name: str = "p", /, **given: Any) -> str:
    answer = aws.call("PutScalingPolicy", **GROUP, PolicyName=name, **given)
    return str(answer["PolicyARN"])


def execute(aws: ModelWorld, **given: Any) -> int:
    aws.call("ExecutePolicy", **GROUP, PolicyName="p", **given)
    return aws.group().desired


@pytest.mark.parametrize(
    ("kind", "amount", "more", "expected"),
    [
        ("ChangeInCapacity", 5, {}, 15),
        ("ChangeInCapacity", -3, {}, 7),
        ("ExactCapacity", 3, {}, 3),
        ("PercentChangeInCapacity", 10, {}, 11),
        ("PercentChangeInCapacity", 25, {"MinAdjustmentMagnitude": 4}, 14),
        ("PercentChangeInCapacity", 5, {}, 11),  # less than one instance is one
        ("PercentChangeInCapacity", -66, {}, 4),  # -6.6 is rounded to -6
        ("ChangeInCapacity", 100, {}, 40),  # the maximum
        ("ChangeInCapacity", -100, {}, 1),
    ],
)
def test_adjustment_types(kind: str, amount: int, more: dict[str, Any], expected: int) -> None:
    aws = group()
    put(aws, AdjustmentType=kind, ScalingAdjustment=amount, **more)
    assert execute(aws) == expected
    assert len(aws.members()) == expected


@pytest.mark.parametrize(
    ("metric", "expected"), [(50, 10), (59, 10), (60, 11), (69, 11), (70, 13), (41, 10), (40, 9), (31, 9), (30, 7)]
)
def test_steps_of_the_user_guide(metric: float, expected: int) -> None:
    aws = group(DefaultInstanceWarmup=0)
    put(aws, **STEP)
    assert execute(aws, MetricValue=metric, BreachThreshold=50) == expected


def test_what_warms_up_is_counted_by_steps_as_there_already() -> None:
    aws = group(DefaultInstanceWarmup=300)
    aws.pass_s(300)
    put(aws, PolicyType="StepScaling", AdjustmentType="ChangeInCapacity", StepAdjustments=STEPS)
    assert execute(aws, MetricValue=60, BreachThreshold=50) == 20
    assert execute(aws, MetricValue=60, BreachThreshold=50) == 20, "ten are on their way"
    assert execute(aws, MetricValue=20, BreachThreshold=50) == 20, "no scale-in meanwhile"
    aws.pass_s(300)
    assert execute(aws, MetricValue=60, BreachThreshold=50) == 30


def test_a_simple_policy_honours_its_own_cooldown() -> None:
    aws = group(DefaultCooldown=1000)
    put(aws, **SIMPLE, Cooldown=60)
    with pytest.raises(AwsError) as refusal:
        execute(aws, HonorCooldown=True)
    assert refusal.value.code == "ScalingActivityInProgress"
    aws.pass_s(60)
    assert execute(aws, HonorCooldown=True) == 12
    assert execute(aws) == 14, "without honouring it nothing waits"


def test_an_alarm_executes_a_policy_and_a_suspended_process_does_not() -> None:
    aws = group()
    aws.pass_s(300)
    arn = put(aws, **SIMPLE)
    aws.call("SuspendProcesses", **GROUP, ScalingProcesses=["AlarmNotification"])
    aws.alarms.breaches[arn] = Breach("busy", 90.0, 50.0)
    aws.pass_s(600)
    assert aws.group().desired == 10
    aws.call("ResumeProcesses", **GROUP)
    assert aws.group().desired == 12
    assert "a monitor alarm busy in state ALARM triggered policy p" in aws.activities()[0]["Cause"]
    aws.pass_s(200)
    assert aws.group().desired == 12, "the cooldown"
    aws.pass_s(200)
    assert aws.group().desired == 14
    put(aws, **SIMPLE, Enabled=False)
    aws.pass_s(3600)
    assert aws.group().desired == 14


def test_an_alarm_of_ten_seconds_is_looked_at_that_often_and_acts_once_a_minute() -> None:
    aws = group()
    aws.alarms.shortest_s = 10.0
    up = [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 2}]
    settings = {"PolicyType": "StepScaling", "AdjustmentType": "ChangeInCapacity", "EstimatedInstanceWarmup": 0}
    arn = put(aws, **settings, StepAdjustments=up)
    aws.pass_s(25)
    aws.alarms.breaches[arn] = Breach("busy", 90.0, 50.0)
    aws.pass_s(10)
    assert aws.group().desired == 12
    aws.pass_s(45)
    assert aws.group().desired == 12, "it is still the same breach"
    aws.pass_s(20)
    assert aws.group().desired == 14
    del aws.alarms.breaches[arn]
    aws.pass_s(10)
    aws.alarms.breaches[arn] = Breach("busy", 90.0, 50.0)
    aws.pass_s(10)
    assert aws.group().desired == 16, "a breach of its own"


def test_target_tracking_keeps_alarms_and_follows_the_metric() -> None:
    aws = group(4, DefaultInstanceWarmup=60)
    aws.pass_s(60)
    arn = put(aws, **TRACKING)
    high, low = aws.call("DescribePolicies", **GROUP)["ScalingPolicies"][0]["Alarms"]
    assert high["AlarmName"].startswith("TargetTracking-web-AlarmHigh-")
    orders = aws.alarms.orders
    assert (orders[high["AlarmName"]].threshold, orders[low["AlarmName"]].threshold) == (50.0, 45.0)
    aws.alarms.breaches[arn] = Breach(high["AlarmName"], 75.0, 50.0)
    aws.pass_s(60)
    assert aws.group().desired == 6
    aws.alarms.breaches[arn] = Breach(low["AlarmName"], 10.0, 45.0)
    aws.pass_s(30)
    assert aws.group().desired == 6, "no scale-in while an instance warms up"
    aws.pass_s(60)
    assert aws.group().desired == 2
    with pytest.raises(AwsError, match="only its alarms"):
        execute(aws)
    aws.call("DeletePolicy", **GROUP, PolicyName="p")
    assert not orders


def test_scale_in_can_be_disabled() -> None:
    aws = group(4, DefaultInstanceWarmup=0)
    tracking = TRACKING["TargetTrackingConfiguration"]
    arn = put(aws, PolicyType="TargetTrackingScaling", TargetTrackingConfiguration=tracking | {"DisableScaleIn": True})
    assert len(aws.alarms.orders) == 1
    aws.alarms.breaches[arn] = Breach("low", 10.0, 45.0)
    aws.pass_s(600)
    assert aws.group().desired == 4


def test_the_policy_that_gives_the_largest_capacity_counts() -> None:
    aws = group(10, DefaultInstanceWarmup=0, DefaultCooldown=0)
    for name, amount in (("small", 1), ("large", 5)):
        put(aws, name, AdjustmentType="ChangeInCapacity", ScalingAdjustment=amount)
    aws.alarms.breaches = {p.arn: Breach(p.name, 90.0, 50.0) for p in aws.group().policies.values()}
    aws.pass_s(60)
    assert aws.group().desired == 15


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"ScalingAdjustment": 1}, "AdjustmentType is required"),
        ({"AdjustmentType": "ChangeInCapacity"}, "ScalingAdjustment is required"),
        ({"AdjustmentType": "Double", "ScalingAdjustment": 1}, "AdjustmentType must be"),
        (SIMPLE | {"StepAdjustments": STEPS}, "StepAdjustments is not valid"),
        (SIMPLE | {"MinAdjustmentMagnitude": 1}, "MinAdjustmentMagnitude"),
        (SIMPLE | {"Cooldown": -1}, "Cooldown"),
        (SIMPLE | {"PolicyType": "PredictiveScaling"}, "PolicyType must be"),
        (STEP | {"Cooldown": 1}, "Cooldown is not valid"),
        (STEP | {"StepAdjustments": []}, "1 to 20"),
        (STEP | {"StepAdjustments": [STEPS[0], STEPS[2]]}, "no gap"),
        (STEP | {"StepAdjustments": [STEPS[0], STEPS[1]]}, "no upper bound"),
        (STEP | {"StepAdjustments": [{"ScalingAdjustment": 1}]}, "at least one"),
        (TRACKING | {"AdjustmentType": "ChangeInCapacity"}, "not valid"),
        ({"PolicyType": "TargetTrackingScaling"}, "TargetTrackingConfiguration is required"),
        ({"PolicyType": "TargetTrackingScaling", "TargetTrackingConfiguration": {"TargetValue": 1.0}}, "Either"),
    ],
)
def test_what_is_refused(given: dict[str, Any], text: str) -> None:
    aws = group()
    with pytest.raises(AwsError, match=text) as refusal:
        put(aws, **given)
    assert (refusal.value.code, aws.group().policies) == ("ValidationError", {})


def test_what_executing_refuses() -> None:
    aws = group()
    put(aws, **STEP)
    for given, text in (
        ({}, "required"),
        ({"MetricValue": 1, "BreachThreshold": 1, "HonorCooldown": True}, "not valid"),
    ):
        with pytest.raises(AwsError, match=text):
            execute(aws, **given)
    with pytest.raises(AwsError, match="not found"):
        aws.call("ExecutePolicy", **GROUP, PolicyName="none")


def test_policies_are_found_by_type_and_arn_and_survive_a_restart() -> None:
    aws = group()
    arn = put(aws, "one", **SIMPLE)
    put(aws, "two", **TRACKING)
    aws.world.groups["web"] = documents.read(documents.write(aws.group()))
    found = aws.call("DescribePolicies", **GROUP, PolicyTypes=["TargetTrackingScaling"])["ScalingPolicies"]
    assert [one["PolicyName"] for one in found] == ["two"]
    assert aws.call("DescribePolicies", PolicyNames=[arn])["ScalingPolicies"][0]["PolicyName"] == "one"
    assert put(aws, "one", **SIMPLE) == arn, "a policy that is changed keeps its ARN"
    aws.call("ExecutePolicy", PolicyName=arn)
    assert aws.group().desired == 12
