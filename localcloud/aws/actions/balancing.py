"""What sends traffic to groups: target groups, classic load balancers, and both under the name of traffic sources."""

from localcloud.aws.actions.parameters import Action, Answer, Parameters
from localcloud.aws.autoscaling import describe, traffic
from localcloud.aws.autoscaling.world import World
from localcloud.aws.errors import ValidationError

KINDS = ("elbv2", "elb")
ARN_PREFIX = "arn:"


def attach_target_groups(world: World, p: Parameters) -> Answer:
    """AttachLoadBalancerTargetGroups."""
    traffic.attach(world, p["AutoScalingGroupName"], target_groups=p["TargetGroupARNs"])
    return {}


def detach_target_groups(world: World, p: Parameters) -> Answer:
    """DetachLoadBalancerTargetGroups."""
    traffic.detach(world, p["AutoScalingGroupName"], target_groups=p["TargetGroupARNs"])
    return {}


def attach_load_balancers(world: World, p: Parameters) -> Answer:
    """AttachLoadBalancers."""
    traffic.attach(world, p["AutoScalingGroupName"], load_balancers=p["LoadBalancerNames"])
    return {}


def detach_load_balancers(world: World, p: Parameters) -> Answer:
    """DetachLoadBalancers."""
    traffic.detach(world, p["AutoScalingGroupName"], load_balancers=p["LoadBalancerNames"])
    return {}


def attach_traffic(world: World, p: Parameters) -> Answer:
    """AttachTrafficSources."""
    target_groups, load_balancers = _sources(p)
    traffic.attach(world, p["AutoScalingGroupName"], target_groups=target_groups, load_balancers=load_balancers)
    return {}


def detach_traffic(world: World, p: Parameters) -> Answer:
    """DetachTrafficSources."""
    target_groups, load_balancers = _sources(p)
    traffic.detach(world, p["AutoScalingGroupName"], target_groups=target_groups, load_balancers=load_balancers)
    return {}


def describe_target_groups(world: World, p: Parameters) -> Answer:
    """DescribeLoadBalancerTargetGroups."""
    states = traffic.states(world.group(p["AutoScalingGroupName"]))
    arns = [(one, state) for one, state in states.items() if one.startswith(ARN_PREFIX)]
    page = describe.page(arns, p.get("NextToken"), p.get("MaxRecords"), default=100, most=100)
    told = [{"LoadBalancerTargetGroupARN": arn, "State": state} for arn, state in page["items"]]
    return {"LoadBalancerTargetGroups": told, "NextToken": page["NextToken"]}


def describe_load_balancers(world: World, p: Parameters) -> Answer:
    """DescribeLoadBalancers."""
    states = traffic.states(world.group(p["AutoScalingGroupName"]))
    names = [(one, state) for one, state in states.items() if not one.startswith(ARN_PREFIX)]
    page = describe.page(names, p.get("NextToken"), p.get("MaxRecords"), default=100, most=100)
    told = [{"LoadBalancerName": name, "State": state} for name, state in page["items"]]
    return {"LoadBalancers": told, "NextToken": page["NextToken"]}


def describe_traffic(world: World, p: Parameters) -> Answer:
    """DescribeTrafficSources."""
    group, kind = world.group(p["AutoScalingGroupName"]), p.get("TrafficSourceType")
    if kind is not None and kind not in KINDS:
        raise ValidationError(f"TrafficSourceType must be one of {', '.join(KINDS)}: {kind}")
    states = traffic.states(group).items()
    found = [(one, "elbv2" if one.startswith(ARN_PREFIX) else "elb", state) for one, state in states]
    found = [one for one in found if kind in {None, one[1]}]
    page = describe.page(found, p.get("NextToken"), p.get("MaxRecords"), default=50, most=50)
    sources = [{"Identifier": one, "Type": of, "State": state} for one, of, state in page["items"]]
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
