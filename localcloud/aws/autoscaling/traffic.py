"""Target groups and classic load balancers of a group: which are attached, who is in them, and what they find of it.

After "Attach an Elastic Load Balancing load balancer" and DescribeLoadBalancerTargetGroups: an attachment is Adding, then
Added once all instances are registered, and InService, if the group looks at load balancers' health checks, once one
instance has passed one. Only an attachment in service has instances replaced. One that came with the group is in service from
the beginning. Whoever leaves is deregistered first, and goes on when its connections have drained.
"""

from collections.abc import Sequence

from localcloud.aws.autoscaling.lifecycle import Lifecycle
from localcloud.aws.autoscaling.records import Group, Member
from localcloud.aws.autoscaling.world import World
from localcloud.aws.errors import AwsError, ValidationError
from localcloud.aws.target_health import TargetState

ADDED, IN_SERVICE, REMOVING = "Added", "InService", "Removing"
DRAINING_STATUS = "WaitingForELBConnectionDraining"
NEVER = float("inf")


def attach(world: World, name: str, *, target_groups: Sequence[str] = (), load_balancers: Sequence[str] = ()) -> None:
    """Attach target groups and classic load balancers; instances in service are registered at once."""
    group = world.group(name)
    for arn in target_groups:
        world.compute.check_target_group(arn)
    for one in load_balancers:
        world.compute.check_load_balancer(one)
    most = world.quotas.target_groups_per_group
    for had, added in ((group.target_groups, target_groups), (group.load_balancers, load_balancers)):
        if len({*had, *added}) > most:
            raise AwsError("LimitExceeded", f"At most {most} target groups and load balancers are allowed on {name}")
    for had, added in ((group.target_groups, target_groups), (group.load_balancers, load_balancers)):
        for target in dict.fromkeys(added):
            if target not in had:
                had.append(target)
                group.attached[target] = ADDED
                group.detaching.pop(target, None)
                for instance_id in _serving(group) if group.active("AddToLoadBalancer") else ():
                    world.compute.register(target, instance_id)
    world.touch(group)


def detach(world: World, name: str, *, target_groups: Sequence[str] = (), load_balancers: Sequence[str] = ()) -> None:
    """Detach target groups and load balancers; unknown ones are refused. They are told of while they drain."""
    group = world.group(name)
    for had, removed in ((group.target_groups, target_groups), (group.load_balancers, load_balancers)):
        for target in removed:
            if target not in had:
                raise ValidationError(f"Trying to remove {target}, which is not attached to {name}")
        for target in dict.fromkeys(removed):
            had.remove(target)
            group.attached.pop(target, None)
            until = max((world.compute.deregister(target, one) for one in _serving(group)), default=0.0)
            if until > world.clock.now():
                group.detaching[target] = until
    world.touch(group)


def states(group: Group) -> dict[str, str]:
    """The state of each attachment, those that are being removed last."""
    now = {target: group.attached.get(target, ADDED) for target in group.balancers}
    return now | dict.fromkeys(group.detaching, REMOVING)


def enter(world: World, group: Group, member: Member) -> None:
    """Every target group and load balancer of the group gets it."""
    for target in group.balancers:
        world.compute.register(target, member.id)


def withdraw(world: World, group: Group, member: Member) -> None:
    """No target group and no load balancer sends it anything new any more."""
    drained = [world.compute.deregister(target, member.id) for target in group.balancers]
    member.draining_until = max([member.draining_until, *drained])


def drains(world: World, group: Group, member: Member) -> bool:
    """Whether it still waits for its connections; one that is dead and one of a deleted group does not."""
    if group.deleting or member.dead or world.clock.now() >= member.draining_until:
        return False
    if (activity := group.activity(member.activity_id)) and activity.running:
        activity.status = DRAINING_STATUS
    return True


def judge(world: World, group: Group) -> None:
    """Bring the states of attachments up to date."""
    now = world.clock.now()
    for target in [one for one, until in group.detaching.items() if until <= now]:
        del group.detaching[target]
        world.changed.add(group.name)
    if not group.elb_health:
        return
    for target in group.balancers:
        if group.attached.get(target, ADDED) == ADDED and _has_healthy(world, group, target):
            group.attached[target] = IN_SERVICE
            world.changed.add(group.name)


def fails(world: World, group: Group, member: Member) -> bool:
    """Whether a load balancer whose opinion counts finds it unhealthy."""
    return any(
        state == IN_SERVICE and world.compute.target_state(target, member.id) is TargetState.UNHEALTHY
        for target, state in group.attached.items()
    )


def next_due(world: World, group: Group) -> float:
    """When something has drained."""
    now = world.clock.now()
    members = (m.draining_until for m in group.members.values() if m.draining_until > now)
    return min([*members, *(until for until in group.detaching.values() if until > now)], default=NEVER)


def _has_healthy(world: World, group: Group, target: str) -> bool:
    return any(world.compute.target_state(target, one) is TargetState.HEALTHY for one in _serving(group))


def _serving(group: Group) -> list[str]:
    return [m.id for m in group.capacity if m.lifecycle is Lifecycle.IN_SERVICE]
