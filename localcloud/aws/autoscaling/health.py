"""Whose machine is well, and, where the group asks for it (`ELB`), whom its load balancers find healthy.

In standby nobody is judged, and while an instance boots its hook judges.
"""

from localcloud.aws.autoscaling import traffic
from localcloud.aws.autoscaling.compute import Condition
from localcloud.aws.autoscaling.lifecycle import WARM_READY, Lifecycle
from localcloud.aws.autoscaling.records import Group
from localcloud.aws.autoscaling.world import World

ELB_CAUSE = "an ELB system health check failure"
CAUSES = {
    Condition.IMPAIRED: "an EC2 instance status checks failure",
    Condition.STOPPED: "an EC2 health check indicating it has been terminated or stopped",
    Condition.GONE: "an EC2 health check indicating it has been terminated or stopped",
}


def judge(world: World, group: Group) -> None:
    """Mark as unhealthy whose machine says so; one that only fails its status checks has its grace period."""
    traffic.judge(world, group)
    if not group.active("HealthCheck"):
        return
    now = world.clock.now()
    for member in group.capacity:
        if not member.healthy or not member.booted:
            continue
        condition = world.compute.condition(member.id)
        graced = member.lifecycle is not Lifecycle.IN_SERVICE or now < member.in_service_at + group.grace_s
        if condition is Condition.OK and not graced and group.elb_health and traffic.fails(world, group, member):
            member.healthy, member.health_cause, member.health_cause_at = False, ELB_CAUSE, now
            world.changed.add(group.name)
        if condition is Condition.OK or (condition is Condition.IMPAIRED and graced):
            continue
        member.healthy, member.health_cause, member.health_cause_at = False, CAUSES[condition], now
        member.dead = condition is not Condition.IMPAIRED
        world.changed.add(group.name)
    for member in group.members.values():
        if member.lifecycle in WARM_READY and member.healthy:
            # A prepared machine is stopped on purpose; only one that is gone is lost.
            member.healthy = world.compute.condition(member.id) is not Condition.GONE
