"""How one more instance comes: from the warm pool if it has one ready, else from EC2; and what a refusal leads to."""

from collections.abc import Sequence

from localcloud.aws.autoscaling import activities, life, mixed, notices
from localcloud.aws.autoscaling.activities import FAILED
from localcloud.aws.autoscaling.compute import LaunchOrder
from localcloud.aws.autoscaling.lifecycle import WARM_READY, Lifecycle
from localcloud.aws.autoscaling.plans import TemplateRef
from localcloud.aws.autoscaling.records import Group, Member
from localcloud.aws.autoscaling.selection import subnet_order
from localcloud.aws.autoscaling.world import World
from localcloud.aws.autoscaling.zones import emptiest
from localcloud.aws.errors import AwsError, LaunchRefused

LAUNCH_RETRY_S_FIRST = 5.0
LAUNCH_RETRY_S_MAX = 300.0
BALANCED_ONLY = "balanced-only"


class Refused(Exception):
    """No zone and no type could be launched; the text says what EC2 answered last."""


def launch(world: World, group: Group) -> bool:
    """Add one instance to the group in the emptiest zone that has room; False when there is none anywhere."""
    now = world.clock.now()
    started = activities.started(now, group.units, group.desired)
    cause = f"{group.request_cause}  {started}".strip()
    if prepared := _prepared(world, group):
        life.out_of_pool(world, group, prepared, cause)
        return True
    try:
        member = order(world, group, group.capacity)
    except Refused as refusal:
        group.launch_failures += 1
        group.launch_retry_at = now + retry_s(group.launch_failures)
        failed(world, group, "Launching a new EC2 instance", cause, str(refusal))
        return False
    group.launch_failures, group.launch_retry_at = 0, 0.0
    activities.begin(world, group, f"Launching a new EC2 instance: {member.id}", cause, member=member)
    return True


def launch_for_balance(world: World, group: Group) -> bool:
    """Add one instance to the emptiest zone, whatever the desired capacity; False when that zone has no room."""
    zones = emptiest(group.zones, group.capacity)
    cause = activities.balancing(world.clock.now(), zones)
    try:
        member = order(world, group, group.capacity, zones=zones)
    except Refused as refusal:
        failed(world, group, "Launching a new EC2 instance", cause, str(refusal))
        return False
    member.balancing = True
    activities.begin(world, group, f"Launching a new EC2 instance: {member.id}", cause, member=member)
    return True


def order(world: World, group: Group, beside: Sequence[Member], *, zones: Sequence[str] | None = None) -> Member:
    """Launch a machine in the zone that has the fewest of `beside`, by the first type that EC2 has; or Refused."""
    places = subnet_order([(s, world.compute.zone_of(s)) for s in group.subnets], beside)
    if (
        zones is None
        and (group.stored.get("AvailabilityZoneDistribution") or {}).get("CapacityDistributionStrategy")
        == BALANCED_ONLY
    ):
        zones = emptiest(group.zones, beside)
    need = mixed.Need(group.configuration, group.capacity, group.desired, world.compute.pool)
    refusal = "The group has no subnet."
    for subnet, zone in places:
        if zones is not None and zone not in zones:
            continue
        for choice in mixed.choices(need, zone):
            try:
                return _order(world, group, choice, subnet, zone)
            except LaunchRefused as error:
                refusal = error.message
            except AwsError as error:  # the template or the subnet is gone
                raise Refused(error.message) from error
    raise Refused(refusal)


def failed(world: World, group: Group, description: str, cause: str, why: str) -> None:
    """An activity that failed as soon as it began."""
    activity = activities.begin(world, group, description, cause)
    activities.finish(world, group, activity, FAILED, f"{why} Launching EC2 instance failed.")
    notices.tell(world, group, notices.LAUNCH_ERROR, activity)


def retry_s(failures: int) -> float:
    """How long to wait after so many failures in a row.

    >>> [retry_s(n) for n in (1, 2, 9)]
    [5.0, 10.0, 300.0]
    """
    return min(LAUNCH_RETRY_S_MAX, LAUNCH_RETRY_S_FIRST * 2.0 ** min(failures - 1, 16))


def _prepared(world: World, group: Group) -> Member | None:
    """A member of the warm pool that can serve now: of the emptiest zone; in a refresh, of the wanted template only."""
    ready = [m for m in group.members.values() if m.lifecycle in WARM_READY and m.healthy]
    if group.refresh:
        template, _ = world.compute.resolve(group.configuration.template)
        ready = [m for m in ready if m.template == template]
    counts = {zone: sum(m.zone == zone for m in group.capacity) for zone in group.zones}
    usable = [m for m in ready if m.zone in counts]
    return min(usable, key=lambda m: (counts[m.zone], m.launched_at, m.id), default=None)


def _order(world: World, group: Group, choice: mixed.Choice, subnet: str, zone: str) -> Member:
    template, instance_type = world.compute.resolve(choice.template)
    tags = {tag.key: tag.value for tag in group.tags.values() if tag.propagate}
    wanted = choice.instance_type or instance_type
    launched = world.compute.launch(
        LaunchOrder(group.name, template, wanted, subnet, zone, tags, choice.spot, choice.spot_max_usd)
    )
    member = Member(
        id=launched.id,
        zone=zone,
        subnet=subnet,
        instance_type=wanted,
        template=TemplateRef(template.id, template.name, template.version),
        launched_at=world.clock.now(),
        ready_at=launched.ready_at,
        lifecycle=Lifecycle.PENDING,
        protected=group.protect_new,
        weight=choice.weight,
        weighted=choice.weighted,
        spot=choice.spot,
    )
    group.members[member.id] = member
    world.owners[member.id] = group.name
    world.changed.add(group.name)
    return member
