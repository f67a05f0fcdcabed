"""Metrics of groups: which are published."""

from localcloud.aws.actions.parameters import Action, Answer, Parameters
from localcloud.aws.autoscaling import group_metrics
from localcloud.aws.autoscaling.world import World


def enable(world: World, p: Parameters) -> Answer:
    """EnableMetricsCollection."""
    group_metrics.enable(world, p["AutoScalingGroupName"], p.get("Metrics", []), p["Granularity"])
    return {}


def disable(world: World, p: Parameters) -> Answer:
    """DisableMetricsCollection."""
    group_metrics.disable(world, p["AutoScalingGroupName"], p.get("Metrics", []))
    return {}


def collection_types(_world: World, _p: Parameters) -> Answer:
    """DescribeMetricCollectionTypes."""
    return {
        "Metrics": [{"Metric": name} for name in group_metrics.NAMES],
        "Granularities": [{"Granularity": group_metrics.GRANULARITY}],
    }


READS: dict[str, Action] = {"DescribeMetricCollectionTypes": collection_types}
WRITES: dict[str, Action] = {"DisableMetricsCollection": disable, "EnableMetricsCollection": enable}
