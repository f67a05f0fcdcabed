"""What sends traffic to groups: target groups, classic load balancers, and both under the name of traffic sources."""

from localcloud.aws.actions.parameters import Action, Answer, Parameters
from localcloud.aws.autoscaling import describe, groups
from localcloud.aws.autoscaling.world import World
from localcloud.aws.errors import ValidationError

KINDS = ("elbv2", "elb")


def attach_target_groups(world: World, p: Parameters) -> Answer:
    """AttachLoadBalancerTargetGroups."""
    groups.attach(world, p["AutoScalingGroupName"], target_groups=p["TargetGroupARNs"])
    return {}


def detach_target_groups(world: World, p: Parameters) -> Answer:
    """DetachLoadBalancerTargetGroups."""
    groups.detach(world, p["AutoScalingGroupName"], target_groups=p["TargetGroupARNs"])
    return {}


def attach_load_balancers(world: World, p: Parameters) -> Answer:
    """AttachLoadBalancers."""
    groups.attach(world, p["AutoScalingGroupName"], load_balancers=p["LoadBalancerNames"])
    return {}


def detach_load_balancers(world: World, p: Parameters) -> Answer:
    """DetachLoadBalancers."""
    groups.detach(world, p["AutoScalingGroupName"], load_balancers=p["LoadBalancerNames"])
    return {}


def attach_traffic(world: World, p: Parameters) -> Answer:
    """AttachTrafficSources."""
    target_groups, load_balancers = _sources(p)
    groups.attach(world, p["AutoScalingGroupName"], target_groups=target_groups, load_balancers=load_balancers)
    return {}


def detach_traffic(world: World, p: Parameters) -> Answer:
    """DetachTrafficSources."""
    target_groups, load_balancers = _sources(p)
    groups.detach(world, p["AutoScalingGroupName"], target_groups=target_groups, load_balancers=load_balancers)
    return {}


def describe_target_groups(world: World, p: Parameters) -> Answer:
    """DescribeLoadBalancerTargetGroups."""
    arns = world.group(p["AutoScalingGroupName"]).target_groups
    page = describe.page(arns, p.get("NextToken"), p.get("MaxRecords"), default=100, most=100)
    states = [{"LoadBalancerTargetGroupARN": arn, "State": "InService"} for arn in page["items"]]
    return {"LoadBalancerTargetGroups": states, "NextToken": page["NextToken"]}


def describe_load_balancers(world: World, p: Parameters) -> Answer:
    """DescribeLoadBalancers."""
    names = world.group(p["AutoScalingGroupName"]).load_balancers
    page = describe.page(names, p.get("NextToken"), p.get("MaxRecords"), default=100, most=100)
    states = [{"LoadBalancerName": name, "State": "InService"} for name in page["items"]]
    return {"LoadBalancers": states, "NextToken": page["NextToken"]}


def describe_traffic(world: World, p: Parameters) -> Answer:
    """DescribeTrafficSources."""
    group, kind = world.group(p["AutoScalingGroupName"]), p.get("TrafficSourceType")
    if kind is not None and kind not in KINDS:
        raise ValidationError(f"TrafficSourceType must be one of {', '.join(KINDS)}: {kind}")
    found = [(arn, "elbv2") for arn in group.target_groups] + [(name, "elb") for name in group.load_balancers]
    found = [one for one in found if kind in {None, one[1]}]
    page = describe.page(found, p.get("NextToken"), p.get("MaxRecords"), default=50, most=50)
    sources = [{"Identifier": one, "Type": of, "State": "InService"} for one, of in page["items"]]
    return {"TrafficSources": sources, "NextToken": page["NextToken"]}


def _sources(p: Parameters) -> tuple[list[str], list[str]]:
    target_groups: list[str] = []
    load_balancers: list[str] = []
    for one in p["TrafficSources"]:
        kind = one.get("Type") or ("elbv2" if one["Identifier"].startswith("arn:") else "elb")
        if kind not in KINDS:
            raise ValidationError(f"The traffic source type {kind} is not offered here: {', '.join(KINDS)}")
        (target_groups if kind == "elbv2" else load_balancers).append(one["Identifier"])
    return target_groups, load_balancers


READS: dict[str, Action] = {
    "DescribeLoadBalancerTargetGroups": describe_target_groups,
    "DescribeLoadBalancers": describe_load_balancers,
    "DescribeTrafficSources": describe_traffic,
}
WRITES: dict[str, Action] = {
    "AttachLoadBalancerTargetGroups": attach_target_groups,
    "AttachLoadBalancers": attach_load_balancers,
    "AttachTrafficSources": attach_traffic,
    "DetachLoadBalancerTargetGroups": detach_target_groups,
    "DetachLoadBalancers": detach_load_balancers,
    "DetachTrafficSources": detach_traffic,
}
