"""Metrics of a group, published once a minute for whoever has asked for them.

After "Amazon CloudWatch metrics for Amazon EC2 Auto Scaling": instances are counted, capacities are in units (weights).
"""

from collections.abc import Sequence

from localcloud.aws.autoscaling import warm_pools
from localcloud.aws.autoscaling.lifecycle import LAUNCHING, LEAVING, WARM_LAUNCHING, WARM_LEAVING, WARM_READY, Lifecycle
from localcloud.aws.autoscaling.records import Group
from localcloud.aws.autoscaling.world import World
from localcloud.aws.errors import ValidationError

NEVER = float("inf")
EVERY_S = 60.0
GRANULARITY = "1Minute"
NAMES = (
    "GroupMinSize",
    "GroupMaxSize",
    "GroupDesiredCapacity",
    "GroupInServiceInstances",
    "GroupPendingInstances",
    "GroupStandbyInstances",
    "GroupTerminatingInstances",
    "GroupTotalInstances",
    "GroupInServiceCapacity",
    "GroupPendingCapacity",
    "GroupStandbyCapacity",
    "GroupTerminatingCapacity",
    "GroupTotalCapacity",
    "WarmPoolMinSize",
    "WarmPoolDesiredCapacity",
    "WarmPoolPendingCapacity",
    "WarmPoolTerminatingCapacity",
    "WarmPoolWarmedCapacity",
    "WarmPoolTotalCapacity",
    "GroupAndWarmPoolDesiredCapacity",
    "GroupAndWarmPoolTotalCapacity",
)
LIVE = {
    "InService": frozenset({Lifecycle.IN_SERVICE}),
    "Pending": LAUNCHING,
    "Standby": frozenset({Lifecycle.STANDBY}),
    "Terminating": LEAVING,
}
WARM = {"Pending": WARM_LAUNCHING, "Terminating": WARM_LEAVING, "Warmed": WARM_READY}


def enable(world: World, name: str, metrics: Sequence[str], granularity: str) -> None:
    """Publish these metrics, or all when none is named; ValidationError."""
    group = world.group(name)
    if granularity != GRANULARITY:
        raise ValidationError(f"Granularity must be {GRANULARITY}: {granularity}")
    wanted = {*group.metrics, *_known(metrics)}
    group.metrics = [one for one in NAMES if one in wanted]
    group.metrics_at = world.clock.now()
    world.touch(group)


def disable(world: World, name: str, metrics: Sequence[str]) -> None:
    """Publish these metrics no more, or none when none is named; ValidationError."""
    group = world.group(name)
    unwanted = _known(metrics)
    group.metrics = [one for one in group.metrics if one not in unwanted]
    world.touch(group)


def run(world: World, group: Group) -> None:
    """Publish what is due."""
    now = world.clock.now()
    if not group.metrics or now < group.metrics_at:
        return
    group.metrics_at = now + EVERY_S
    known = values(group)
    world.alarms.measure(group.name, {name: float(known[name]) for name in group.metrics})


def next_due(world: World, group: Group) -> float:
    """When it publishes next."""
    return max(group.metrics_at, world.clock.now()) if group.metrics else NEVER


def values(group: Group) -> dict[str, int]:
    """All metrics of a group as they are now."""
    members, pool = list(group.members.values()), warm_pools.size(group)
    found = {"GroupMinSize": group.min, "GroupMaxSize": group.max, "GroupDesiredCapacity": group.desired}
    for word, states in LIVE.items():
        chosen = [m for m in members if m.lifecycle in states]
        found[f"Group{word}Instances"] = len(chosen)
        found[f"Group{word}Capacity"] = sum(m.weight for m in chosen)
    for word in ("Instances", "Capacity"):
        found[f"GroupTotal{word}"] = sum(found[f"Group{kind}{word}"] for kind in LIVE)
    for word, states in WARM.items():
        found[f"WarmPool{word}Capacity"] = sum(m.lifecycle in states for m in members)
    found["WarmPoolTotalCapacity"] = sum(found[f"WarmPool{word}Capacity"] for word in WARM)
    found |= {"WarmPoolMinSize": group.warm_pool.min if group.warm_pool else 0, "WarmPoolDesiredCapacity": pool}
    found["GroupAndWarmPoolDesiredCapacity"] = group.desired + pool
    found["GroupAndWarmPoolTotalCapacity"] = found["GroupTotalCapacity"] + found["WarmPoolTotalCapacity"]
    return found


def _known(metrics: Sequence[str]) -> Sequence[str]:
    for one in metrics:
        if one not in NAMES:
            raise ValidationError(f"Invalid metric: {one}. Valid: {', '.join(NAMES)}")
    return metrics or NAMES
