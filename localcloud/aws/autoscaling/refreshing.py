"""How an instance refresh goes on: who is replaced next, how far it is, where it pauses, and how it ends.

After "How an instance refresh works" in the user guide. An instance counts as updated once its successor is in service
and warmed up. The instances to replace are noted by id when the refresh begins; what scaling launches meanwhile has
the wanted configuration already. A refresh that gets nowhere for an hour fails.
"""

import math

from localcloud.aws.autoscaling import activities
from localcloud.aws.autoscaling.life import leave
from localcloud.aws.autoscaling.lifecycle import WARM_LAUNCHING, WARM_LEAVING, Lifecycle
from localcloud.aws.autoscaling.plans import Configuration, Refresh, RefreshStatus, Rollback
from localcloud.aws.autoscaling.records import Group, Member
from localcloud.aws.autoscaling.replacement import WHOLE, Cohort
from localcloud.aws.autoscaling.world import World
from localcloud.aws.errors import AwsError

S = RefreshStatus
NEVER = float("inf")
STALLED_S_MAX = 3600.0
ALARMS_EVERY_S = 15.0
REPLACING = frozenset({S.IN_PROGRESS, S.ROLLING_BACK})
ALARMED = frozenset({S.PENDING, S.IN_PROGRESS, S.BAKING})


def warmup_s(group: Group) -> float:
    """How long a new instance warms up: as the refresh says while there is one, else the default warm-up."""
    return group.refresh.preferences.warmup_s if group.refresh else group.warmup_s or 0


def serves(group: Group, member: Member, now: float) -> bool:
    """Whether a member is in service, healthy and, if it is new, warmed up."""
    if member.lifecycle is not Lifecycle.IN_SERVICE or not member.healthy:
        return False
    return now >= member.in_service_at + warmup_s(group) or bool(group.refresh and member.id in group.refresh.old)


def advance(world: World, group: Group) -> bool:
    """Carry the refresh of the group on, if it has one; whether it changed."""
    refresh = group.refresh
    if refresh is None:
        return False
    before = (refresh.status, refresh.updated, len(refresh.old), refresh.warm_left, refresh.checkpoints_passed)
    if breached := _breached(world, refresh):
        fail(world, group, refresh, f"CloudWatch alarm {breached} is in the ALARM state.")
    elif refresh.status is S.PENDING and group.active("InstanceRefresh"):
        _begin(world, group, refresh)
    _count(world, group, refresh)
    if refresh.status in REPLACING:
        _go_on(world, group, refresh)
    elif refresh.status is S.BAKING and world.clock.now() >= refresh.bake_until:
        end(world, group, refresh, S.SUCCESSFUL)
    elif refresh.status is S.CANCELLING and not (refresh.wait_for_instances and in_transit(world, group)):
        end(world, group, refresh, S.CANCELLED, refresh.reason)
    after = (refresh.status, refresh.updated, len(refresh.old), refresh.warm_left, refresh.checkpoints_passed)
    if before != after:
        world.changed.add(group.name)
    return before != after


def cohort(world: World, group: Group) -> Cohort | None:
    """Whom the refresh wants to replace now, and within which bounds."""
    refresh, now = group.refresh, world.clock.now()
    if refresh is None or refresh.status not in REPLACING or now < refresh.paused_until:
        return None
    if not group.active("InstanceRefresh"):
        return None
    wanted, old = refresh.preferences, set(refresh.old)
    free = [m for m in group.capacity if m.id in old and (not m.protected or wanted.protected == "Refresh")]
    zones = {zone: sum(m.zone == zone for m in free) for zone in group.zones}
    free.sort(key=lambda m: (m.healthy, -zones.get(m.zone, 0), m.launched_at, m.id))
    what = "a rollback of an instance refresh" if refresh.status is S.ROLLING_BACK else "an instance refresh"
    cause = activities.unhealthy(now, what)
    allowed = free[: max(0, _goal(refresh) - _gone(refresh))]
    return Cohort(allowed, wanted.least, wanted.most, cause) if allowed else None


