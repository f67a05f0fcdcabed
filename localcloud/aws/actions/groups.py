"""Groups: create, update, delete, describe, size, processes."""

from localcloud.aws.actions.parameters import Action, Answer, Parameters, configuration, hook, tag
from localcloud.aws.autoscaling import describe, groups, tags
from localcloud.aws.autoscaling.world import World
from localcloud.aws.errors import ValidationError

STORED = (
    "PlacementGroup",
    "CapacityRebalance",
    "ServiceLinkedRoleARN",
    "MaxInstanceLifetime",
    "Context",
    "DesiredCapacityType",
    "DefaultInstanceWarmup",
    "InstanceMaintenancePolicy",
    "AvailabilityZoneDistribution",
    "AvailabilityZoneImpairmentPolicy",
    "CapacityReservationSpecification",
    "InstanceLifecyclePolicy",
    "DeletionProtection",
)


NOT_OFFERED = ("LaunchConfigurationName", "InstanceId", "AvailabilityZoneIds")


def _settings(p: Parameters) -> groups.Settings:
    for name in NOT_OFFERED:
        if p.get(name):
            raise ValidationError(f"{name} is not offered here: use a launch template and subnets")
    wanted = configuration(p)
    subnets = p.get("VPCZoneIdentifier")
    return groups.Settings(
        least=p.get("MinSize"),
        most=p.get("MaxSize"),
        desired=p.get("DesiredCapacity"),
        template=wanted.template if wanted else None,
        mixed=wanted.mixed if wanted else None,
        subnets=[s.strip() for s in subnets.split(",") if s.strip()] if subnets is not None else None,
        zones=p.get("AvailabilityZones"),
        cooldown_s=p.get("DefaultCooldown"),
        health_check_type=p.get("HealthCheckType"),
        grace_s=p.get("HealthCheckGracePeriod"),
        protect_new=p.get("NewInstancesProtectedFromScaleIn"),
        termination_policies=p.get("TerminationPolicies"),
        stored={name: p[name] for name in STORED if name in p},
    )


def create_group(world: World, p: Parameters) -> Answer:
    """CreateAutoScalingGroup."""
    new_tags = [tag(t) for t in p.get("Tags", [])]
    tags.check(new_tags)
    groups.create(
        world,
        p["AutoScalingGroupName"],
        _settings(p),
        tags=new_tags,
        first_hooks=[hook(h) for h in p.get("LifecycleHookSpecificationList", [])],
        target_groups=p.get("TargetGroupARNs", []),
        load_balancers=p.get("LoadBalancerNames", []),
    )
    return {}


def update_group(world: World, p: Parameters) -> Answer:
    """UpdateAutoScalingGroup."""
    groups.update(world, p["AutoScalingGroupName"], _settings(p))
    return {}


def delete_group(world: World, p: Parameters) -> Answer:
    """DeleteAutoScalingGroup."""
    groups.delete(world, p["AutoScalingGroupName"], force=p.get("ForceDelete", False))
    return {}


def describe_groups(world: World, p: Parameters) -> Answer:
    """DescribeAutoScalingGroups: unknown names are left out, as AWS does."""
    names, filters = p.get("AutoScalingGroupNames"), p.get("Filters", [])
    found = [world.groups[n] for n in names if n in world.groups] if names else list(world.groups.values())
    if filters:
        found = [g for g in found if tags.matches(g, filters)]
    found.sort(key=lambda g: g.name)
    page = describe.page(found, p.get("NextToken"), p.get("MaxRecords"), default=50, most=100)
    instances = p.get("IncludeInstances", True)
    return {
        "AutoScalingGroups": [describe.group(g, instances=instances) for g in page["items"]],
        "NextToken": page["NextToken"],
    }


def set_desired(world: World, p: Parameters) -> Answer:
    """SetDesiredCapacity."""
    honor = p.get("HonorCooldown", False)
    groups.set_desired(world, p["AutoScalingGroupName"], p["DesiredCapacity"], honor_cooldown=honor)
    return {}


def suspend(world: World, p: Parameters) -> Answer:
    """SuspendProcesses."""
    groups.suspend(world, p["AutoScalingGroupName"], p.get("ScalingProcesses", []))
    return {}


def resume(world: World, p: Parameters) -> Answer:
    """ResumeProcesses."""
    groups.resume(world, p["AutoScalingGroupName"], p.get("ScalingProcesses", []))
    return {}


READS: dict[str, Action] = {
    "DescribeAutoScalingGroups": describe_groups,
}
WRITES: dict[str, Action] = {
    "CreateAutoScalingGroup": create_group,
    "DeleteAutoScalingGroup": delete_group,
    "ResumeProcesses": resume,
    "SetDesiredCapacity": set_desired,
    "SuspendProcesses": suspend,
    "UpdateAutoScalingGroup": update_group,
}
