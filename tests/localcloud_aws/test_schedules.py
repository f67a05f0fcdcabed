"""Scheduled actions on a virtual clock, with the user guide's examples."""

from datetime import UTC, datetime
from typing import Any

import pytest

from localcloud.aws.autoscaling import documents
from localcloud.aws.errors import AwsError
from tests.localcloud_aws.model_world import ModelWorld

GROUP = {"AutoScalingGroupName": "web"}
NOW = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)  # of the virtual clock, a Tuesday
HOUR_S, DAY_S = 3600, 86_400


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(NOW.timestamp() + seconds, UTC)


@pytest.fixture
def aws() -> ModelWorld:
    world = ModelWorld()
    world.create(DesiredCapacity=2)
    assert world.clock.now() == NOW.timestamp()
    return world


def put(aws: ModelWorld, name: str = "one", **given: Any) -> None:
    aws.call("PutScheduledUpdateGroupAction", **GROUP, ScheduledActionName=name, **given)


def told(aws: ModelWorld) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = aws.call("DescribeScheduledActions", **GROUP)["ScheduledUpdateGroupActions"]
    return found


def test_once_at_a_time_and_then_it_is_gone(aws: ModelWorld) -> None:
    put(aws, StartTime=at(HOUR_S), MinSize=1, MaxSize=8, DesiredCapacity=5)
    aws.pass_s(HOUR_S - 1)
    assert (aws.group().desired, len(told(aws))) == (2, 1)
    aws.pass_s(1)
    assert (aws.group().min, aws.group().max, aws.group().desired, len(aws.members())) == (1, 8, 5, 5)
    assert not told(aws)
    cause = aws.activities()[0]["Cause"]
    assert "a scheduled action update of AutoScalingGroup constraints to min: 1, max: 8, desired: 5" in cause
    assert "changing the desired capacity from 2 to 5" in cause


def test_again_and_again_until_its_end(aws: ModelWorld) -> None:
    put(aws, "up", Recurrence="0 9 * * *", DesiredCapacity=6, EndTime=at(2 * DAY_S))
    put(aws, "down", Recurrence="0 18 * * *", DesiredCapacity=1)
    aws.pass_s(12 * HOUR_S)
    assert aws.group().desired == 6
    aws.pass_s(9 * HOUR_S)
    assert aws.group().desired == 1
    assert {a["ScheduledActionName"]: a["StartTime"].hour for a in told(aws)} == {"up": 9, "down": 18}
    aws.pass_s(2 * DAY_S)
    assert (aws.group().desired, [a["ScheduledActionName"] for a in told(aws)]) == (1, ["down"])


@pytest.mark.parametrize(
    ("recurrence", "zone", "expected"),
    [
        ("0 9 * * 1-5", "", datetime(2023, 11, 15, 9, tzinfo=UTC)),
        ("0 9 * * 1-5", "America/New_York", datetime(2023, 11, 15, 14, tzinfo=UTC)),
        ("30 0 1 1,6,12 *", "", datetime(2023, 12, 1, 0, 30, tzinfo=UTC)),  # the user guide's own example
        ("*/15 * * * *", "Asia/Kolkata", datetime(2023, 11, 14, 22, 15, tzinfo=UTC)),
    ],
)
def test_recurrence_is_cron_in_a_time_zone(aws: ModelWorld, recurrence: str, zone: str, expected: datetime) -> None:
    put(aws, Recurrence=recurrence, DesiredCapacity=3, **({"TimeZone": zone} if zone else {}))
    assert told(aws)[0]["StartTime"] == expected


def test_the_clock_on_the_wall_is_followed_through_summer_time(aws: ModelWorld) -> None:
    put(aws, Recurrence="0 9 * * *", TimeZone="Europe/Berlin", DesiredCapacity=3)
    assert told(aws)[0]["StartTime"].hour == 8
    aws.pass_s(200 * DAY_S)
    assert told(aws)[0]["StartTime"].hour == 7


def test_new_bounds_alone_move_the_desired_capacity(aws: ModelWorld) -> None:
    put(aws, StartTime=at(60), MinSize=4)
    aws.pass_s(60)
    assert (aws.group().min, aws.group().desired) == (4, 4)


def test_values_that_do_not_fit_the_group_fail_and_say_so(aws: ModelWorld) -> None:
    put(aws, StartTime=at(60), DesiredCapacity=99)
    aws.pass_s(60)
    failed = aws.activities()[0]
    assert (aws.group().desired, failed["StatusCode"]) == (2, "Failed")
    assert "Desired capacity:99" in failed["StatusMessage"]


