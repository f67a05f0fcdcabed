"""Metric math: expressions over metrics, what is refused of them, and the metrics of groups that they are made for."""

from typing import Any

import pytest

from localcloud.aws import metric_math
from localcloud.aws.autoscaling import group_metrics
from localcloud.aws.errors import AwsError
from tests.localcloud_aws.model_world import ModelWorld

GROUP = {"AutoScalingGroupName": "web"}
KNOWN = {"m1": {0: 10.0, 1: 20.0, 2: 30.0}, "m2": {0: 2.0, 1: 0.0}, "m3": {1: 5.0}}
PERIODS = range(3)


def metric(query_id: str, **more: Any) -> dict[str, Any]:
    named = {"Namespace": "tests", "MetricName": query_id, "Dimensions": []}
    return {"Id": query_id, "MetricStat": {"Metric": named, "Stat": "Average"}, "ReturnData": False} | more


def calculated(expression: str) -> dict[int, float]:
    queries = [*map(metric, KNOWN), {"Id": "e1", "Expression": expression}]
    metric_math.check(queries)
    return dict(metric_math.evaluate(queries, lambda stat: KNOWN[stat["Metric"]["MetricName"]], PERIODS))


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("m1 / m2", {0: 5.0}),  # a period without a datapoint has none, nor has one that divides by zero
        ("m1 + 1", {0: 11.0, 1: 21.0, 2: 31.0}),
        ("-(m1 - m2) * 2 ^ 2", {0: -32.0, 1: -80.0}),
        ("m1 / MAX([m2, m3])", {0: 5.0, 1: 4.0}),
        ("SUM(METRICS())", {0: 12.0, 1: 25.0, 2: 30.0}),
        ("AVG([m1, m2])", {0: 6.0, 1: 10.0, 2: 30.0}),
        ("m1 - MIN(m1)", {0: 0.0, 1: 10.0, 2: 20.0}),
        ("FILL(m3, 0)", {0: 0.0, 1: 5.0, 2: 0.0}),
        ("FILL(m3, REPEAT)", {1: 5.0, 2: 5.0}),
        ("m1 / FILL(m3, m2)", {0: 5.0, 1: 4.0}),
        ("IF(m1 > 15 AND m1 < 25, m1, 0)", {0: 0.0, 1: 20.0, 2: 0.0}),
        ("IF(m1 >= 30 || m1 == 10, 1, 2)", {0: 1.0, 1: 2.0, 2: 1.0}),
        ("CEIL(m1 / 3) + FLOOR(0.5) + ABS(-1)", {0: 5.0, 1: 8.0, 2: 11.0}),
        ("7", {0: 7.0, 1: 7.0, 2: 7.0}),
    ],
)
def test_expressions(expression: str, expected: dict[int, float]) -> None:
    assert calculated(expression) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("m1 +", "can not be read"),
        ("m9 + 1", "no metric of the id m9"),
        ("e1 + 1", "in a circle"),
        ("[m1, m2]", "must be one metric"),
        ("[m1] + 1", "not a list"),
        ("__import__('os')", "does not know"),
        ("m1.real", "does not know"),
        ("RATE(m1)", "does not know"),
        ("SUM(m1, m2)", "does not know"),
        ("'text'", "does not know"),
        ("+".join(["m1"] * 900), "2048 characters"),
        ("-" * 100 + "m1", "nested more than"),
        ("10 ^ 999", "can not be evaluated"),
    ],
)
def test_what_can_not_be_evaluated_is_refused(expression: str, text: str) -> None:
    with pytest.raises(AwsError, match=text) as refusal:
        calculated(expression)
    assert refusal.value.code == "ValidationError"


@pytest.mark.parametrize(
    "queries",
    [
        [],
        [metric("m1", ReturnData=True), metric("m2", ReturnData=True)],
        [metric("m1")],
        [metric("M1", ReturnData=True)],
        [metric("m1", ReturnData=True), metric("m1")],
        [metric("m1", ReturnData=True, Expression="1")],
        [{"Id": "m1"}],
        [metric(f"m{n}", ReturnData=not n) for n in range(11)],
    ],
)
def test_queries_that_make_no_sense_are_refused(queries: list[dict[str, Any]]) -> None:
    with pytest.raises(AwsError):
        metric_math.check(queries)


