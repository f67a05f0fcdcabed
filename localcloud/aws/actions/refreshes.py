"""Instance refreshes: start, describe, cancel, roll back."""

from typing import Any

from localcloud.aws.actions.parameters import Action, Answer, Parameters, configuration
from localcloud.aws.autoscaling import describe, refreshes, refreshing
from localcloud.aws.autoscaling.plans import Refresh
from localcloud.aws.autoscaling.world import World


def start(world: World, p: Parameters) -> Answer:
    """StartInstanceRefresh."""
    wanted = configuration(p["DesiredConfiguration"]) if "DesiredConfiguration" in p else None
    refresh = refreshes.start(
        world, p["AutoScalingGroupName"], wanted, p.get("Preferences", {}), p.get("Strategy", "Rolling")
    )
    return {"InstanceRefreshId": refresh.id}


def cancel(world: World, p: Parameters) -> Answer:
    """CancelInstanceRefresh."""
    wait = p.get("WaitForTransitioningInstances", True)
    return {"InstanceRefreshId": refreshes.cancel(world, p["AutoScalingGroupName"], wait=wait).id}


def roll_back(world: World, p: Parameters) -> Answer:
    """RollbackInstanceRefresh."""
    return {"InstanceRefreshId": refreshes.roll_back(world, p["AutoScalingGroupName"]).id}


def describe_refreshes(world: World, p: Parameters) -> Answer:
    """DescribeInstanceRefreshes: newest first."""
    group, ids = world.group(p["AutoScalingGroupName"]), p.get("InstanceRefreshIds")
    found = [r for r in reversed(group.refreshes) if not ids or r.id in ids]
    page = describe.page(found, p.get("NextToken"), p.get("MaxRecords"), default=50, most=100)
    return {"InstanceRefreshes": [_refresh(group.name, r) for r in page["items"]], "NextToken": page["NextToken"]}


def _refresh(group_name: str, one: Refresh) -> dict[str, Any]:
    preferences = one.preferences
    described: dict[str, Any] = {
        "InstanceRefreshId": one.id,
        "AutoScalingGroupName": group_name,
        "Status": one.status.value,
        "StatusReason": one.reason or None,
        "StartTime": describe.time(one.started_at),
        "EndTime": describe.time(one.ended_at) if one.ended_at else None,
        "PercentageComplete": refreshing.percentage(one),
        "InstancesToUpdate": refreshing.to_update(one) + one.warm_left,
        "ProgressDetails": _progress(one),
        "Preferences": {
            **one.given,
            "MinHealthyPercentage": preferences.least,
            "MaxHealthyPercentage": preferences.most,
            "InstanceWarmup": preferences.warmup_s,
            "SkipMatching": preferences.skip_matching,
            "AutoRollback": preferences.auto_rollback,
            "ScaleInProtectedInstances": preferences.protected,
            "StandbyInstances": preferences.standby,
        },
        "Strategy": "Rolling",
    }
    if one.wanted:
        key = "LaunchTemplate" if one.wanted.mixed is None else "MixedInstancesPolicy"
        described["DesiredConfiguration"] = {key: one.wanted.mixed or describe.template(one.wanted.template)}
    if back := one.rollback:
        described["RollbackDetails"] = {
            "RollbackReason": back.reason,
            "RollbackStartTime": describe.time(back.started_at),
            "PercentageCompleteOnRollback": back.percentage,
            "InstancesToUpdateOnRollback": back.to_update,
        }
    return described


def _progress(one: Refresh) -> dict[str, Any]:
    live = {"PercentageComplete": refreshing.percentage(one), "InstancesToUpdate": refreshing.to_update(one)}
    if not one.warm_total:
        return {"LivePoolProgress": live}
    done = 100 * (one.warm_total - one.warm_left) // one.warm_total
    return {
        "LivePoolProgress": live,
        "WarmPoolProgress": {"PercentageComplete": done, "InstancesToUpdate": one.warm_left},
    }


READS: dict[str, Action] = {"DescribeInstanceRefreshes": describe_refreshes}
WRITES: dict[str, Action] = {
    "CancelInstanceRefresh": cancel,
    "RollbackInstanceRefresh": roll_back,
    "StartInstanceRefresh": start,
}
