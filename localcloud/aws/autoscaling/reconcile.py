"""What is due in a group now: the one place where instances come, go, and change state.

`step` looks at the group and at the time and does, in this order: carry each instance on in its life, find the
unhealthy and let them go, launch what is missing, terminate what is too much, remove a group that is being deleted.
It then says when it wants to be called next. Calling it at any other time does no harm.
"""

from localcloud.aws.autoscaling import activities, hooks
from localcloud.aws.autoscaling.activities import FAILED, IN_PROGRESS, PROGRESS_RUNNING, SUCCESSFUL, WAITING_LAUNCH
from localcloud.aws.autoscaling.clock import VirtualClock
from localcloud.aws.autoscaling.compute import Condition, LaunchOrder
from localcloud.aws.autoscaling.lifecycle import LEAVING, Lifecycle
from localcloud.aws.autoscaling.records import Group, Member, TemplateRef
from localcloud.aws.autoscaling.selection import subnet_order, victims
from localcloud.aws.autoscaling.world import World
from localcloud.aws.errors import AwsError, LaunchRefused

NEVER = float("inf")
LAUNCH_RETRY_S_FIRST = 5.0
LAUNCH_RETRY_S_MAX = 300.0
STEPS_MAX = 100_000  # of one `run_due`: more means that something wakes itself without end
HEALTH_CHECK_NAMES = {
    Condition.IMPAIRED: "an EC2 instance status checks failure",
    Condition.STOPPED: "an EC2 health check indicating it has been terminated or stopped",
    Condition.GONE: "an EC2 health check indicating it has been terminated or stopped",
}


def run_until(world: World, clock: VirtualClock, until: float) -> None:
    """Move a virtual clock on to a time, stopping wherever something is due."""
    run_due(world)
    while (due := world.next_due()) is not None and due <= until:
        clock.move_to(due)
        run_due(world)
    clock.move_to(until)


def run_due(world: World) -> int:
    """Step every group whose time has come; the number of steps."""
    for steps in range(STEPS_MAX):
        name = world.take_due()
        if name is None:
            return steps
        if group := world.groups.get(name):
            when = step(world, group)
            if when != NEVER:
                world.wake(name, when)
    raise AssertionError(f"more than {STEPS_MAX} steps at one time: a group wakes itself without end")


def step(world: World, group: Group) -> float:
    """Do what is due; the time at which something will be due next (infinity: nothing, as things stand)."""
    for member in list(group.members.values()):
        _carry_on(world, group, member)
    _judge_health(world, group)
    _replace_unhealthy(world, group)
    if group.deleting:
        for member in group.members.values():
            if member.lifecycle not in LEAVING:
                cause = activities.user_request(world.clock.now(), member.id, group.desired, group.desired)
                leave(world, group, member, cause, skip_hooks=True)
    else:
        _scale(world, group)
    for member in list(group.members.values()):
        _carry_on(world, group, member)
    if group.deleting and not group.members:
        world.forget(group)
        return NEVER
    return _next_due(world, group)


def _carry_on(world: World, group: Group, member: Member) -> None:
    """Take a member through as many states as it can pass now."""
    while True:
        before = member.lifecycle
        match before:
            case Lifecycle.PENDING:
                _boot(world, group, member)
            case Lifecycle.PENDING_WAIT | Lifecycle.TERMINATING_WAIT:
                _wait(world, group, member)
            case Lifecycle.PENDING_PROCEED:
                _into_service(world, group, member)
            case Lifecycle.TERMINATING:
                _begin_termination(world, group, member)
            case Lifecycle.TERMINATING_PROCEED:
                _end_machine(world, group, member)
            case Lifecycle.ENTERING_STANDBY:
                member.move(Lifecycle.STANDBY)
                activities.finish(world, group, group.activity(member.activity_id), SUCCESSFUL)
            case Lifecycle.DETACHING:
                _detach(world, group, member)
            case _:
                return
        if member.lifecycle is before:
            return
        world.changed.add(group.name)


