"""Instances as API calls treat them: terminate, set health, protect, stand by, detach."""

from collections.abc import Sequence

from localcloud.aws.autoscaling import activities, life, traffic
from localcloud.aws.autoscaling.lifecycle import LEAVING, WARM_LEAVING, Lifecycle
from localcloud.aws.autoscaling.records import Activity, Group, Member
from localcloud.aws.autoscaling.world import World
from localcloud.aws.errors import AwsError, ValidationError

IDS_MAX = 20
PROTECTION_IDS_MAX = 50
HEALTHY, UNHEALTHY = "Healthy", "Unhealthy"


def terminate(world: World, instance_id: str, *, decrement: bool) -> Activity:
    """Terminate an instance; with `decrement` the desired capacity goes down with it, else it is replaced."""
    group, member = world.member(instance_id)
    have = group.desired
    if decrement and member.counts:
        if group.desired - member.weight < group.min:
            raise ValidationError(
                f"Currently, desiredSize equals minSize ({group.min}). Terminating instance without replacement will "
                "violate group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or lower "
                "group's min size."
            )
        group.desired -= member.weight
    if member.lifecycle in LEAVING | WARM_LEAVING:
        running = group.activity(member.activity_id)
        if running is None:
            raise AwsError("ScalingActivityInProgress", f"{instance_id} is terminating already")
        return running
    cause = activities.user_request(world.clock.now(), instance_id, have, group.desired)
    began = group.activity(life.leave(world, group, member, cause))
    if began is None:
        raise AssertionError(f"the activity of {instance_id} was lost")
    return began


def set_health(world: World, instance_id: str, status: str, *, respect_grace: bool) -> None:
    """Say that an instance is healthy or not; an unhealthy one is replaced."""
    if status not in {HEALTHY, UNHEALTHY}:
        raise ValidationError(f"Health status must be Healthy or Unhealthy: {status}")
    group, member = world.member(instance_id)
    now = world.clock.now()
    if member.lifecycle is not Lifecycle.IN_SERVICE and status == UNHEALTHY and respect_grace:
        return
    if status == UNHEALTHY and respect_grace and now < member.in_service_at + group.grace_s:
        return
    member.healthy, member.dead = status == HEALTHY, False
    member.health_cause, member.health_cause_at = ("" if member.healthy else "a user health-check"), now
    world.touch(group)


def protect(world: World, name: str, ids: Sequence[str], *, protected: bool) -> None:
    """Protect instances from scale-in, or no more."""
    if len(ids) > PROTECTION_IDS_MAX:
        raise ValidationError(f"At most {PROTECTION_IDS_MAX} instances may be named: {len(ids)}")
    group = world.group(name)
    for member in _named(group, ids):
        if not member.counts and member.lifecycle is not Lifecycle.STANDBY:
            raise ValidationError(f"The instance {member.id} is not in InService, EnteringStandby or Standby.")
        member.protected = protected
    world.touch(group)


def enter_standby(world: World, name: str, ids: Sequence[str], *, decrement: bool) -> list[Activity]:
    """Put instances in service in standby; without `decrement` others are launched in their place."""
    return _withdraw(world, name, ids, Lifecycle.ENTERING_STANDBY, decrement=decrement)


def detach(world: World, name: str, ids: Sequence[str], *, decrement: bool) -> list[Activity]:
    """Take instances out of the group; they go on running."""
    return _withdraw(world, name, ids, Lifecycle.DETACHING, decrement=decrement)


