"""Target groups of groups."""

from localcloud.aws.actions.parameters import Action, Answer, Parameters
from localcloud.aws.autoscaling import describe, groups
from localcloud.aws.autoscaling.world import World


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
    "DescribeLoadBalancerTargetGroups": describe_target_groups,
}
WRITES: dict[str, Action] = {
    "AttachLoadBalancerTargetGroups": attach_target_groups,
    "DetachLoadBalancerTargetGroups": detach_target_groups,
}
