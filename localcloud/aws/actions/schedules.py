"""Scheduled actions: put one or many, delete, describe."""

from typing import Any

from localcloud.aws.actions.parameters import Action, Answer, Parameters
from localcloud.aws.autoscaling import describe, schedules
from localcloud.aws.autoscaling.plans import ScheduledAction
from localcloud.aws.autoscaling.world import World
from localcloud.aws.errors import AwsError, ValidationError

BATCH_MAX = 50


def put(world: World, p: Parameters) -> Answer:
    """PutScheduledUpdateGroupAction."""
    schedules.put(world, p["AutoScalingGroupName"], p)
    return {}


def delete(world: World, p: Parameters) -> Answer:
    """DeleteScheduledAction."""
    schedules.delete(world, p["AutoScalingGroupName"], p["ScheduledActionName"])
    return {}


def put_many(world: World, p: Parameters) -> Answer:
    """BatchPutScheduledUpdateGroupAction: each by itself; those that are refused are told."""
    world.group(p["AutoScalingGroupName"])
    wanted = p["ScheduledUpdateGroupActions"]
    _check_batch(wanted)
    failed = []
    for one in wanted:
        try:
            schedules.put(world, p["AutoScalingGroupName"], one)
        except AwsError as refusal:
            failed.append(_failure(one["ScheduledActionName"], refusal))
    return {"FailedScheduledUpdateGroupActions": failed}


def delete_many(world: World, p: Parameters) -> Answer:
    """BatchDeleteScheduledAction."""
    world.group(p["AutoScalingGroupName"])
    _check_batch(p["ScheduledActionNames"])
    failed = []
    for name in p["ScheduledActionNames"]:
        try:
            schedules.delete(world, p["AutoScalingGroupName"], name)
        except AwsError as refusal:
            failed.append(_failure(name, refusal))
    return {"FailedScheduledActions": failed}


def describe_actions(world: World, p: Parameters) -> Answer:
    """DescribeScheduledActions: the earliest first."""
    name, names = p.get("AutoScalingGroupName"), p.get("ScheduledActionNames")
    owners = [world.group(name)] if name else list(world.groups.values())
    start = p["StartTime"].timestamp() if "StartTime" in p else 0.0
    end = p["EndTime"].timestamp() if "EndTime" in p else 0.0
    found = [
        (group.name, one)
        for group in owners
        for one in schedules.between(list(group.schedules.values()), start, end)
        if not names or one.name in names
    ]
    found.sort(key=lambda pair: (pair[1].next_at, pair[1].name))
    page = describe.page(found, p.get("NextToken"), p.get("MaxRecords"), default=50, most=100)
    actions = [_action(group_name, one) for group_name, one in page["items"]]
    return {"ScheduledUpdateGroupActions": actions, "NextToken": page["NextToken"]}


def _action(group_name: str, one: ScheduledAction) -> dict[str, Any]:
    return {
        "AutoScalingGroupName": group_name,
        "ScheduledActionName": one.name,
        "ScheduledActionARN": one.arn,
        "Time": describe.time(one.next_at),
        "StartTime": describe.time(one.next_at),
        "EndTime": describe.time(one.ends_at) if one.ends_at else None,
        "Recurrence": one.recurrence or None,
        "TimeZone": one.zone or None,
        "MinSize": one.min,
        "MaxSize": one.max,
        "DesiredCapacity": one.desired,
    }


def _check_batch(names: list[Any]) -> None:
    if not 1 <= len(names) <= BATCH_MAX:
        raise ValidationError(f"1 to {BATCH_MAX} scheduled actions must be named: {len(names)}")


def _failure(name: str, refusal: AwsError) -> dict[str, str]:
    return {"ScheduledActionName": name, "ErrorCode": refusal.code, "ErrorMessage": refusal.message}


READS: dict[str, Action] = {"DescribeScheduledActions": describe_actions}
WRITES: dict[str, Action] = {
    "BatchDeleteScheduledAction": delete_many,
    "BatchPutScheduledUpdateGroupAction": put_many,
    "DeleteScheduledAction": delete,
    "PutScheduledUpdateGroupAction": put,
}
