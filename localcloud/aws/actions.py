"""Auto Scaling's actions: one function each, from parsed parameters to the answer's shape. The table is at the end.

They translate, and decide nothing: what is allowed and what follows is in `autoscaling/`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from localcloud.aws.autoscaling import describe, groups, hooks, members, tags, validation
from localcloud.aws.autoscaling.records import Activity, Group, Hook, Tag, TemplateRef
from localcloud.aws.autoscaling.selection import POLICIES
from localcloud.aws.autoscaling.world import World
from localcloud.aws.errors import AwsError, ValidationError

Parameters = Mapping[str, Any]
Answer = dict[str, Any]
Action = Callable[[World, Parameters], Answer]

# Settings that are kept and returned as they were given.
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
NOT_OFFERED = ("LaunchConfigurationName", "InstanceId", "LoadBalancerNames", "AvailabilityZoneIds")
RESOURCE_TYPE = "auto-scaling-group"


def _template(spec: Parameters | None) -> TemplateRef | None:
    if not spec:
        return None
    template_id, name = spec.get("LaunchTemplateId", ""), spec.get("LaunchTemplateName", "")
    if bool(template_id) == bool(name):
        raise ValidationError(
            "Valid requests must contain either launchTemplateId or LaunchTemplateName, and not both of them"
        )
    return TemplateRef(template_id, name, spec.get("Version", "$Default"))


def _settings(p: Parameters) -> groups.Settings:
    for name in NOT_OFFERED:
        if p.get(name):
            raise ValidationError(f"{name} is not offered here: use a launch template, subnets and target groups")
    mixed = p.get("MixedInstancesPolicy")
    template = _template(p.get("LaunchTemplate"))
    if mixed and template:
        raise ValidationError("Valid requests contain either LaunchTemplate or MixedInstancesPolicy, not both of them")
    if mixed:
        template = _template((mixed.get("LaunchTemplate") or {}).get("LaunchTemplateSpecification"))
        if template is None:
            raise ValidationError("MixedInstancesPolicy needs LaunchTemplate.LaunchTemplateSpecification")
    subnets = p.get("VPCZoneIdentifier")
    return groups.Settings(
        least=p.get("MinSize"),
        most=p.get("MaxSize"),
        desired=p.get("DesiredCapacity"),
        template=template,
        mixed=mixed,
        subnets=[s.strip() for s in subnets.split(",") if s.strip()] if subnets is not None else None,
        zones=p.get("AvailabilityZones"),
        cooldown_s=p.get("DefaultCooldown"),
        health_check_type=p.get("HealthCheckType"),
        grace_s=p.get("HealthCheckGracePeriod"),
        protect_new=p.get("NewInstancesProtectedFromScaleIn"),
        termination_policies=p.get("TerminationPolicies"),
        stored={name: p[name] for name in STORED if name in p},
    )


def _tag(plain: Parameters) -> Tag:
    return Tag(plain.get("Key", ""), plain.get("Value", ""), plain.get("PropagateAtLaunch", False))


def _hook(plain: Parameters) -> Hook:
    hook = Hook(plain.get("LifecycleHookName", ""), plain.get("LifecycleTransition", ""))
    hook.timeout_s = plain.get("HeartbeatTimeout", hook.timeout_s)
    hook.default_result = plain.get("DefaultResult", hook.default_result)
    hook.target = plain.get("NotificationTargetARN", "")
    hook.role = plain.get("RoleARN", "")
    hook.metadata = plain.get("NotificationMetadata", "")
    return hook


HOOK_FIELDS = {
    "LifecycleTransition": "transition",
    "HeartbeatTimeout": "timeout_s",
    "DefaultResult": "default_result",
    "NotificationTargetARN": "target",
    "RoleARN": "role",
    "NotificationMetadata": "metadata",
}


def create_group(world: World, p: Parameters) -> Answer:
    """CreateAutoScalingGroup."""
    new_tags = [_tag(t) for t in p.get("Tags", [])]
    tags.check(new_tags)
    groups.create(
        world,
        p["AutoScalingGroupName"],
        _settings(p),
        tags=new_tags,
        first_hooks=[_hook(h) for h in p.get("LifecycleHookSpecificationList", [])],
        target_groups=p.get("TargetGroupARNs", []),
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


def terminate_instance(world: World, p: Parameters) -> Answer:
    """TerminateInstanceInAutoScalingGroup."""
    instance_id = p["InstanceId"]
    group, _ = world.member(instance_id)
    activity = members.terminate(world, instance_id, decrement=p["ShouldDecrementDesiredCapacity"])
    return {"Activity": describe.activity(group, activity)}


def describe_instances(world: World, p: Parameters) -> Answer:
    """DescribeAutoScalingInstances."""
    ids = p.get("InstanceIds")
    pairs = [(g.name, m) for g in world.groups.values() for m in g.members.values() if not ids or m.id in ids]
    page = describe.page(pairs, p.get("NextToken"), p.get("MaxRecords"), default=50, most=50)
    details = [describe.instance(name, m) for name, m in page["items"]]
    return {"AutoScalingInstances": details, "NextToken": page["NextToken"]}


def describe_activities(world: World, p: Parameters) -> Answer:
    """DescribeScalingActivities: newest first."""
    name, ids = p.get("AutoScalingGroupName"), p.get("ActivityIds")
    owners = [world.group(name)] if name else list(world.groups.values())
    found: list[tuple[Group, Activity]] = [(g, a) for g in owners for a in g.activities if not ids or a.id in ids]
    found.reverse()
    found.sort(key=lambda pair: -pair[1].started_at)
    page = describe.page(found, p.get("NextToken"), p.get("MaxRecords"), default=100, most=100)
    return {"Activities": [describe.activity(g, a) for g, a in page["items"]], "NextToken": page["NextToken"]}


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


def detach_instances(world: World, p: Parameters) -> Answer:
    """DetachInstances."""
    ids, decrement = p.get("InstanceIds", []), p["ShouldDecrementDesiredCapacity"]
    return _activities(world, p, members.detach(world, p["AutoScalingGroupName"], ids, decrement=decrement))


def put_hook(world: World, p: Parameters) -> Answer:
    """PutLifecycleHook."""
    given = frozenset(field for name, field in HOOK_FIELDS.items() if name in p)
    hooks.put(world, world.group(p["AutoScalingGroupName"]), _hook(p), given=given)
    return {}


def delete_hook(world: World, p: Parameters) -> Answer:
    """DeleteLifecycleHook."""
    hooks.delete(world, world.group(p["AutoScalingGroupName"]), p["LifecycleHookName"])
    return {}


def describe_hooks(world: World, p: Parameters) -> Answer:
    """DescribeLifecycleHooks."""
    group, names = world.group(p["AutoScalingGroupName"]), p.get("LifecycleHookNames")
    found = [h for h in group.hooks.values() if not names or h.name in names]
    return {"LifecycleHooks": [describe.hook(group.name, h) for h in found]}


def complete_action(world: World, p: Parameters) -> Answer:
    """CompleteLifecycleAction."""
    hooks.complete(
        world,
        world.group(p["AutoScalingGroupName"]),
        p["LifecycleHookName"],
        instance_id=p.get("InstanceId", ""),
        token=p.get("LifecycleActionToken", ""),
        result=p["LifecycleActionResult"],
    )
    return {}


def record_heartbeat(world: World, p: Parameters) -> Answer:
    """RecordLifecycleActionHeartbeat."""
    group, token = world.group(p["AutoScalingGroupName"]), p.get("LifecycleActionToken", "")
    hooks.heartbeat(world, group, p["LifecycleHookName"], instance_id=p.get("InstanceId", ""), token=token)
    return {}


def hook_types(_world: World, _p: Parameters) -> Answer:
    """DescribeLifecycleHookTypes."""
    return {"LifecycleHookTypes": [hooks.LAUNCHING, hooks.TERMINATING]}


def process_types(_world: World, _p: Parameters) -> Answer:
    """DescribeScalingProcessTypes."""
    return {"Processes": [{"ProcessName": name} for name in validation.PROCESSES]}


def policy_types(_world: World, _p: Parameters) -> Answer:
    """DescribeTerminationPolicyTypes."""
    return {"TerminationPolicyTypes": list(POLICIES)}


def account_limits(world: World, _p: Parameters) -> Answer:
    """DescribeAccountLimits."""
    return {
        "MaxNumberOfAutoScalingGroups": world.quotas.groups,
        "MaxNumberOfLaunchConfigurations": 0,
        "NumberOfAutoScalingGroups": len(world.groups),
        "NumberOfLaunchConfigurations": 0,
    }


def suspend(world: World, p: Parameters) -> Answer:
    """SuspendProcesses."""
    groups.suspend(world, p["AutoScalingGroupName"], p.get("ScalingProcesses", []))
    return {}


def resume(world: World, p: Parameters) -> Answer:
    """ResumeProcesses."""
    groups.resume(world, p["AutoScalingGroupName"], p.get("ScalingProcesses", []))
    return {}


def _owner(tag: Parameters) -> str:
    if tag.get("ResourceType", RESOURCE_TYPE) != RESOURCE_TYPE:
        raise ValidationError(f"Invalid resource type {tag['ResourceType']}: {RESOURCE_TYPE}")
    return str(tag.get("ResourceId", ""))


def put_tags(world: World, p: Parameters) -> Answer:
    """CreateOrUpdateTags."""
    tags.put(world, [(_owner(t), _tag(t)) for t in p["Tags"]])
    return {}


def delete_tags(world: World, p: Parameters) -> Answer:
    """DeleteTags."""
    tags.delete(world, [(_owner(t), t.get("Key", "")) for t in p["Tags"]])
    return {}


TAG_FILTERS: dict[str, Callable[[Group, Tag], str]] = {
    "auto-scaling-group": lambda group, _tag: group.name,
    "key": lambda _group, tag: tag.key,
    "value": lambda _group, tag: tag.value,
    "propagate-at-launch": lambda _group, tag: str(tag.propagate).lower(),
}


def describe_tags(world: World, p: Parameters) -> Answer:
    """DescribeTags."""
    found = [(g, t) for g in world.groups.values() for t in g.tags.values()]
    for one in p.get("Filters", []):
        read = TAG_FILTERS.get(one.get("Name", ""))
        if read is None:
            raise ValidationError(f"Filter type {one.get('Name')} is not correct. Allowed: {', '.join(TAG_FILTERS)}")
        found = [(g, t) for g, t in found if read(g, t) in one.get("Values", [])]
    page = describe.page(found, p.get("NextToken"), p.get("MaxRecords"), default=50, most=100)
    return {"Tags": [describe.tag(g.name, t) for g, t in page["items"]], "NextToken": page["NextToken"]}


def attach_target_groups(world: World, p: Parameters) -> Answer:
    """AttachLoadBalancerTargetGroups."""
    groups.set_target_groups(world, p["AutoScalingGroupName"], add=p["TargetGroupARNs"])
    return {}


def detach_target_groups(world: World, p: Parameters) -> Answer:
    """DetachLoadBalancerTargetGroups."""
    groups.set_target_groups(world, p["AutoScalingGroupName"], remove=p["TargetGroupARNs"])
    return {}


def describe_target_groups(world: World, p: Parameters) -> Answer:
    """DescribeLoadBalancerTargetGroups."""
    arns = world.group(p["AutoScalingGroupName"]).target_groups
    states = [{"LoadBalancerTargetGroupARN": arn, "State": "InService"} for arn in arns]
    page = describe.page(states, p.get("NextToken"), p.get("MaxRecords"), default=100, most=100)
    return {"LoadBalancerTargetGroups": page["items"], "NextToken": page["NextToken"]}


READS: dict[str, Action] = {
    "DescribeAccountLimits": account_limits,
    "DescribeAutoScalingGroups": describe_groups,
    "DescribeAutoScalingInstances": describe_instances,
    "DescribeLifecycleHooks": describe_hooks,
    "DescribeLifecycleHookTypes": hook_types,
    "DescribeLoadBalancerTargetGroups": describe_target_groups,
    "DescribeScalingActivities": describe_activities,
    "DescribeScalingProcessTypes": process_types,
    "DescribeTags": describe_tags,
    "DescribeTerminationPolicyTypes": policy_types,
}
WRITES: dict[str, Action] = {
    "AttachLoadBalancerTargetGroups": attach_target_groups,
    "CompleteLifecycleAction": complete_action,
    "CreateAutoScalingGroup": create_group,
    "CreateOrUpdateTags": put_tags,
    "DeleteAutoScalingGroup": delete_group,
    "DeleteLifecycleHook": delete_hook,
    "DeleteTags": delete_tags,
    "DetachInstances": detach_instances,
    "DetachLoadBalancerTargetGroups": detach_target_groups,
    "EnterStandby": enter_standby,
    "ExitStandby": exit_standby,
    "PutLifecycleHook": put_hook,
    "RecordLifecycleActionHeartbeat": record_heartbeat,
    "ResumeProcesses": resume,
    "SetDesiredCapacity": set_desired,
    "SetInstanceHealth": set_health,
    "SetInstanceProtection": set_protection,
    "SuspendProcesses": suspend,
    "TerminateInstanceInAutoScalingGroup": terminate_instance,
    "UpdateAutoScalingGroup": update_group,
}


def find(action: str, *, known: bool) -> Action:
    """The function of an action; `known`: whether AWS has it at all. AwsError when it can not be done here."""
    found = READS.get(action) or WRITES.get(action)
    if found:
        return found
    if known:
        raise AwsError("InvalidAction", f"{action} is an action of Auto Scaling that this stand-in does not offer yet.")
    raise AwsError("InvalidAction", f"The action {action or '(none)'} is not valid for this web service.")
