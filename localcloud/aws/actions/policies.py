"""Scaling policies: put, delete, describe, execute."""

from typing import Any

from localcloud.aws.actions.parameters import Action, Answer, Parameters
from localcloud.aws.autoscaling import adjustment, describe, policies
from localcloud.aws.autoscaling.plans import Policy
from localcloud.aws.autoscaling.world import World
from localcloud.aws.errors import ValidationError


def put(world: World, p: Parameters) -> Answer:
    """PutScalingPolicy."""
    policy = policies.put(world, p["AutoScalingGroupName"], p)
    return {"PolicyARN": policy.arn, "Alarms": _alarms(world, policy.alarms)}


def delete(world: World, p: Parameters) -> Answer:
    """DeletePolicy."""
    policies.delete(world, p.get("AutoScalingGroupName"), p["PolicyName"])
    return {}


def execute(world: World, p: Parameters) -> Answer:
    """ExecutePolicy."""
    policies.execute(world, p)
    return {}


def describe_policies(world: World, p: Parameters) -> Answer:
    """DescribePolicies."""
    group_name, names, types = p.get("AutoScalingGroupName"), p.get("PolicyNames"), p.get("PolicyTypes")
    owners = [world.group(group_name)] if group_name else list(world.groups.values())
    if names and not group_name and not all(name.startswith("arn:") for name in names):
        raise ValidationError("PolicyNames need AutoScalingGroupName, unless they are ARNs")
    found = [
        (group.name, one)
        for group in owners
        for one in group.policies.values()
        if (not names or one.name in names or one.arn in names) and (not types or one.type in types)
    ]
    page = describe.page(found, p.get("NextToken"), p.get("MaxRecords"), default=50, most=100)
    told = [_policy(world, name, one) for name, one in page["items"]]
    return {"ScalingPolicies": told, "NextToken": page["NextToken"]}


def adjustment_types(_world: World, _p: Parameters) -> Answer:
    """DescribeAdjustmentTypes."""
    return {"AdjustmentTypes": [{"AdjustmentType": name} for name in adjustment.TYPES]}


def _policy(world: World, group_name: str, one: Policy) -> dict[str, Any]:
    return {
        **one.settings,
        "AutoScalingGroupName": group_name,
        "PolicyName": one.name,
        "PolicyARN": one.arn,
        "PolicyType": one.type,
        "Enabled": one.enabled,
        "Alarms": _alarms(world, one.alarms or world.alarms.names(one.arn)),
    }


def _alarms(world: World, names: list[str]) -> list[dict[str, str]]:
    prefix = f"arn:aws:cloudwatch:{world.region}:{world.account}:alarm:"
    return [{"AlarmName": name, "AlarmARN": prefix + name} for name in names]


READS: dict[str, Action] = {"DescribeAdjustmentTypes": adjustment_types, "DescribePolicies": describe_policies}
WRITES: dict[str, Action] = {"DeletePolicy": delete, "ExecutePolicy": execute, "PutScalingPolicy": put}
