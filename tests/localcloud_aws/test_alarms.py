"""CloudWatch's alarms: what they are by their datapoints, and without any."""

from datetime import UTC, datetime

import pytest

from localcloud.aws.autoscaling.alarms import Breach
from localcloud.aws.autoscaling.clock import VirtualClock
from localcloud.aws.cloudwatch_alarms import CloudWatchAlarms
from localcloud.aws.moto_services import MotoServices


@pytest.mark.parametrize(
    ("missing", "new", "after_data"),
    [
        (None, "INSUFFICIENT_DATA", "INSUFFICIENT_DATA"),
        ("missing", "INSUFFICIENT_DATA", "INSUFFICIENT_DATA"),
        ("ignore", "INSUFFICIENT_DATA", "ALARM"),
        ("breaching", "ALARM", "ALARM"),
        ("notBreaching", "OK", "OK"),
    ],
)
def test_an_alarm_without_datapoints_is_what_it_was_told_to_be(missing: str | None, new: str, after_data: str) -> None:
    clock, services = VirtualClock(), MotoServices("eu-central-1")
    alarms, watch = CloudWatchAlarms(services, clock), services.backend("cloudwatch")
    watch.put_metric_alarm(
        name="lag",
        namespace=f"x-{missing}",
        metric_name="lag",
        comparison_operator="GreaterThanThreshold",
        evaluation_periods=1,
        period=10,
        threshold=50.0,
        statistic="Maximum",
        description="",
        dimensions=[],
        alarm_actions=["arn:policy"],
        treat_missing_data=missing,
    )
    alarms.judge_all()
    assert alarms.state("lag") == new
    assert (alarms.period_s({"arn:policy"}), alarms.period_s({"arn:other"})) == (10.0, 60.0)
    now = datetime.fromtimestamp(clock.now(), UTC)
    watch.put_metric_data(f"x-{missing}", [{"MetricName": "lag", "Value": 70.0, "Timestamp": now, "Dimensions": []}])
    assert alarms.breach("arn:policy") == Breach("lag", 70.0, 50.0)
    clock.move_to(clock.now() + 11)
    assert alarms.state("lag") == after_data
    watch.set_alarm_state("lag", "said so", "{}", "OK")
    assert alarms.state("lag") == ("ALARM" if missing == "breaching" else "OK")