def test_suspended_they_are_passed_over(aws: ModelWorld) -> None:
    aws.call("SuspendProcesses", **GROUP, ScalingProcesses=["ScheduledActions"])
    put(aws, Recurrence="0 9 * * *", DesiredCapacity=6)
    aws.pass_s(DAY_S)
    assert aws.group().desired == 2
    aws.call("ResumeProcesses", **GROUP)
    assert aws.group().desired == 2, "what was missed is not made up for"
    aws.pass_s(DAY_S)
    assert aws.group().desired == 6


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"StartTime": at(60)}, "At least one of"),
        ({"DesiredCapacity": 1}, "start time or a recurrence"),
        ({"StartTime": at(-60), "DesiredCapacity": 1}, "in the past"),
        ({"StartTime": at(60), "EndTime": at(30), "DesiredCapacity": 1}, "after StartTime"),
        ({"StartTime": at(60), "MinSize": 3, "MaxSize": 2}, "Max bound"),
        ({"StartTime": at(60), "MinSize": 3, "DesiredCapacity": 2}, "Desired capacity:2"),
        ({"StartTime": at(60), "MinSize": -1}, "negative"),
        ({"Recurrence": "0 99 * * *", "MinSize": 1}, "not valid cron"),
        ({"Recurrence": "0 9 * * * *", "MinSize": 1}, "in 5 fields"),
        ({"Recurrence": "0 9 * * *", "TimeZone": "Mars/Base", "MinSize": 1}, "time zone Mars/Base"),
        ({"Recurrence": "0 9 * * *", "TimeZone": "../etc/passwd", "MinSize": 1}, "time zone"),
    ],
)
def test_what_is_refused(aws: ModelWorld, given: dict[str, Any], text: str) -> None:
    with pytest.raises(AwsError, match=text) as refusal:
        put(aws, **given)
    assert (refusal.value.code, told(aws)) == ("ValidationError", [])


def test_names_are_replaced_times_are_not_shared_and_many_are_put_and_deleted_at_once(aws: ModelWorld) -> None:
    put(aws, StartTime=at(60), DesiredCapacity=1)
    put(aws, StartTime=at(90), DesiredCapacity=1)
    assert [a["StartTime"] for a in told(aws)] == [at(90)]
    with pytest.raises(AwsError) as refusal:
        put(aws, "two", StartTime=at(90), DesiredCapacity=3)
    assert refusal.value.code == "AlreadyExists"
    actions = [
        {"ScheduledActionName": "good", "StartTime": at(120), "MinSize": 1},
        {"ScheduledActionName": "bad", "StartTime": at(-1), "MinSize": 1},
    ]
    failed = aws.call("BatchPutScheduledUpdateGroupAction", **GROUP, ScheduledUpdateGroupActions=actions)
    assert [one["ScheduledActionName"] for one in failed["FailedScheduledUpdateGroupActions"]] == ["bad"]
    found = aws.call("DescribeScheduledActions", **GROUP, StartTime=at(100), EndTime=at(130))
    assert [one["ScheduledActionName"] for one in found["ScheduledUpdateGroupActions"]] == ["good"]
    failed = aws.call("BatchDeleteScheduledAction", **GROUP, ScheduledActionNames=["good", "none"])
    assert [one["ErrorCode"] for one in failed["FailedScheduledActions"]] == ["ValidationError"]
    aws.call("DeleteScheduledAction", **GROUP, ScheduledActionName="one")
    assert not told(aws)


def test_at_most_125_per_group(aws: ModelWorld) -> None:
    for index in range(125):
        put(aws, f"a{index}", StartTime=at(60 + index), DesiredCapacity=1)
    with pytest.raises(AwsError) as refusal:
        put(aws, "one-more", StartTime=at(5000), DesiredCapacity=1)
    assert refusal.value.code == "LimitExceeded"


def test_one_that_came_due_while_nothing_ran_is_done_once_afterwards(aws: ModelWorld) -> None:
    put(aws, Recurrence="0 * * * *", DesiredCapacity=3)
    saved = documents.write(aws.group())
    aws.clock.move_to(NOW.timestamp() + 5 * HOUR_S)
    aws.world.groups["web"] = documents.read(saved)
    aws.world.wake("web", aws.clock.now())
    aws.pass_s(0)
    assert (aws.group().desired, len([a for a in aws.activities() if "scheduled" in a["Cause"]])) == (3, 1)
    assert told(aws)[0]["StartTime"] > at(5 * HOUR_S)