def _boot(world: World, group: Group, member: Member) -> None:
    if world.clock.now() < member.ready_at:
        return
    if not member.booted:
        member.booted = True
        world.compute.boot(member.id)
    activity = group.activity(member.activity_id)
    if hooks.hold(world, group, member, hooks.LAUNCHING):
        member.move(Lifecycle.PENDING_WAIT)
        if activity and activity.running:
            activity.status, activity.progress = WAITING_LAUNCH, PROGRESS_RUNNING
        return
    _into_service(world, group, member)


def _into_service(world: World, group: Group, member: Member) -> None:
    member.move(Lifecycle.IN_SERVICE)
    member.in_service_at = world.clock.now()
    if group.active("AddToLoadBalancer"):
        for target_group in group.target_groups:
            world.compute.register(target_group, member.id)
    activities.finish(world, group, group.activity(member.activity_id), SUCCESSFUL)
    world.changed.add(group.name)


def _wait(world: World, group: Group, member: Member) -> None:
    verdict = hooks.verdict(world, member)
    if verdict is None:
        return
    world.changed.add(group.name)
    if member.lifecycle is Lifecycle.TERMINATING_WAIT:
        member.move(Lifecycle.TERMINATING_PROCEED)
        return
    if verdict.abandoned:
        message = (
            "Instance failed to complete user's Lifecycle Action: Lifecycle Action with token "
            f"{verdict.token} was abandoned: {verdict.reason}"
        )
        activities.finish(world, group, group.activity(member.activity_id), activities.CANCELLED, message)
        cause = activities.unhealthy(world.clock.now(), "a lifecycle action that was abandoned")
        leave(world, group, member, cause, skip_hooks=True)
        return
    member.move(Lifecycle.PENDING_PROCEED)


def leave(world: World, group: Group, member: Member, cause: str, *, skip_hooks: bool = False) -> str:
    """Begin to terminate a member; the id of the activity. Terminating hooks hold it unless they are skipped."""
    running = group.activity(member.activity_id)
    activities.finish(
        world, group, running, activities.CANCELLED, "The instance was terminated before it was launched."
    )
    member.move(Lifecycle.TERMINATING)
    member.actions.clear()
    member.hooks_skipped = skip_hooks
    for target_group in group.target_groups:
        world.compute.deregister(target_group, member.id)
    activity = activities.begin(world, group, f"Terminating EC2 instance: {member.id}", cause, member=member)
    world.touch(group)
    return activity.id


def _begin_termination(world: World, group: Group, member: Member) -> None:
    if not member.hooks_skipped and hooks.hold(world, group, member, hooks.TERMINATING):
        member.move(Lifecycle.TERMINATING_WAIT)
        if activity := group.activity(member.activity_id):
            activity.status, activity.progress = WAITING_LAUNCH, PROGRESS_RUNNING
        return
    member.move(Lifecycle.TERMINATING_PROCEED)


def _end_machine(world: World, group: Group, member: Member) -> None:
    if not member.ended:
        member.ended = True
        world.compute.end(member.id)
        world.changed.add(group.name)
        if (activity := group.activity(member.activity_id)) and activity.running:
            activity.status = IN_PROGRESS
    if world.compute.condition(member.id) is Condition.GONE:
        member.move(Lifecycle.TERMINATED)
        activities.finish(world, group, group.activity(member.activity_id), SUCCESSFUL)
        del group.members[member.id]
        world.owners.pop(member.id, None)


def _detach(world: World, group: Group, member: Member) -> None:
    member.move(Lifecycle.DETACHED)
    for target_group in group.target_groups:
        world.compute.deregister(target_group, member.id)
    activities.finish(world, group, group.activity(member.activity_id), SUCCESSFUL)
    del group.members[member.id]
    world.owners.pop(member.id, None)


def _judge_health(world: World, group: Group) -> None:
    """Mark as unhealthy whose machine says so; in standby nobody is judged, and while it boots the hook judges."""
    if not group.active("HealthCheck"):
        return
    now = world.clock.now()
    for member in group.capacity:
        if not member.healthy or not member.booted:
            continue
        condition = world.compute.condition(member.id)
        graced = member.lifecycle is not Lifecycle.IN_SERVICE or now < member.in_service_at + group.grace_s
        if condition is Condition.OK or (condition is Condition.IMPAIRED and graced):
            continue
        member.healthy, member.health_cause, member.health_cause_at = False, HEALTH_CHECK_NAMES[condition], now
        world.changed.add(group.name)


