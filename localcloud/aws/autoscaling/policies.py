"""Scaling policies: kept, checked, and executed, by a call or by the alarms that name them.

Simple policies wait for the cooldown; step policies and target tracking count what warms up as there already, and do
not scale in meanwhile. Alarms are looked at once a minute.
"""

from collections.abc import Mapping
from typing import Any

from localcloud.aws.autoscaling import activities, adjustment, policy_rules
from localcloud.aws.autoscaling.alarms import AlarmOrder
from localcloud.aws.autoscaling.lifecycle import Lifecycle
from localcloud.aws.autoscaling.plans import Policy
from localcloud.aws.autoscaling.policy_rules import SIMPLE, STEP, TRACKING
from localcloud.aws.autoscaling.records import Group
from localcloud.aws.autoscaling.world import World
from localcloud.aws.errors import AwsError, ValidationError

NEVER = float("inf")
ACTS_EVERY_S = 60.0  # while an alarm stays in ALARM
PER_GROUP_MAX = 50
HIGH_PERIODS, LOW_PERIODS = 3, 15
PREDEFINED = {
    "ASGAverageCPUUtilization": ("AWS/EC2", "CPUUtilization", "AutoScalingGroupName"),
    "ASGAverageNetworkIn": ("AWS/EC2", "NetworkIn", "AutoScalingGroupName"),
    "ASGAverageNetworkOut": ("AWS/EC2", "NetworkOut", "AutoScalingGroupName"),
    "ALBRequestCountPerTarget": ("AWS/ApplicationELB", "RequestCountPerTarget", "TargetGroup"),
}


def put(world: World, group_name: str, given: Mapping[str, Any]) -> Policy:
    """Add a policy or put another in its place; ValidationError, LimitExceeded."""
    group, name = world.group(group_name), str(given["PolicyName"])
    policy_rules.check(given)
    old = group.policies.get(name)
    if old is None and len(group.policies) >= PER_GROUP_MAX:
        raise AwsError("LimitExceeded", f"At most {PER_GROUP_MAX} scaling policies are allowed on {group.name}")
    arn = (
        f"arn:aws:autoscaling:{world.region}:{world.account}:scalingPolicy:{world.new_id()}:"
        f"autoScalingGroupName/{group.name}:policyName/{name}"
    )
    kind = given.get("PolicyType", SIMPLE)
    settings = {key: value for key, value in given.items() if key in policy_rules.SETTINGS}
    policy = Policy(name, old.arn if old else arn, kind, settings, enabled=given.get("Enabled", True))
    if old:
        world.alarms.delete(old.alarms)
    if kind == TRACKING:
        policy.alarms = _track(world, group, policy)
    group.policies[name] = policy
    group.alarms_at = world.clock.now()
    world.touch(group)
    return policy


def delete(world: World, group_name: str | None, name: str) -> None:
    """Remove a policy, with the alarms that it keeps for itself."""
    group, policy = find(world, group_name, name)
    world.alarms.delete(policy.alarms)
    del group.policies[policy.name]
    world.touch(group)


def find(world: World, group_name: str | None, name: str) -> tuple[Group, Policy]:
    """A policy by its name in a group, or by its ARN."""
    groups = [world.group(group_name)] if group_name else list(world.groups.values())
    for group in groups:
        for policy in group.policies.values():
            if policy.arn == name or (group_name and policy.name == name):
                return group, policy
    raise ValidationError(f"PolicyName {name} not found" + (f" in {group_name}" if group_name else ": give its ARN"))


def execute(world: World, given: Mapping[str, Any]) -> None:
    """Do what a simple or step policy says, now."""
    group, policy = find(world, given.get("AutoScalingGroupName"), given["PolicyName"])
    honor = given.get("HonorCooldown", False)
    value, threshold = given.get("MetricValue"), given.get("BreachThreshold")
    if policy.type == TRACKING:
        raise ValidationError(f"The policy {policy.name} tracks a target: only its alarms execute it")
    if policy.type == STEP and (value is None or threshold is None):
        raise ValidationError("MetricValue and BreachThreshold are required to execute a step scaling policy")
    if policy.type == STEP and honor:
        raise ValidationError("HonorCooldown is not valid for a step scaling policy")
    if honor and _cooling(world, group, policy):
        raise activities.in_progress(group)
    difference = None if value is None or threshold is None else float(value) - float(threshold)
    _apply(world, group, policy, _wanted(world, group, policy, difference, value), "")


def run(world: World, group: Group) -> None:
    """Execute the policies whose alarms call for them: when an alarm comes into ALARM, and each minute that it stays there."""
    now = world.clock.now()
    if not group.policies or now < group.alarms_at or not group.active("AlarmNotification"):
        return
    group.alarms_at = now + world.alarms.period_s({policy.arn for policy in group.policies.values()})
    wanted: list[tuple[int, Policy, str]] = []
    for policy in group.policies.values():
        breach = world.alarms.breach(policy.arn) if policy.enabled else None
        if breach is None:
            policy.acted_at = 0.0
            continue
        if now - policy.acted_at < ACTS_EVERY_S or (policy.type == SIMPLE and _cooling(world, group, policy)):
            continue
        if policy.type != SIMPLE and breach.value is None:
            continue
        policy.acted_at = now
        difference = None if breach.value is None else breach.value - breach.threshold
        wanted.append((_wanted(world, group, policy, difference, breach.value), policy, breach.alarm))
    if wanted:  # where policies differ, the one that gives the largest capacity counts
        most, policy, alarm = max(wanted, key=lambda one: one[0])
        _apply(world, group, policy, most, alarm)