def matches(world: World, configuration: Configuration, member: Member) -> bool:
    """Whether an instance is as the configuration would launch it."""
    template, instance_type = world.compute.resolve(configuration.template)
    if configuration.mixed is None:
        return (member.template, member.instance_type) == (template, instance_type)
    overrides = (configuration.mixed.get("LaunchTemplate") or {}).get("Overrides") or []
    types = {one["InstanceType"] for one in overrides if "InstanceType" in one} or {instance_type}
    return member.template == template and member.instance_type in types


def roll_back(world: World, group: Group, refresh: Refresh, reason: str) -> None:
    """Replace again what has been replaced, by the configuration that the group has."""
    rollback = Rollback(reason, world.clock.now(), percentage(refresh), to_update(refresh))
    refresh.status, refresh.reason, refresh.paused_until = S.ROLLING_BACK, reason, 0.0
    refresh.old = [m.id for m in group.capacity if not matches(world, refresh.previous, m)]
    rollback.total = len(refresh.old)
    refresh.rollback, refresh.progress_at = rollback, world.clock.now()
    _renew_warm_pool(world, group, refresh, refresh.previous)
    world.touch(group)


def fail(world: World, group: Group, refresh: Refresh, reason: str) -> None:
    """End the refresh as failed, or begin to roll it back when that was asked for."""
    if refresh.status is S.ROLLING_BACK:
        end(world, group, refresh, S.ROLLBACK_FAILED, reason)
    elif refresh.preferences.auto_rollback and refresh.wanted:
        roll_back(world, group, refresh, reason)
    else:
        end(world, group, refresh, S.FAILED, reason)


def end(world: World, group: Group, refresh: Refresh, status: RefreshStatus, reason: str = "") -> None:
    """The refresh is over; a successful one makes the wanted configuration the group's own."""
    refresh.status, refresh.reason, refresh.ended_at = status, reason, world.clock.now()
    refresh.old = []
    if status is S.SUCCESSFUL and refresh.wanted:
        group.template, group.mixed = refresh.wanted.template, refresh.wanted.mixed
    world.touch(group)


def in_transit(world: World, group: Group) -> bool:
    """Whether an instance is being launched, warms up, or is missing."""
    now = world.clock.now()
    return group.units < group.desired or any(m.healthy and not serves(group, m, now) for m in group.capacity)


def percentage(refresh: Refresh) -> int:
    """How much is done; going back to zero while it is rolled back."""
    if refresh.rollback:
        left = len(refresh.old) / refresh.rollback.total if refresh.rollback.total else 0.0
        return math.floor(refresh.rollback.percentage * left)
    return WHOLE if not refresh.total else WHOLE * min(refresh.updated, refresh.total) // refresh.total


def to_update(refresh: Refresh) -> int:
    """How many instances of the group are still to be updated; after a rollback began, as many as there were then."""
    return refresh.rollback.to_update if refresh.rollback else refresh.total - min(refresh.updated, refresh.total)


def next_due(world: World, group: Group) -> float:
    """When the refresh has something to look at."""
    refresh, now = group.refresh, world.clock.now()
    if refresh is None:
        return NEVER
    times = [refresh.paused_until, refresh.bake_until, refresh.progress_at + _patience_s(refresh)]
    if refresh.preferences.alarms and refresh.status in ALARMED:
        times.append(now + ALARMS_EVERY_S)
    return min((t for t in times if t > now), default=NEVER)


def _breached(world: World, refresh: Refresh) -> str:
    if refresh.status not in ALARMED:
        return ""
    return next((name for name in refresh.preferences.alarms if world.alarms.state(name) == "ALARM"), "")


def _begin(world: World, group: Group, refresh: Refresh) -> None:
    wanted, configuration = refresh.preferences, refresh.wanted or refresh.previous
    try:
        candidates = [m for m in group.members.values() if m.counts or m.lifecycle is Lifecycle.STANDBY]
        for member in candidates:
            standing = member.lifecycle is Lifecycle.STANDBY
            ignored = wanted.standby == "Ignore" if standing else member.protected and wanted.protected == "Ignore"
            if not ignored and not (wanted.skip_matching and matches(world, configuration, member)):
                refresh.old.append(member.id)
        _renew_warm_pool(world, group, refresh, configuration)
    except AwsError as error:  # the template is gone
        fail(world, group, refresh, error.message)
        return
    refresh.status, refresh.total, refresh.progress_at = S.IN_PROGRESS, len(refresh.old), world.clock.now()
    if wanted.standby == "Terminate":
        for member in candidates:
            if member.lifecycle is Lifecycle.STANDBY and member.id in refresh.old:
                leave(world, group, member, activities.unhealthy(world.clock.now(), "an instance refresh"))


