"""Groups as API calls create, change and delete them. Machines follow later, by `reconcile`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from localcloud.aws.autoscaling import activities, hooks, traffic, validation, warm_pools
from localcloud.aws.autoscaling.plans import TemplateRef
from localcloud.aws.autoscaling.records import Group, Hook, Tag
from localcloud.aws.autoscaling.world import World
from localcloud.aws.errors import AwsError, ValidationError


@dataclass(slots=True, frozen=True)
class Settings:
    """What a create or update says; None means that it does not say."""

    least: int | None = None
    most: int | None = None
    desired: int | None = None
    template: TemplateRef | None = None
    mixed: Mapping[str, Any] | None = None
    subnets: Sequence[str] | None = None
    zones: Sequence[str] | None = None
    cooldown_s: int | None = None
    health_check_type: str | None = None
    grace_s: int | None = None
    protect_new: bool | None = None
    termination_policies: Sequence[str] | None = None
    stored: Mapping[str, Any] = field(default_factory=dict)


def create(  # noqa: PLR0913  the parts of CreateAutoScalingGroup
    world: World,
    name: str,
    settings: Settings,
    *,
    tags: Sequence[Tag] = (),
    first_hooks: Sequence[Hook] = (),
    target_groups: Sequence[str] = (),
    load_balancers: Sequence[str] = (),
) -> Group:
    """A new group; its instances are launched once it is stepped."""
    validation.name(name)
    if name in world.groups:
        raise AwsError(
            "AlreadyExists",
            f"AutoScalingGroup by this name already exists - A group with the name {name} already exists",
        )
    if len(world.groups) >= world.quotas.groups:
        raise AwsError("LimitExceeded", f"You have already reached your limit of {world.quotas.groups} groups")
    if settings.template is None:
        raise ValidationError(
            "Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or "
            "MixedInstancesPolicy parameter."
        )
    if settings.least is None or settings.most is None:
        raise ValidationError("MinSize and MaxSize are required")
    subnets, zones = _places(world, settings, ([], []))
    group = Group(
        name=name,
        arn=f"arn:aws:autoscaling:{world.region}:{world.account}:autoScalingGroup:{world.new_id()}:"
        f"autoScalingGroupName/{name}",
        created_at=world.clock.now(),
        min=settings.least,
        max=settings.most,
        desired=settings.least if settings.desired is None else settings.desired,
        template=world.compute.find(settings.template),
        subnets=subnets,
        zones=zones,
        tags={tag.key: tag for tag in tags},
        target_groups=list(target_groups),
        load_balancers=list(load_balancers),
        attached=dict.fromkeys([*target_groups, *load_balancers], traffic.IN_SERVICE),
    )
    _apply_plain(group, settings)
    validation.group(group, target_groups_max=world.quotas.target_groups_per_group)
    for hook in first_hooks:
        hooks.check(hook)
        group.hooks[hook.name] = hook
    for target_group in target_groups:
        world.compute.check_target_group(target_group)
    for load_balancer in load_balancers:
        world.compute.check_load_balancer(load_balancer)
    group.request_cause = activities.constraints_changed(world.clock.now(), group, 0)
    world.groups[name] = group
    world.touch(group)
    return group


def update(world: World, name: str, settings: Settings) -> None:
    """Change what the settings say; a desired capacity outside of new bounds is moved to the nearest one."""
    old = world.group(name)
    least = old.min if settings.least is None else settings.least
    most = old.max if settings.most is None else settings.most
    wanted = settings.desired
    if wanted is None:
        wanted = min(max(old.desired, least), most) if least <= most else old.desired
    subnets, zones = _places(world, settings, (old.subnets, old.zones))
    changed = replace(old, min=least, max=most, desired=wanted, subnets=subnets, zones=zones, stored=dict(old.stored))
    if settings.template is not None and old.refresh and old.refresh.wanted:
        raise ValidationError(
            "An active instance refresh with a desired configuration exists. All configuration options derived from "
            "the desired configuration are not available for update while the instance refresh is active."
        )
    if settings.template is not None and old.warm_pool:
        warm_pools.check_mixed(settings.mixed)
    if settings.template is not None:
        changed.template = world.compute.find(settings.template)
    _apply_plain(changed, settings)
    validation.group(changed, target_groups_max=world.quotas.target_groups_per_group)
    if changed.desired != old.desired:
        changed.request_cause = activities.constraints_changed(world.clock.now(), changed, old.desired)
    changed.launch_failures, changed.launch_retry_at = 0, 0.0
    world.groups[name] = changed
    world.touch(changed)


def set_desired(world: World, name: str, value: int, *, honor_cooldown: bool) -> None:
    """Set the desired capacity; with `honor_cooldown` refused while the cooldown after the last activity runs."""
    group = world.group(name)
    validation.desired(group, value)
    now = world.clock.now()
    if honor_cooldown and (group.scaled_at and now < group.scaled_at + group.cooldown_s):
        raise activities.in_progress(group)
    if value != group.desired:
        group.request_cause = activities.desired_set(now, group.desired, value)
        group.desired = value
        group.launch_failures, group.launch_retry_at = 0, 0.0
    world.touch(group)


def delete(world: World, name: str, *, force: bool) -> None:
    """Delete a group; forced, its instances are terminated without their hooks and it is gone when they are."""
    group = world.groups.get(name)
    if group is None or (group.deleting and not force):
        raise ValidationError(f"AutoScalingGroup name not found - AutoScalingGroup '{name}' not found")
    protection = group.stored.get("DeletionProtection", "none")
    if protection == "prevent-all-deletion" or (force and protection == "prevent-force-deletion"):
        raise ValidationError(f"{name} has deletion protection {protection}: set it to none first")
    if not force:
        if any(activity.running for activity in group.activities):
            raise AwsError(
                "ScalingActivityInProgress",
                "You cannot delete an AutoScalingGroup while there are scaling activities in progress for that group.",
            )
        if group.members or group.desired:
            raise AwsError(
                "ResourceInUse",
                "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) "
                "still in the group.",
            )
    group.deleting, group.min, group.desired = True, 0, 0
    for member in group.members.values():
        for action in member.actions:
            action.result, action.reason = action.result or hooks.ABANDON, "The group was deleted"
    world.touch(group)


def suspend(world: World, name: str, processes: Sequence[str]) -> None:
    """Suspend processes; none given means all."""
    group = world.group(name)
    when = activities.stamp(world.clock.now())
    for process in validation.processes(processes):
        group.suspended[process] = f"User suspended at {when}"
    world.touch(group)


def resume(world: World, name: str, processes: Sequence[str]) -> None:
    """Resume processes; none given means all."""
    group = world.group(name)
    for process in validation.processes(processes):
        group.suspended.pop(process, None)
    world.touch(group)


def _places(world: World, settings: Settings, old: tuple[list[str], list[str]]) -> tuple[list[str], list[str]]:
    """The subnets and their zones after a create or update."""
    if settings.subnets is None and settings.zones is None and old[0]:
        return old
    subnets = list(settings.subnets or ()) or world.compute.default_subnets(list(settings.zones or ()))
    if not subnets:
        raise ValidationError("At least one Availability Zone or VPC Subnet is required.")
    zones = list(dict.fromkeys(world.compute.zone_of(subnet) for subnet in subnets))
    if settings.subnets and settings.zones and set(settings.zones) - set(zones):
        raise ValidationError(f"The availability zones {settings.zones} and the subnets {subnets} do not match")
    return subnets, sorted(zones)


def _apply_plain(group: Group, settings: Settings) -> None:
    """Fields that are taken over as they are."""
    group.cooldown_s = group.cooldown_s if settings.cooldown_s is None else settings.cooldown_s
    group.grace_s = group.grace_s if settings.grace_s is None else settings.grace_s
    group.health_check_type = settings.health_check_type or group.health_check_type
    group.protect_new = group.protect_new if settings.protect_new is None else settings.protect_new
    if settings.termination_policies is not None:
        group.termination_policies = list(settings.termination_policies) or ["Default"]
    if settings.mixed is not None:
        group.mixed = dict(settings.mixed)
    elif settings.template is not None:
        group.mixed = None
    group.stored.update(settings.stored)