def next_due(world: World, group: Group) -> float:
    """When the alarms are looked at again."""
    return max(group.alarms_at, world.clock.now()) if group.policies and group.active("AlarmNotification") else NEVER


def _wanted(world: World, group: Group, policy: Policy, difference: float | None, value: float | None) -> int:
    """The desired capacity that a policy asks for."""
    settings, current = policy.settings, group.desired
    if policy.type == SIMPLE:
        return _adjusted(policy, current, int(settings["ScalingAdjustment"]))
    warming = _warming(world, group, policy)
    if policy.type == STEP:
        amount = adjustment.step_for(settings["StepAdjustments"], difference or 0.0)
        if amount is None:
            return current
        wanted = _adjusted(policy, current - warming if amount > 0 else current, amount)
        grows = wanted > current or amount > 0
        return max(current, wanted) if grows else (current if warming else wanted)
    tracking = settings["TargetTrackingConfiguration"]
    may_shrink = not warming and not tracking.get("DisableScaleIn", False)
    base = max(1, current - warming)
    wanted = adjustment.tracked(base, float(value or 0.0), float(tracking["TargetValue"]), may_shrink=may_shrink)
    return wanted if may_shrink else max(current, wanted)


def _adjusted(policy: Policy, current: int, amount: int) -> int:
    settings = policy.settings
    magnitude = int(settings.get("MinAdjustmentMagnitude") or settings.get("MinAdjustmentStep") or 0)
    return adjustment.adjusted(current, settings["AdjustmentType"], amount, magnitude)


def _apply(world: World, group: Group, policy: Policy, wanted: int, alarm: str) -> None:
    was, to = group.desired, min(max(wanted, group.min), group.max)
    if to == was:
        return
    group.desired = to
    group.request_cause = activities.policy_executed(world.clock.now(), policy.name, alarm, was, to)
    group.launch_failures, group.launch_retry_at = 0, 0.0
    world.touch(group)


def _cooling(world: World, group: Group, policy: Policy) -> bool:
    """Whether a simple policy has to wait: for a scaling activity, or for the cooldown after the last one."""
    cooldown_s = policy.settings.get("Cooldown", group.cooldown_s)
    running = any(activity.running for activity in group.activities)
    return running or (group.scaled_at > 0 and world.clock.now() < group.scaled_at + cooldown_s)


def _warming(world: World, group: Group, policy: Policy) -> int:
    """Units that are being launched or warm up."""
    default_s = group.cooldown_s if group.warmup_s is None else group.warmup_s
    warmup_s = policy.settings.get("EstimatedInstanceWarmup", default_s)
    now = world.clock.now()
    return sum(
        m.weight for m in group.capacity if m.lifecycle is not Lifecycle.IN_SERVICE or now < m.in_service_at + warmup_s
    )


def _track(world: World, group: Group, policy: Policy) -> list[str]:
    """The two alarms of target tracking: above the target for three minutes, well below it for fifteen."""
    tracking = policy.settings["TargetTrackingConfiguration"]
    target = float(tracking["TargetValue"])
    queries = tuple((tracking.get("CustomizedMetricSpecification") or {}).get("Metrics") or ())
    namespace, metric, dimensions, statistic = ("", "", (), "") if queries else _metric(group, tracking)
    names = []
    for word, operator, threshold, periods in (
        ("High", "GreaterThanThreshold", target, HIGH_PERIODS),
        ("Low", "LessThanThreshold", target * adjustment.SCALE_IN_SHARE, LOW_PERIODS),
    ):
        if word == "Low" and tracking.get("DisableScaleIn", False):
            continue
        name = f"TargetTracking-{group.name}-Alarm{word}-{world.new_id()}"
        world.alarms.put(
            AlarmOrder(
                name, namespace, metric, dimensions, statistic, operator, threshold, periods, policy.arn, queries
            )
        )
        names.append(name)
    return names


def _metric(group: Group, tracking: Mapping[str, Any]) -> tuple[str, str, tuple[tuple[str, str], ...], str]:
    predefined = tracking.get("PredefinedMetricSpecification")
    if predefined:
        namespace, metric, dimension = PREDEFINED[predefined["PredefinedMetricType"]]
        value = predefined.get("ResourceLabel", "") if dimension == "TargetGroup" else group.name
        return namespace, metric, ((dimension, value),), "Average"
    own = tracking["CustomizedMetricSpecification"]
    dimensions = tuple((one["Name"], one["Value"]) for one in own.get("Dimensions", []))
    return own["Namespace"], own["MetricName"], dimensions, own["Statistic"]
