"""Scaling activities: how they begin and end, and the sentences in which AWS says why."""

from collections.abc import Sequence
from datetime import UTC, datetime

from localcloud.aws.autoscaling.records import Activity, Group, Member
from localcloud.aws.autoscaling.world import World
from localcloud.aws.errors import AwsError, ValidationError

IN_PROGRESS = "InProgress"
WAITING_LAUNCH = "MidLifecycleAction"
SUCCESSFUL = "Successful"
FAILED = "Failed"
CANCELLED = "Cancelled"
PROGRESS_BEGUN, PROGRESS_RUNNING, PROGRESS_DONE = 30, 60, 100


def stamp(when: float) -> str:
    """A time as the causes spell it.

    >>> stamp(0)
    '1970-01-01T00:00:00Z'
    """
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def constraints_changed(now: float, group: Group, was: int) -> str:
    """The cause after create or update."""
    return (
        f"At {stamp(now)} a user request update of AutoScalingGroup constraints to min: {group.min}, max: {group.max}, "
        f"desired: {group.desired} changing the desired capacity from {was} to {group.desired}."
    )


def desired_set(now: float, was: int, to: int) -> str:
    """The cause after SetDesiredCapacity."""
    return (
        f"At {stamp(now)} a user request explicitly set group desired capacity changing the desired capacity "
        f"from {was} to {to}."
    )


def started(now: float, have: int, want: int) -> str:
    """Why an instance is launched."""
    return (
        f"At {stamp(now)} an instance was started in response to a difference between desired and actual capacity, "
        f"increasing the capacity from {have} to {want}."
    )


def shrunk(now: float, have: int, want: int, instance_id: str) -> str:
    """Why an instance is terminated when there are too many."""
    return (
        f"At {stamp(now)} an instance was taken out of service in response to a difference between desired and actual "
        f"capacity, shrinking the capacity from {have} to {want}.  At {stamp(now)} instance {instance_id} was selected "
        "for termination."
    )


def balancing(now: float, zones: Sequence[str]) -> str:
    """Why an instance is launched although there are enough."""
    return (
        f"At {stamp(now)} instances were launched to balance instances in zones {' '.join(zones)} with other zones "
        "resulting in more than desired number of instances in the group."
    )


def scheduled(now: float, group: Group, was: int) -> str:
    """The cause after a scheduled action."""
    return (
        f"At {stamp(now)} a scheduled action update of AutoScalingGroup constraints to min: {group.min}, max: "
        f"{group.max}, desired: {group.desired} changing the desired capacity from {was} to {group.desired}."
    )


def policy_executed(now: float, policy: str, alarm: str, was: int, to: int) -> str:
    """The cause after a scaling policy."""
    if alarm:
        return (
            f"At {stamp(now)} a monitor alarm {alarm} in state ALARM triggered policy {policy} changing the desired "
            f"capacity from {was} to {to}."
        )
    return f"At {stamp(now)} a user request executed policy {policy} changing the desired capacity from {was} to {to}."


def unhealthy(now: float, what: str) -> str:
    """Why an instance is replaced; `what` is the check that failed."""
    return f"At {stamp(now)} an instance was taken out of service in response to {what}."


def user_request(now: float, instance_id: str, have: int, want: int) -> str:
    """Why an instance is terminated, detached or put in standby."""
    text = f"At {stamp(now)} instance {instance_id} was taken out of service in response to a user request"
    return text + (f", shrinking the capacity from {have} to {want}." if have != want else ".")


def in_progress(group: Group) -> AwsError:
    """The refusal of what has to wait for an activity, or for the cooldown after the last one.

    The words are those of TwiN/aws-eks-asg-rolling-update-handler#16.
    """
    blocking = next(
        (one for one in group.activities if one.running), group.activities[-1] if group.activities else None
    )
    which = f"Scaling activity {blocking.id}" if blocking else "A scaling activity"
    return AwsError("ScalingActivityInProgress", f"{which} is in progress and blocks this action")


def sizes(group: Group, deed: str, count: int) -> ValidationError:
    """The refusal of what the group's sizes do not allow; `deed` in AWS's words.

    They are those of spacelift-io/terraform-aws-spacelift-workerpool-on-ec2#85.
    """
    return ValidationError(
        f"AutoScalingGroup {group.name} has min-size={group.min}, max-size={group.max}, and desired-size={group.desired}. "
        f"To {deed} {count} instance{'' if count == 1 else 's'}, please update the AutoScalingGroup sizes appropriately."
    )


def begin(  # noqa: PLR0913  an activity says all of this
    world: World,
    group: Group,
    description: str,
    cause: str,
    *,
    member: Member | None = None,
    progress: int = PROGRESS_BEGUN,
) -> Activity:
    """Record an activity that runs from now on."""
    activity = Activity(
        id=world.new_id(),
        description=description,
        cause=cause,
        started_at=world.clock.now(),
        status=IN_PROGRESS,
        instance_id=member.id if member else "",
        zone=member.zone if member else "",
        subnet=member.subnet if member else "",
        progress=progress,
    )
    group.record(activity)
    if member:
        member.activity_id = activity.id
    world.changed.add(group.name)
    return activity


def finish(world: World, group: Group, activity: Activity | None, status: str, message: str = "") -> None:
    """End an activity; None (already forgotten) is fine."""
    if activity is None or not activity.running:
        return
    activity.status, activity.message = status, message
    activity.ended_at, activity.progress = world.clock.now(), PROGRESS_DONE
    if status == SUCCESSFUL:
        group.scaled_at = activity.ended_at
    world.changed.add(group.name)