def test_target_tracking_takes_the_user_guides_backlog_for_each_instance() -> None:
    aws = ModelWorld()
    aws.create(DesiredCapacity=2)
    queries = [
        metric("m1"),
        metric("m2"),
        {"Id": "e1", "Expression": "m1 / m2", "Label": "backlog per instance", "ReturnData": True},
    ]
    tracking = {"CustomizedMetricSpecification": {"Metrics": queries}, "TargetValue": 100.0}
    given = {"PolicyName": "p", "PolicyType": "TargetTrackingScaling"}
    answer = aws.call("PutScalingPolicy", **GROUP, **given, TargetTrackingConfiguration=tracking)
    high, low = (aws.alarms.orders[one["AlarmName"]] for one in answer["Alarms"])
    assert (high.threshold, low.threshold, high.queries) == (100.0, 90.0, tuple(queries))
    told = aws.call("DescribePolicies", **GROUP)["ScalingPolicies"][0]["TargetTrackingConfiguration"]
    assert told == tracking
    for wrong in ({"Metrics": queries[:2]}, {"Metrics": queries, "MetricName": "x"}):
        configuration = {"CustomizedMetricSpecification": wrong, "TargetValue": 1.0}
        with pytest.raises(AwsError):
            aws.call("PutScalingPolicy", **GROUP, **given, TargetTrackingConfiguration=configuration)


def test_metrics_of_a_group_are_published_every_minute_once_they_are_enabled() -> None:
    aws = ModelWorld(boot_s=90)
    aws.create(DesiredCapacity=2, MaxSize=4)
    aws.call("PutWarmPool", **GROUP, PoolState="Running")
    aws.pass_s(600)
    assert aws.alarms.measured == {}
    wanted = ["GroupInServiceInstances", "GroupPendingInstances", "WarmPoolWarmedCapacity"]
    aws.call("EnableMetricsCollection", **GROUP, Granularity="1Minute", Metrics=wanted)
    aws.call("SuspendProcesses", **GROUP, ScalingProcesses=["HealthCheck"])
    aws.call("UpdateAutoScalingGroup", **GROUP, MaxSize=8, DesiredCapacity=6)
    aws.pass_s(120)
    published = [tuple(one.values()) for one in aws.alarms.measured["web"]]
    assert published == [(2.0, 0.0, 2.0), (4.0, 2.0, 0.0), (6.0, 0.0, 2.0)]
    described = aws.call("DescribeAutoScalingGroups")["AutoScalingGroups"][0]["EnabledMetrics"]
    assert [one["Metric"] for one in described] == wanted
    aws.call("DisableMetricsCollection", **GROUP, Metrics=[])
    aws.pass_s(600)
    assert len(aws.alarms.measured["web"]) == 3


def test_all_metrics_by_default_and_unknown_ones_are_refused() -> None:
    aws = ModelWorld()
    aws.create(DesiredCapacity=1)
    aws.call("EnableMetricsCollection", **GROUP, Granularity="1Minute")
    assert tuple(aws.group().metrics) == group_metrics.NAMES
    assert set(aws.alarms.measured["web"][0]) == set(group_metrics.NAMES)
    for wrong in ({"Granularity": "1Hour"}, {"Granularity": "1Minute", "Metrics": ["GroupMood"]}):
        with pytest.raises(AwsError):
            aws.call("EnableMetricsCollection", **GROUP, **wrong)


def test_launch_configurations_are_refused_as_to_new_accounts() -> None:
    aws = ModelWorld()
    with pytest.raises(AwsError, match="Use launch templates") as refusal:
        aws.call("CreateLaunchConfiguration", LaunchConfigurationName="old", ImageId="ami-1", InstanceType="m6a.large")
    assert refusal.value.code == "UnsupportedOperation"
    assert aws.call("DescribeLaunchConfigurations") == {"LaunchConfigurations": []}
