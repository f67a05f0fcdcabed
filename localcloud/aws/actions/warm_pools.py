"""Warm pools: put, describe, delete."""

from localcloud.aws.actions.parameters import Action, Answer, Parameters
from localcloud.aws.autoscaling import describe, warm_pools
from localcloud.aws.autoscaling.world import World


def put(world: World, p: Parameters) -> Answer:
    """PutWarmPool."""
    warm_pools.put(world, p["AutoScalingGroupName"], p)
    return {}


def delete(world: World, p: Parameters) -> Answer:
    """DeleteWarmPool."""
    warm_pools.delete(world, p["AutoScalingGroupName"], force=p.get("ForceDelete", False))
    return {}


def describe_pool(world: World, p: Parameters) -> Answer:
    """DescribeWarmPool: empty when the group has none."""
    group = world.group(p["AutoScalingGroupName"])
    page = describe.page(group.warm, p.get("NextToken"), p.get("MaxRecords"), default=50, most=50)
    return {
        "WarmPoolConfiguration": describe.warm_pool(group.warm_pool) if group.warm_pool else None,
        "Instances": [describe.member(m) for m in page["items"]],
        "NextToken": page["NextToken"],
    }


READS: dict[str, Action] = {"DescribeWarmPool": describe_pool}
WRITES: dict[str, Action] = {"DeleteWarmPool": delete, "PutWarmPool": put}
