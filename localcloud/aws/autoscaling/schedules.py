"""Scheduled actions: a change of a group's size at a time, once or again and again.

After "Scheduled scaling" in the user guide. Recurrence is cron in five fields, in UTC or in the action's time zone,
where it follows the clock on the wall through summer time. An action that comes late, because this program did not
run, is done once when it runs again.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from localcloud.aws.autoscaling import activities, validation
from localcloud.aws.autoscaling.plans import ScheduledAction
from localcloud.aws.autoscaling.records import Group
from localcloud.aws.autoscaling.world import World
from localcloud.aws.errors import AwsError, ValidationError

NEVER = float("inf")
PER_GROUP_MAX = 125
NAME_CHARACTERS_MAX = 255
CRON_FIELDS = 5


def put(world: World, group_name: str, given: Mapping[str, Any]) -> ScheduledAction:
    """Add a scheduled action or put another in its place; ValidationError, AlreadyExists, LimitExceeded."""
    group, now = world.group(group_name), world.clock.now()
    name = str(given["ScheduledActionName"])
    if not 1 <= len(name) <= NAME_CHARACTERS_MAX or ":" in name:
        raise ValidationError(
            f"The scheduled action name '{name}' must have 1 to {NAME_CHARACTERS_MAX} characters, no ':'"
        )
    if all(given.get(size) is None for size in ("MinSize", "MaxSize", "DesiredCapacity")):
        raise ValidationError("At least one of MinSize, MaxSize and DesiredCapacity must be given")
    _sizes(given)
    starts_at, ends_at = _seconds(given.get("StartTime") or given.get("Time")), _seconds(given.get("EndTime"))
    recurrence, zone = str(given.get("Recurrence", "")), str(given.get("TimeZone", ""))
    if not recurrence and not starts_at:
        raise ValidationError("A start time or a recurrence must be given")
    if starts_at and starts_at <= now:
        raise ValidationError("Given start time is in the past")
    if ends_at and ends_at <= max(now, starts_at):
        raise ValidationError("EndTime must be after StartTime, and in the future")
    action = ScheduledAction(
        name=name,
        arn=f"arn:aws:autoscaling:{world.region}:{world.account}:scheduledUpdateGroupAction:{world.new_id()}:"
        f"autoScalingGroupName/{group.name}:scheduledActionName/{name}",
        next_at=starts_at,
        starts_at=starts_at,
        ends_at=ends_at,
        recurrence=recurrence,
        zone=zone,
        min=given.get("MinSize"),
        max=given.get("MaxSize"),
        desired=given.get("DesiredCapacity"),
    )
    action.next_at = starts_at or following(action, now)
    others = [one for one in group.schedules.values() if one.name != name]
    if len(others) >= PER_GROUP_MAX:
        raise AwsError("LimitExceeded", f"At most {PER_GROUP_MAX} scheduled actions are allowed on {group.name}")
    if any(one.next_at == action.next_at and one.recurrence == recurrence for one in others):
        raise AwsError("AlreadyExists", f"A scheduled action of {group.name} already starts at that time")
    if name in group.schedules:
        action.arn = group.schedules[name].arn
    group.schedules[name] = action
    world.touch(group)
    return action


def delete(world: World, group_name: str, name: str) -> None:
    """Remove a scheduled action."""
    group = world.group(group_name)
    if name not in group.schedules:
        raise ValidationError(f"Scheduled action name not found: {name}")
    del group.schedules[name]
    world.touch(group)


def following(action: ScheduledAction, after: float) -> float:
    """The next time of a recurring action, in seconds since the epoch; ValidationError for a bad cron or zone."""
    if len(action.recurrence.split()) != CRON_FIELDS:
        raise ValidationError(f"Recurrence must be cron in {CRON_FIELDS} fields: '{action.recurrence}'")
    try:
        zone = ZoneInfo(action.zone) if action.zone else UTC
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValidationError(f"The time zone {action.zone} is not a canonical IANA name") from error
    try:
        return float(next(CronSim(action.recurrence, datetime.fromtimestamp(after, zone))).timestamp())
    except (CronSimError, StopIteration) as error:
        raise ValidationError(f"The recurrence '{action.recurrence}' is not valid cron") from error


def run(world: World, group: Group) -> None:
    """Do what has come due. One that happens once is gone afterwards, so is one that has come to its end."""
    now = world.clock.now()
    for action in sorted(group.schedules.values(), key=lambda one: (one.next_at, one.name)):
        if action.next_at > now and not action.ends_at:
            continue
        if action.next_at <= now and not (action.ends_at and action.next_at > action.ends_at):
            if not group.active("ScheduledActions"):
                _skip(world, group, action, now)
                continue
            _execute(world, group, action)
            _skip(world, group, action, now)
        if action.ends_at and now >= action.ends_at:
            group.schedules.pop(action.name, None)
            world.changed.add(group.name)


def next_due(group: Group) -> float:
    """When the next scheduled action is due, or is over."""
    times = [min(one.next_at, one.ends_at or NEVER) for one in group.schedules.values()]
    return min(times, default=NEVER)


def between(actions: Sequence[ScheduledAction], start: float, end: float) -> list[ScheduledAction]:
    """The actions whose next time lies between two times; 0 is no bound."""
    return [one for one in actions if start <= one.next_at and (not end or one.next_at <= end)]


def _skip(world: World, group: Group, action: ScheduledAction, now: float) -> None:
    world.changed.add(group.name)
    if action.recurrence:
        action.next_at = following(action, now)
    else:
        group.schedules.pop(action.name, None)


def _execute(world: World, group: Group, action: ScheduledAction) -> None:
    """New bounds move the desired capacity; values that do not fit the group make the activity fail."""
    now, was = world.clock.now(), group.desired
    least = group.min if action.min is None else action.min
    most = group.max if action.max is None else action.max
    wanted = action.desired if action.desired is not None else min(max(was, least), most)
    try:
        validation.bounds(least, most, wanted)
    except ValidationError as refusal:
        cause = f"At {activities.stamp(now)} the scheduled action {action.name} was executed."
        activity = activities.begin(world, group, f"Executing scheduled action: {action.name}", cause)
        activities.finish(world, group, activity, activities.FAILED, refusal.message)
        return
    group.min, group.max, group.desired = least, most, wanted
    if wanted != was:
        group.request_cause = activities.scheduled(now, group, was)
        group.launch_failures, group.launch_retry_at = 0, 0.0
    world.changed.add(group.name)


def _sizes(given: Mapping[str, Any]) -> None:
    least, most, wanted = given.get("MinSize"), given.get("MaxSize"), given.get("DesiredCapacity")
    for name, value in (("MinSize", least), ("MaxSize", most), ("DesiredCapacity", wanted)):
        if value is not None and value < 0:
            raise ValidationError(f"{name} must not be negative: {value}")
    if least is not None and most is not None and least > most:
        raise ValidationError(f"Max bound, {most}, must be greater than or equal to min bound, {least}")
    if wanted is not None and ((least is not None and wanted < least) or (most is not None and wanted > most)):
        raise ValidationError(
            f"Desired capacity:{wanted} must be between the specified min size:{least} and max size:{most}"
        )


def _seconds(when: datetime | None) -> float:
    if when is None:
        return 0.0
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
