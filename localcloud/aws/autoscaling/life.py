"""One instance on its way: from Pending to InService, out of the group again, and in and out of the warm pool.

`carry_on` takes it through as many states as it can pass now. Where it waits (for its machine, a hook, an end), the
next call goes on. Which instances come and go is decided elsewhere (`scaling`, `warm_pool`).
"""

from localcloud.aws.autoscaling import activities, hooks, notices, traffic
from localcloud.aws.autoscaling.activities import IN_PROGRESS, PROGRESS_RUNNING, SUCCESSFUL, WAITING_LAUNCH
from localcloud.aws.autoscaling.compute import Condition
from localcloud.aws.autoscaling.lifecycle import Lifecycle
from localcloud.aws.autoscaling.plans import WarmPool
from localcloud.aws.autoscaling.records import Group, Member
from localcloud.aws.autoscaling.world import World

S = Lifecycle
LAUNCHES = "Launching a new EC2 instance"
WAITS = {S.PENDING: S.PENDING_WAIT, S.WARMED_PENDING: S.WARMED_PENDING_WAIT}
SETTLED = {"Stopped": S.WARMED_STOPPED, "Running": S.WARMED_RUNNING, "Hibernated": S.WARMED_HIBERNATED}
HELD = {
    S.PENDING_WAIT: S.PENDING_PROCEED,
    S.WARMED_PENDING_WAIT: S.WARMED_PENDING_PROCEED,
    S.TERMINATING_WAIT: S.TERMINATING_PROCEED,
    S.WARMED_TERMINATING_WAIT: S.WARMED_TERMINATING_PROCEED,
}
ENDINGS = {
    S.TERMINATING: (S.TERMINATING_WAIT, S.TERMINATING_PROCEED),
    S.WARMED_TERMINATING: (S.WARMED_TERMINATING_WAIT, S.WARMED_TERMINATING_PROCEED),
}


def carry_on(world: World, group: Group, member: Member) -> bool:  # noqa: C901  one case for each state
    """Take a member through as many states as it can pass now; whether there was one."""
    first = member.lifecycle
    while True:
        before = member.lifecycle
        match before:
            case S.PENDING | S.WARMED_PENDING:
                _boot(world, group, member)
            case S.PENDING_WAIT | S.TERMINATING_WAIT | S.WARMED_PENDING_WAIT | S.WARMED_TERMINATING_WAIT:
                _wait(world, group, member)
            case S.PENDING_PROCEED:
                _into_service(world, group, member)
            case S.WARMED_PENDING_PROCEED:
                _settle(world, group, member)
            case S.TERMINATING | S.WARMED_TERMINATING if not traffic.drains(world, group, member):
                _begin_termination(world, group, member)
            case S.TERMINATING_PROCEED if member.returning:
                _return(member)
            case S.TERMINATING_PROCEED | S.WARMED_TERMINATING_PROCEED:
                _end_machine(world, group, member)
            case S.ENTERING_STANDBY if not traffic.drains(world, group, member):
                member.move(S.STANDBY)
                _finish(world, group, member)
            case S.DETACHING if not traffic.drains(world, group, member):
                _detach(world, group, member)
            case _:
                pass
        if member.lifecycle is before:
            return before is not first
        world.changed.add(group.name)


def leave(world: World, group: Group, member: Member, cause: str, *, skip_hooks: bool = False) -> str:
    """Begin to terminate a member; the id of the activity. Terminating hooks hold it unless they are skipped."""
    running = group.activity(member.activity_id)
    activities.finish(
        world, group, running, activities.CANCELLED, "The instance was terminated before it was launched."
    )
    warm = member.warm
    member.move(S.WARMED_TERMINATING if warm else S.TERMINATING)
    member.hooks_skipped, member.actions, member.balancing = skip_hooks, [], False
    traffic.withdraw(world, group, member)
    what = "Terminating EC2 instance from warm pool" if warm else "Terminating EC2 instance"
    activity = activities.begin(world, group, f"{what}: {member.id}", cause, member=member)
    world.touch(group)
    return activity.id


