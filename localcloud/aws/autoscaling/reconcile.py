"""What is due in a group now: the one place from which instances come, go, and change state.

`step` looks at the group and at the time and does, in this order: scheduled actions, alarms, carry each instance on in its
life, find the unhealthy, carry the instance refresh on, replace, launch and terminate, fill the warm pool, remove a
group that is being deleted. It then says when it wants to be called next. Calling it at any other time does no harm.
"""

from localcloud.aws.autoscaling import (
    activities,
    group_metrics,
    health,
    policies,
    refreshing,
    scaling,
    schedules,
    traffic,
    warm_pools,
)
from localcloud.aws.autoscaling.clock import VirtualClock
from localcloud.aws.autoscaling.life import carry_on, leave
from localcloud.aws.autoscaling.lifecycle import LEAVING, WARM_LEAVING, Lifecycle
from localcloud.aws.autoscaling.records import Group
from localcloud.aws.autoscaling.world import World

NEVER = float("inf")
STEPS_MAX = 100_000  # of one `run_due`: more means that something wakes itself without end


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
    if not group.deleting:
        schedules.run(world, group)
        group_metrics.run(world, group)
        policies.run(world, group)
    _carry_all_on(world, group)
    health.judge(world, group)
    if group.deleting:
        for member in group.members.values():
            if member.lifecycle not in LEAVING | WARM_LEAVING:
                cause = activities.user_request(world.clock.now(), member.id, group.desired, group.desired)
                leave(world, group, member, cause, skip_hooks=True)
    else:
        refreshing.advance(world, group)
        scaling.scale(world, group)
        warm_pools.fill(world, group)
    moved = _carry_all_on(world, group)
    if group.deleting and not group.members:
        world.forget(group)
        return NEVER
    if (not group.deleting and refreshing.advance(world, group)) or moved:
        return world.clock.now()  # what has just changed may let something else go on
    return _next_due(world, group)


def _carry_all_on(world: World, group: Group) -> bool:
    """Whether any member came further."""
    return sum(carry_on(world, group, member) for member in list(group.members.values())) > 0


def _next_due(world: World, group: Group) -> float:
    now = world.clock.now()
    times = [NEVER]
    warmup_s = refreshing.warmup_s(group)
    for member in group.members.values():
        times.extend(a.expires_at for a in member.actions if not a.result)
        if member.lifecycle in {Lifecycle.PENDING, Lifecycle.WARMED_PENDING}:
            times.append(member.ready_at)
        if member.lifecycle is Lifecycle.IN_SERVICE and member.healthy:
            later = (member.in_service_at + group.grace_s, member.in_service_at + warmup_s)
            times.extend(t for t in (*later, scaling.expires_at(group, member)) if t > now)
    if not group.deleting:
        if group.active("Launch") and (group.units < group.desired or group.launch_retry_at > now):
            times.append(max(now, group.launch_retry_at))
        if group.rebalance_at > now:
            times.append(group.rebalance_at)
        times += [
            refreshing.next_due(world, group),
            schedules.next_due(group),
            policies.next_due(world, group),
            group_metrics.next_due(world, group),
            warm_pools.next_due(world, group),
        ]
    times.append(traffic.next_due(world, group))
    return min(times)
