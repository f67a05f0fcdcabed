"""Warm pools: machines that are launched and prepared ahead of need, and wait stopped, hibernated or running.

After "Warm pools" in the user guide. The pool holds as many as the prepared maximum (the group's maximum unless set)
exceeds the desired capacity, and at least its minimum. The group takes from it before it launches (`launching`), and
gives back to it on scale-in where the reuse policy says so (`scaling`).
"""

from collections.abc import Mapping
from typing import Any

from localcloud.aws.autoscaling import activities, launching
from localcloud.aws.autoscaling.life import leave
from localcloud.aws.autoscaling.lifecycle import WARM_LEAVING, Lifecycle
from localcloud.aws.autoscaling.plans import WarmPool
from localcloud.aws.autoscaling.records import Group, Member
from localcloud.aws.autoscaling.selection import Choosing, victims
from localcloud.aws.autoscaling.world import World
from localcloud.aws.errors import AwsError, ValidationError

NEVER = float("inf")
STATES = ("Stopped", "Running", "Hibernated")
UNSET = -1


def put(world: World, name: str, given: Mapping[str, Any]) -> None:
    """Add a warm pool to a group or change what is given of it."""
    group = world.group(name)
    old = group.warm_pool or WarmPool()
    if old.deleting:
        raise ValidationError(f"The warm pool of {name} is being deleted: wait until it is gone")
    state, least = given.get("PoolState", old.state), given.get("MinSize", old.min)
    prepared = given.get("MaxGroupPreparedCapacity", old.prepared_max)
    if state not in STATES:
        raise ValidationError(f"PoolState must be one of {', '.join(STATES)}: {state}")
    if least < 0:
        raise ValidationError(f"MinSize must not be negative: {least}")
    if prepared is not None and prepared < UNSET:
        raise ValidationError(f"MaxGroupPreparedCapacity must be {UNSET} (unset) or more: {prepared}")
    check_mixed(group.mixed)
    reuse = (given.get("InstanceReusePolicy") or {}).get("ReuseOnScaleIn", old.reuse)
    prepared = None if prepared == UNSET else prepared
    if prepared is not None and least > prepared:
        raise ValidationError(f"MinSize {least} must not exceed MaxGroupPreparedCapacity {prepared}")
    group.warm_pool = WarmPool(state=state, min=least, prepared_max=prepared, reuse=reuse)
    world.touch(group)


def delete(world: World, name: str, *, force: bool) -> None:
    """Remove the warm pool; its instances are terminated, without their hooks when forced."""
    group = world.group(name)
    if group.warm_pool is None:
        raise ValidationError(f"There is no warm pool on the Auto Scaling group {name}")
    if group.warm and not force:
        raise AwsError(
            "ResourceInUse", f"The warm pool of {name} has instances: set its sizes to 0 first, or delete it by force"
        )
    group.warm_pool.deleting = True
    world.touch(group)


def check_mixed(mixed: Mapping[str, Any] | None) -> None:
    """ValidationError for a policy that can not have a warm pool: spot instances or weights."""
    if mixed is None:
        return
    above = (mixed.get("InstancesDistribution") or {}).get("OnDemandPercentageAboveBaseCapacity", 100)
    overrides = (mixed.get("LaunchTemplate") or {}).get("Overrides") or []
    if above != 100 or any("WeightedCapacity" in one for one in overrides):  # noqa: PLR2004  percent
        raise ValidationError("A warm pool can not be had with Spot Instances or weighted capacity")


def size(group: Group) -> int:
    """How many instances the pool wants.

    It is 0 while there is no pool, or when it is being deleted.
    """
    pool = group.warm_pool
    if pool is None or pool.deleting:
        return 0
    prepared = group.max if pool.prepared_max is None else pool.prepared_max
    return max(pool.min, prepared - group.desired, 0)


def fill(world: World, group: Group) -> None:
    """Launch what the pool lacks, terminate what it has too much or what is lost."""
    pool = group.warm_pool
    if pool is None:
        return
    now = world.clock.now()
    if pool.deleting and not group.warm:
        group.warm_pool = None
        world.changed.add(group.name)
        return
    for member in group.warm:
        if not member.healthy and member.lifecycle not in WARM_LEAVING and group.active("Terminate"):
            leave(world, group, member, activities.unhealthy(now, "an EC2 health check"))
    have = _living(group)
    missing = size(group) - len(have)
    if missing < 0 and group.active("Terminate"):
        _shrink(world, group, -missing)
    elif missing > 0 and group.active("Launch") and now >= pool.launch_retry_at:
        for _ in range(missing):
            if not _launch(world, group, pool):
                return


def next_due(world: World, group: Group) -> float:
    """When the pool has something to do: only a launch that was refused waits for a time."""
    pool = group.warm_pool
    if pool is None or not group.active("Launch") or size(group) <= len(_living(group)):
        return NEVER
    return max(world.clock.now(), pool.launch_retry_at)


def _living(group: Group) -> list[Member]:
    """What is in the pool or on the way to it."""
    return [m for m in group.members.values() if m.returning or (m.warm and m.lifecycle not in WARM_LEAVING)]


def _shrink(world: World, group: Group, surplus: int) -> None:
    now, deleting = world.clock.now(), group.warm_pool is not None and group.warm_pool.deleting
    settled = [m for m in _living(group) if m.warm]
    by = Choosing(group.termination_policies, now, group.template.id)
    for member in settled if deleting else victims(settled, surplus, by):
        cause = activities.shrunk(now, len(settled), len(settled) - surplus, member.id)
        leave(world, group, member, cause, skip_hooks=deleting)


def _launch(world: World, group: Group, pool: WarmPool) -> bool:
    now, have = world.clock.now(), len(_living(group))
    cause = activities.started(now, have, size(group))
    try:
        member = launching.order(world, group, [*group.capacity, *_living(group)])
    except launching.Refused as refusal:
        pool.launch_failures += 1
        pool.launch_retry_at = now + launching.retry_s(pool.launch_failures)
        launching.failed(world, group, "Launching a new EC2 instance into warm pool", cause, str(refusal))
        return False
    member.lifecycle, member.protected = Lifecycle.WARMED_PENDING, False
    pool.launch_failures, pool.launch_retry_at = 0, 0.0
    description = f"Launching a new EC2 instance into warm pool: {member.id}"
    activities.begin(world, group, description, cause, member=member)
    return True