def out_of_pool(world: World, group: Group, member: Member, cause: str) -> None:
    """A prepared member of the warm pool is wanted in the group: it is started, and its launching hooks run again."""
    stopped = member.lifecycle is not S.WARMED_RUNNING
    member.move(S.PENDING)
    if stopped:
        member.ready_at = world.compute.start(member.id)
    member.hooks_skipped, member.protected = False, group.protect_new
    activities.begin(world, group, f"Launching a new EC2 instance from warm pool: {member.id}", cause, member=member)
    world.touch(group)


def _finish(world: World, group: Group, member: Member) -> None:
    activities.finish(world, group, group.activity(member.activity_id), SUCCESSFUL)


def _boot(world: World, group: Group, member: Member) -> None:
    if world.clock.now() < member.ready_at:
        return
    if not member.booted:
        member.booted = True
        world.compute.boot(member.id)
    activity = group.activity(member.activity_id)
    if not member.hooks_skipped and hooks.hold(world, group, member, hooks.LAUNCHING):
        member.move(WAITS[member.lifecycle])
        if activity and activity.running:
            activity.status, activity.progress = WAITING_LAUNCH, PROGRESS_RUNNING
        return
    if member.warm:
        _settle(world, group, member)
    else:
        _into_service(world, group, member)


def _into_service(world: World, group: Group, member: Member) -> None:
    member.move(S.IN_SERVICE)
    member.in_service_at, member.balancing = world.clock.now(), False
    if group.active("AddToLoadBalancer"):
        traffic.enter(world, group, member)
    launched = (activity := group.activity(member.activity_id)) is not None and activity.running
    _finish(world, group, member)
    if launched and activity and activity.description.startswith(LAUNCHES):
        notices.tell(world, group, notices.LAUNCH, activity)
    world.changed.add(group.name)


def _settle(world: World, group: Group, member: Member) -> None:
    """Prepared: it waits in the warm pool in the state that the pool wants."""
    state = SETTLED[(group.warm_pool or WarmPool()).state]
    member.move(state)
    member.hooks_skipped, member.returning = False, False
    if state is not S.WARMED_RUNNING:
        world.compute.stop(member.id)
        member.booted = False
    _finish(world, group, member)


def _return(member: Member) -> None:
    """The group does not need it any more, the warm pool takes it."""
    member.move(S.WARMED_PENDING)
    member.hooks_skipped, member.protected, member.in_service_at = True, False, 0.0


def _wait(world: World, group: Group, member: Member) -> None:
    verdict = hooks.verdict(world, member)
    if verdict is None:
        return
    world.changed.add(group.name)
    if not (member.lifecycle in hooks.LAUNCH_WAITS and verdict.abandoned):
        member.move(HELD[member.lifecycle])
        return
    message = (
        "Instance failed to complete user's Lifecycle Action: Lifecycle Action with token "
        f"{verdict.token} was abandoned: {verdict.reason}"
    )
    activities.finish(world, group, group.activity(member.activity_id), activities.CANCELLED, message)
    cause = activities.unhealthy(world.clock.now(), "a lifecycle action that was abandoned")
    leave(world, group, member, cause, skip_hooks=True)


def _begin_termination(world: World, group: Group, member: Member) -> None:
    waits, proceeds = ENDINGS[member.lifecycle]
    if not member.hooks_skipped and hooks.hold(world, group, member, hooks.TERMINATING):
        member.move(waits)
        if activity := group.activity(member.activity_id):
            activity.status, activity.progress = WAITING_LAUNCH, PROGRESS_RUNNING
        return
    member.move(proceeds)


def _end_machine(world: World, group: Group, member: Member) -> None:
    if not member.ended:
        member.ended = True
        world.compute.end(member.id)
        world.changed.add(group.name)
        if (activity := group.activity(member.activity_id)) and activity.running:
            activity.status = IN_PROGRESS
    if world.compute.condition(member.id) is Condition.GONE:
        member.move(S.WARMED_TERMINATED if member.warm else S.TERMINATED)
        _strike_off(world, group, member)
        notices.tell(world, group, notices.TERMINATE, group.activity(member.activity_id))


def _detach(world: World, group: Group, member: Member) -> None:
    member.move(S.DETACHED)
    _strike_off(world, group, member)


def _strike_off(world: World, group: Group, member: Member) -> None:
    _finish(world, group, member)
    del group.members[member.id]
    world.owners.pop(member.id, None)