def _replace_unhealthy(world: World, group: Group) -> None:
    if group.deleting or not (group.active("ReplaceUnhealthy") and group.active("Terminate")):
        return
    for member in group.capacity:
        if not member.healthy:
            leave(world, group, member, activities.unhealthy(world.clock.now(), member.health_cause))


def _scale(world: World, group: Group) -> None:
    capacity = group.capacity
    missing = group.desired - len(capacity)
    if missing > 0 and group.active("Launch") and world.clock.now() >= group.launch_retry_at:
        for _ in range(missing):
            if not _launch(world, group):
                break
    elif missing < 0 and group.active("Terminate"):
        now, have = world.clock.now(), len(capacity)
        for gone, member in enumerate(victims(capacity, -missing, group.termination_policies, now), start=1):
            cause = activities.shrunk(now, have, have - gone, member.id)
            leave(world, group, member, f"{group.request_cause}  {cause}".strip())
    elif missing == 0:
        group.request_cause = ""


def _launch(world: World, group: Group) -> bool:
    """Launch one instance in the emptiest zone that has room; False when EC2 refuses everywhere."""
    now, have = world.clock.now(), len(group.capacity)
    cause = f"{group.request_cause}  {activities.started(now, have, group.desired)}".strip()
    refusal: AwsError | None = None
    try:
        template, instance_type = world.compute.resolve(group.template)
        instance_type = _type_of(group) or instance_type
        for subnet, zone in subnet_order([(s, world.compute.zone_of(s)) for s in group.subnets], group.capacity):
            try:
                _launched(world, group, _order(group, template, instance_type, subnet, zone), cause)
            except LaunchRefused as error:
                refusal = error
                continue
            return True
    except AwsError as error:  # the template or the subnet is gone
        refusal = error
    group.launch_failures += 1
    group.launch_retry_at = now + min(LAUNCH_RETRY_S_MAX, LAUNCH_RETRY_S_FIRST * 2 ** (group.launch_failures - 1))
    activity = activities.begin(world, group, "Launching a new EC2 instance", cause)
    text = refusal.message if refusal else "The group has no subnet."
    activities.finish(world, group, activity, FAILED, f"{text} Launching EC2 instance failed.")
    return False


def _order(group: Group, template: TemplateRef, instance_type: str, subnet: str, zone: str) -> LaunchOrder:
    tags = {tag.key: tag.value for tag in group.tags.values() if tag.propagate}
    return LaunchOrder(group.name, template, instance_type, subnet, zone, tags)


def _launched(world: World, group: Group, order: LaunchOrder, cause: str) -> None:
    launched = world.compute.launch(order)
    member = Member(
        id=launched.id,
        zone=order.zone,
        subnet=order.subnet,
        instance_type=order.instance_type,
        template=order.template,
        launched_at=world.clock.now(),
        ready_at=launched.ready_at,
        protected=group.protect_new,
    )
    group.members[member.id] = member
    world.owners[member.id] = group.name
    group.launch_failures, group.launch_retry_at = 0, 0.0
    activities.begin(world, group, f"Launching a new EC2 instance: {member.id}", cause, member=member)


def _type_of(group: Group) -> str | None:
    """The instance type that a mixed-instances policy puts first; None: the template's."""
    overrides = ((group.mixed or {}).get("LaunchTemplate") or {}).get("Overrides") or []
    return next((o["InstanceType"] for o in overrides if "InstanceType" in o), None)


def _next_due(world: World, group: Group) -> float:
    now = world.clock.now()
    times = [NEVER]
    for member in group.members.values():
        times.extend(a.expires_at for a in member.actions if not a.result)
        if member.lifecycle is Lifecycle.PENDING:
            times.append(member.ready_at)
        grace_ends = member.in_service_at + group.grace_s
        if member.lifecycle is Lifecycle.IN_SERVICE and member.healthy and now < grace_ends:
            times.append(grace_ends)
    if len(group.capacity) < group.desired and group.active("Launch") and not group.deleting:
        times.append(max(now, group.launch_retry_at))
    return min(times)
