"""How a group gets the capacity that it wants: who is replaced and when, what is launched, what is too much."""

from collections.abc import Sequence

from localcloud.aws.autoscaling import activities, launching, refreshing
from localcloud.aws.autoscaling.life import leave
from localcloud.aws.autoscaling.lifecycle import Lifecycle
from localcloud.aws.autoscaling.mixed import Need, places, surplus_is_spot
from localcloud.aws.autoscaling.records import Group, Member
from localcloud.aws.autoscaling.replacement import WHOLE, Cohort, Plan, plan
from localcloud.aws.autoscaling.selection import Choosing, victims
from localcloud.aws.autoscaling.world import World
from localcloud.aws.autoscaling.zones import moves

AHEAD_PERCENT = 10  # what rebalancing may launch above the desired capacity: this share of the maximum, or one
REBALANCE_RETRY_S = 300.0
NO_BOUND = (0, WHOLE)
ALWAYS_AHEAD = (WHOLE, WHOLE + AHEAD_PERCENT)
EXPIRY_BOUNDS = (90, WHOLE)


def scale(world: World, group: Group) -> None:
    """Replace, launch and terminate what is due now."""
    now = world.clock.now()
    cohorts = _cohorts(world, group)
    wanted = Plan(group.desired)
    if cohorts:
        wanted = plan(group.desired, group.capacity, cohorts, lambda m: refreshing.serves(group, m, now))
    if group.active("Terminate"):
        for member, cause in wanted.leaving:
            leave_or_return(world, group, member, cause, may_return=False)
    ahead = sum(m.weight for m in group.capacity if m.balancing)
    missing = wanted.units + ahead - group.units
    if missing > 0:
        _launch_missing(world, group, wanted.units + ahead)
    elif missing < 0 and group.active("Terminate"):
        _shrink(world, group, -missing, cohorts)
    else:
        group.request_cause = "" if missing == 0 else group.request_cause
        if not cohorts and not ahead:
            _even_out(world, group)


def expires_at(group: Group, member: Member) -> float:
    """When a member reaches the maximum instance lifetime; infinity when there is none."""
    lifetime = group.stored.get("MaxInstanceLifetime") or 0
    return member.launched_at + lifetime if lifetime and member.lifecycle is Lifecycle.IN_SERVICE else float("inf")


def leave_or_return(world: World, group: Group, member: Member, cause: str, *, may_return: bool) -> None:
    """Terminate a member, or give it back to a warm pool that uses instances again."""
    pool = group.warm_pool
    leave(world, group, member, cause)
    if may_return and pool and pool.reuse and not pool.deleting and member.in_service_at and member.healthy:
        member.returning = True


def _cohorts(world: World, group: Group) -> list[Cohort]:
    """Who is to be replaced, each member once, the most pressing reason first."""
    now, policy = world.clock.now(), group.maintenance
    found: list[Cohort] = []
    taken: set[str] = set()

    def add(members: Sequence[Member], bounds: tuple[int, int], cause: str) -> None:
        fresh = [m for m in members if m.id not in taken]
        taken.update(m.id for m in fresh)
        if fresh:
            found.append(Cohort(fresh, *bounds, cause))

    if group.active("ReplaceUnhealthy"):
        for member in group.capacity:
            if not member.healthy:
                bounds = NO_BOUND if member.dead or policy is None else policy
                add([member], bounds, activities.unhealthy(now, member.health_cause))
    if not (group.active("Launch") and group.active("Terminate")):
        return found
    if group.stored.get("CapacityRebalance"):
        risky = [m for m in group.capacity if m.spot and world.compute.at_risk(m.id)]
        add(risky, _ahead(policy), activities.unhealthy(now, "an EC2 instance rebalance recommendation"))
    if refresh := refreshing.cohort(world, group):
        add(refresh.members, (refresh.least, refresh.most), refresh.cause)
    expired = [m for m in group.capacity if now >= expires_at(group, m)]
    add(expired, policy or EXPIRY_BOUNDS, activities.unhealthy(now, "an expired maximum instance lifetime"))
    if group.active("AZRebalance"):
        outside = [m for m in group.capacity if m.zone not in group.zones and not m.protected]
        add(outside, _ahead(policy), activities.balancing(now, group.zones))
    return found


def _ahead(policy: tuple[int, int] | None) -> tuple[int, int]:
    """Bounds of those replacements that always launch first."""
    return ALWAYS_AHEAD if policy is None or policy[1] == WHOLE else (WHOLE, policy[1])


def _launch_missing(world: World, group: Group, units: int) -> None:
    if not group.active("Launch") or world.clock.now() < group.launch_retry_at:
        return
    while group.units < units:
        if not launching.launch(world, group):
            return


def _shrink(world: World, group: Group, surplus: int, cohorts: Sequence[Cohort]) -> None:
    """Terminate what is too much: first who is to be replaced anyway, then by the policies."""
    now, have, gone = world.clock.now(), group.units, 0
    by = Choosing(
        group.termination_policies,
        now,
        group.configuration.template.id,
        surplus_is_spot(group.configuration, group.capacity, group.desired),
        places(Need(group.configuration, group.capacity, group.desired, world.compute.pool)),
    )
    due = {m.id for cohort in cohorts for m in cohort.members}
    for candidates in ([m for m in group.capacity if m.id in due], group.capacity):
        left = [m for m in candidates if m.id in group.members and m.counts]
        for member in victims(left, surplus - gone, by):
            gone += member.weight
            cause = activities.shrunk(now, have, have - gone, member.id)
            leave_or_return(world, group, member, f"{group.request_cause}  {cause}".strip(), may_return=True)


def _even_out(world: World, group: Group) -> None:
    """Launch ahead in the zones that have too few; once that serves, there is too much, and the fullest zone gives."""
    now = world.clock.now()
    if not all(group.active(process) for process in ("AZRebalance", "Launch", "Terminate")) or group.refresh:
        return
    wanted = moves(group.zones, group.capacity)
    if not wanted:
        group.rebalance_at = 0.0
        return
    if now < group.rebalance_at or any(m.lifecycle is not Lifecycle.IN_SERVICE for m in group.capacity):
        return
    most = (group.maintenance or ALWAYS_AHEAD)[1] - WHOLE
    limit = max(1, group.max * (most or AHEAD_PERCENT) // WHOLE)
    for _ in range(min(wanted, limit)):
        if not launching.launch_for_balance(world, group):
            group.rebalance_at = now + REBALANCE_RETRY_S
            return
