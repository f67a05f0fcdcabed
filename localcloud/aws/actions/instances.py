"""Instances of groups: list, terminate, health, protection, standby, detach; and the activities."""

from collections.abc import Sequence

from localcloud.aws.actions.parameters import Action, Answer, Parameters
from localcloud.aws.autoscaling import describe, members
from localcloud.aws.autoscaling.records import Activity, Group
from localcloud.aws.autoscaling.world import World


def describe_instances(world: World, p: Parameters) -> Answer:
    """DescribeAutoScalingInstances."""
    ids = p.get("InstanceIds")
    pairs = [(g.name, m) for g in world.groups.values() for m in g.members.values() if not ids or m.id in ids]
    page = describe.page(pairs, p.get("NextToken"), p.get("MaxRecords"), default=50, most=50)
    details = [describe.instance(name, m) for name, m in page["items"]]
    return {"AutoScalingInstances": details, "NextToken": page["NextToken"]}


def terminate_instance(world: World, p: Parameters) -> Answer:
    """TerminateInstanceInAutoScalingGroup."""
    instance_id = p["InstanceId"]
    group, _ = world.member(instance_id)
    activity = members.terminate(world, instance_id, decrement=p["ShouldDecrementDesiredCapacity"])
    return {"Activity": describe.activity(group, activity)}


def set_health(world: World, p: Parameters) -> Answer:
    """SetInstanceHealth."""
    respect = p.get("ShouldRespectGracePeriod", True)
    members.set_health(world, p["InstanceId"], p["HealthStatus"], respect_grace=respect)
    return {}


def set_protection(world: World, p: Parameters) -> Answer:
    """SetInstanceProtection."""
    members.protect(world, p["AutoScalingGroupName"], p["InstanceIds"], protected=p["ProtectedFromScaleIn"])
    return {}


def _activities(world: World, p: Parameters, begun: Sequence[Activity]) -> Answer:
    group = world.group(p["AutoScalingGroupName"])
    return {"Activities": [describe.activity(group, a) for a in begun]}


def enter_standby(world: World, p: Parameters) -> Answer:
    """EnterStandby."""
    ids, decrement = p.get("InstanceIds", []), p["ShouldDecrementDesiredCapacity"]
    return _activities(world, p, members.enter_standby(world, p["AutoScalingGroupName"], ids, decrement=decrement))


def exit_standby(world: World, p: Parameters) -> Answer:
    """ExitStandby."""
    return _activities(world, p, members.exit_standby(world, p["AutoScalingGroupName"], p.get("InstanceIds", [])))


def attach_instances(world: World, p: Parameters) -> Answer:
    """AttachInstances."""
    members.attach(world, p["AutoScalingGroupName"], p.get("InstanceIds", []))
    return {}


def detach_instances(world: World, p: Parameters) -> Answer:
    """DetachInstances."""
    ids, decrement = p.get("InstanceIds", []), p["ShouldDecrementDesiredCapacity"]
    return _activities(world, p, members.detach(world, p["AutoScalingGroupName"], ids, decrement=decrement))


def describe_activities(world: World, p: Parameters) -> Answer:
    """DescribeScalingActivities: newest first."""
    name, ids = p.get("AutoScalingGroupName"), p.get("ActivityIds")
    gone = list(world.deleted.values()) if p.get("IncludeDeletedGroups", False) else []
    owners = [g for g in [*gone, *world.groups.values()] if name in {None, g.name, g.arn}]
    if name and not owners:
        world.group(name)
    found: list[tuple[Group, Activity]] = [(g, a) for g in owners for a in g.activities if not ids or a.id in ids]
    found.reverse()
    found.sort(key=lambda pair: -pair[1].started_at)
    page = describe.page(found, p.get("NextToken"), p.get("MaxRecords"), default=100, most=100)
    return {"Activities": [describe.activity(g, a) for g, a in page["items"]], "NextToken": page["NextToken"]}


READS: dict[str, Action] = {
    "DescribeAutoScalingInstances": describe_instances,
    "DescribeScalingActivities": describe_activities,
}
WRITES: dict[str, Action] = {
    "AttachInstances": attach_instances,
    "DetachInstances": detach_instances,
    "EnterStandby": enter_standby,
    "ExitStandby": exit_standby,
    "SetInstanceHealth": set_health,
    "SetInstanceProtection": set_protection,
    "TerminateInstanceInAutoScalingGroup": terminate_instance,
}