def attach(world: World, name: str, ids: Sequence[str]) -> None:
    """Take running instances of no group into this one; the desired capacity grows by them."""
    group, now = world.group(name), world.clock.now()
    if not 1 <= len(ids) <= IDS_MAX:
        raise ValidationError(f"1 to {IDS_MAX} instances must be named: {len(ids)}")
    strays = []
    for instance_id in dict.fromkeys(ids):
        if instance_id in world.owners:
            raise ValidationError(
                f"Instance {instance_id} is already part of Auto Scaling group:{world.owners[instance_id]}."
            )
        stray = world.compute.stray(instance_id)
        if stray.zone not in group.zones:
            raise ValidationError(f"Instance {instance_id} is in {stray.zone}, not in a zone of {name}: {group.zones}")
        strays.append(stray)
    if group.desired + len(strays) > group.max:
        raise activities.sizes(group, "attach", len(strays))
    for stray in strays:
        group.desired += 1
        member = Member(
            id=stray.id,
            zone=stray.zone,
            subnet=stray.subnet,
            instance_type=stray.instance_type,
            template=stray.template,
            launched_at=now,
            ready_at=now,
            protected=group.protect_new,
            booted=True,
            hooks_skipped=True,
        )
        group.members[stray.id] = member
        world.owners[stray.id] = group.name
        cause = (
            f"At {activities.stamp(now)} an instance was attached in response to a user request, increasing the "
            f"capacity from {group.desired - 1} to {group.desired}."
        )
        activities.begin(world, group, f"Attaching an existing EC2 instance: {stray.id}", cause, member=member)
    world.touch(group)


def exit_standby(world: World, name: str, ids: Sequence[str]) -> list[Activity]:
    """Put instances back in service; the desired capacity grows by them."""
    group = world.group(name)
    members = _checked(group, ids)
    for member in members:
        if member.lifecycle is not Lifecycle.STANDBY:
            raise ValidationError(f"The instance {member.id} is not in Standby.")
    if group.desired + sum(m.weight for m in members) > group.max:
        raise activities.sizes(group, "move out of standby", len(members))
    begun = []
    for member in members:
        group.desired += member.weight
        member.move(Lifecycle.PENDING)
        cause = (
            f"At {activities.stamp(world.clock.now())} instance {member.id} was moved out of standby in response to a "
            f"user request, increasing the capacity from {group.desired - member.weight} to {group.desired}."
        )
        description = f"Moving EC2 instance out of Standby: {member.id}"
        begun.append(activities.begin(world, group, description, cause, member=member))
    world.touch(group)
    return begun


def _withdraw(world: World, name: str, ids: Sequence[str], to: Lifecycle, *, decrement: bool) -> list[Activity]:
    group = world.group(name)
    members = _checked(group, ids)
    allowed = {Lifecycle.IN_SERVICE} | ({Lifecycle.STANDBY} if to is Lifecycle.DETACHING else set())
    for member in members:
        if member.lifecycle not in allowed:
            raise ValidationError(f"The instance {member.id} is not in InService.")
    falling = [m for m in members if m.counts] if decrement else []
    if group.desired - sum(m.weight for m in falling) < group.min:
        deed = "detach" if to is Lifecycle.DETACHING else "place into standby"
        raise activities.sizes(group, deed, len(members))
    begun = []
    verb = "Detaching EC2 instance" if to is Lifecycle.DETACHING else "Moving EC2 instance to Standby"
    for member in members:
        have = group.desired
        group.desired -= member.weight if member in falling else 0
        member.move(to)
        traffic.withdraw(world, group, member)
        cause = activities.user_request(world.clock.now(), member.id, have, group.desired)
        begun.append(activities.begin(world, group, f"{verb}: {member.id}", cause, member=member))
    world.touch(group)
    return begun


def _checked(group: Group, ids: Sequence[str]) -> list[Member]:
    if not 1 <= len(ids) <= IDS_MAX:
        raise ValidationError(f"1 to {IDS_MAX} instances must be named: {len(ids)}")
    return _named(group, ids)


def _named(group: Group, ids: Sequence[str]) -> list[Member]:
    for instance_id in ids:
        if instance_id not in group.members:
            raise ValidationError(f"The instance {instance_id} is not part of Auto Scaling group {group.name}.")
    return [group.members[instance_id] for instance_id in ids]