def _renew_warm_pool(world: World, group: Group, refresh: Refresh, configuration: Configuration) -> None:
    old = [m for m in group.warm if m.lifecycle not in WARM_LEAVING and not matches(world, configuration, m)]
    for member in old:
        leave(world, group, member, activities.unhealthy(world.clock.now(), "an instance refresh"))
    refresh.warm_total = refresh.warm_left = len(old)


def _count(world: World, group: Group, refresh: Refresh) -> None:
    now = world.clock.now()
    refresh.old = [
        i for i in refresh.old if (m := group.members.get(i)) and (m.counts or m.lifecycle is Lifecycle.STANDBY)
    ]
    coming = sum(not serves(group, m, now) for m in group.capacity if m.id not in refresh.old)
    missing = math.ceil(max(0, group.desired - group.units) / max((m.weight for m in group.capacity), default=1))
    rolling_back = refresh.status is S.ROLLING_BACK
    updated = refresh.updated if rolling_back else max(0, _gone(refresh) - coming - missing)
    warm_left = min(refresh.warm_total, sum(m.lifecycle in WARM_LAUNCHING | WARM_LEAVING for m in group.warm))
    if (updated, warm_left) != (refresh.updated, refresh.warm_left):
        refresh.progress_at = now
    refresh.updated, refresh.warm_left = updated, warm_left


def _gone(refresh: Refresh) -> int:
    return (refresh.rollback.total if refresh.rollback else refresh.total) - len(refresh.old)


def _goal(refresh: Refresh) -> int:
    """How many instances may be replaced until the next checkpoint."""
    if refresh.rollback:
        return refresh.rollback.total
    points = refresh.preferences.checkpoints
    share = points[refresh.checkpoints_passed] if refresh.checkpoints_passed < len(points) else WHOLE
    return math.ceil(refresh.total * share / WHOLE)


def _go_on(world: World, group: Group, refresh: Refresh) -> None:
    now = world.clock.now()
    if now < refresh.paused_until:
        refresh.progress_at = now
        return
    quiet = not in_transit(world, group) and not refresh.warm_left
    if refresh.rollback:
        if not refresh.old and quiet:
            end(world, group, refresh, S.ROLLED_BACK, refresh.reason)
            return
    elif refresh.updated >= _goal(refresh) and (quiet or refresh.old):
        _reached(world, group, refresh)
        return
    if now >= refresh.progress_at + _patience_s(refresh):
        fail(world, group, refresh, _stalled(group, refresh))


def _reached(world: World, group: Group, refresh: Refresh) -> None:
    """A checkpoint, or all of it, is done."""
    now, wanted = world.clock.now(), refresh.preferences
    last = refresh.checkpoints_passed >= len(wanted.checkpoints) - 1
    if not last:
        refresh.checkpoints_passed += 1
        refresh.paused_until, refresh.progress_at = now + wanted.checkpoint_delay_s, now
    elif wanted.bake_s:
        refresh.status, refresh.bake_until = S.BAKING, now + wanted.bake_s
    else:
        end(world, group, refresh, S.SUCCESSFUL)


def _patience_s(refresh: Refresh) -> float:
    return STALLED_S_MAX + refresh.preferences.warmup_s


def _stalled(group: Group, refresh: Refresh) -> str:
    old = [group.members[i] for i in refresh.old]
    standing = [m.id for m in old if m.lifecycle is Lifecycle.STANDBY]
    protected = [m.id for m in old if m.protected and refresh.preferences.protected == "Wait"]
    if standing or protected:
        held = f"{', '.join(standing)} in Standby" if standing else f"{', '.join(protected)} protected from scale in"
        return f"The instance refresh waited an hour for instances that it may not replace: {held}."
    return "The instance refresh made no progress for an hour: see the group's scaling activities."
