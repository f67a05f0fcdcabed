"""Instance refreshes as API calls start, cancel and undo them; how they go on is in `refreshing`."""

from collections.abc import Mapping
from typing import Any

from localcloud.aws.autoscaling import refreshing
from localcloud.aws.autoscaling.plans import (
    HEALTHY_MAX_DEFAULT,
    HEALTHY_MIN_DEFAULT,
    Configuration,
    Preferences,
    Refresh,
    RefreshStatus,
)
from localcloud.aws.autoscaling.records import Group
from localcloud.aws.autoscaling.world import World
from localcloud.aws.errors import AwsError, ValidationError

KEPT_MAX = 100
DELAY_S_MAX = 172_800
MOVING_VERSIONS = frozenset({"$Latest", "$Default"})
CANCELLABLE = frozenset(
    {RefreshStatus.PENDING, RefreshStatus.IN_PROGRESS, RefreshStatus.BAKING, RefreshStatus.ROLLING_BACK}
)
REVERSIBLE = frozenset({RefreshStatus.PENDING, RefreshStatus.IN_PROGRESS, RefreshStatus.BAKING})
CHOICES = {
    "ScaleInProtectedInstances": ("Refresh", "Ignore", "Wait"),
    "StandbyInstances": ("Terminate", "Ignore", "Wait"),
}


def start(world: World, name: str, wanted: Configuration | None, given: Mapping[str, Any], strategy: str) -> Refresh:
    """Begin a refresh; one at a time per group."""
    group = world.group(name)
    if strategy != "Rolling":
        raise ValidationError(f"The strategy {strategy} is not offered here: Rolling")
    if group.refresh:
        raise AwsError(
            "InstanceRefreshInProgress",
            "An Instance Refresh is already in progress and blocks the execution of this Instance Refresh.",
        )
    if wanted:
        found = world.compute.find(wanted.template)
        wanted = Configuration(found, wanted.mixed)
    preferences = _preferences(world, group, given, wanted)
    refresh = Refresh(
        id=world.new_id(),
        status=RefreshStatus.PENDING,
        preferences=preferences,
        given=dict(given),
        previous=Configuration(group.template, group.mixed),
        started_at=world.clock.now(),
        wanted=wanted,
        progress_at=world.clock.now(),
    )
    group.refreshes = [*group.refreshes[-(KEPT_MAX - 1) :], refresh]
    world.touch(group)
    return refresh


def cancel(world: World, name: str, *, wait: bool) -> Refresh:
    """Stop a refresh or a rollback; what has been replaced stays replaced."""
    group, refresh = _active(world, name)
    if refresh.status not in CANCELLABLE:
        raise _none_active(group)
    refresh.status, refresh.reason = RefreshStatus.CANCELLING, "Cancelled due to user request."
    refresh.wait_for_instances, refresh.paused_until = wait, 0.0
    world.touch(group)
    return refresh


def roll_back(world: World, name: str) -> Refresh:
    """Undo a refresh that is in progress."""
    group, refresh = _active(world, name)
    if refresh.status not in REVERSIBLE:
        raise _none_active(group)
    if why := irreversible(refresh.wanted, refresh.previous):
        raise AwsError("IrreversibleInstanceRefresh", f"The instance refresh can not be rolled back: {why}")
    refreshing.roll_back(world, group, refresh, "Rollback due to user request.")
    return refresh


def irreversible(wanted: Configuration | None, previous: Configuration) -> str:
    """Why a refresh can not be undone; empty when it can."""
    if wanted is None:
        return "no desired configuration was specified."
    if previous.template.version in MOVING_VERSIONS:
        return f"the group's launch template version is {previous.template.version}."
    return ""


def _active(world: World, name: str) -> tuple[Group, Refresh]:
    group = world.group(name)
    if group.refresh is None:
        raise _none_active(group)
    return group, group.refresh


def _none_active(group: Group) -> AwsError:
    return AwsError(
        "ActiveInstanceRefreshNotFound",
        f"No in progress or pending Instance Refresh found for Auto Scaling group {group.name}",
    )


def _preferences(world: World, group: Group, given: Mapping[str, Any], wanted: Configuration | None) -> Preferences:
    """The preferences with AWS's defaults for what is not given; ValidationError."""
    least, most = _bounds(group, given)
    warmup_s = given.get("InstanceWarmup")
    if warmup_s is None or warmup_s == -1:
        warmup_s = group.grace_s if group.warmup_s is None else group.warmup_s
    points = list(given.get("CheckpointPercentages") or [])
    if "CheckpointDelay" in given and not points:
        raise ValidationError("CheckpointDelay needs CheckpointPercentages")
    if points != sorted(set(points)) or any(not 1 <= point <= 100 for point in points):  # noqa: PLR2004  percent
        raise ValidationError(f"CheckpointPercentages must be unique, ascending and 1 to 100: {points}")
    made = Preferences(
        least=least,
        most=most,
        warmup_s=_seconds("InstanceWarmup", warmup_s, None),
        checkpoints=points,
        checkpoint_delay_s=_seconds("CheckpointDelay", given.get("CheckpointDelay", 3600), DELAY_S_MAX),
        skip_matching=given.get("SkipMatching", False),
        auto_rollback=given.get("AutoRollback", False),
        protected=_choice(given, "ScaleInProtectedInstances"),
        standby=_choice(given, "StandbyInstances"),
        alarms=list((given.get("AlarmSpecification") or {}).get("Alarms") or []),
        bake_s=_seconds("BakeTime", given.get("BakeTime", 0), DELAY_S_MAX),
    )
    previous = Configuration(group.template, group.mixed)
    if made.auto_rollback and (why := irreversible(wanted, previous)):
        raise ValidationError(f"AutoRollback is not possible: {why}")
    for alarm in made.alarms:
        if world.alarms.state(alarm) is None:
            raise ValidationError(f"The CloudWatch alarm {alarm} does not exist")
    return made


def _bounds(group: Group, given: Mapping[str, Any]) -> tuple[int, int]:
    policy = group.maintenance or (HEALTHY_MIN_DEFAULT, HEALTHY_MAX_DEFAULT)
    least, most = given.get("MinHealthyPercentage"), given.get("MaxHealthyPercentage")
    if most is not None and least is None:
        raise ValidationError("MaxHealthyPercentage needs MinHealthyPercentage")
    if least is None:
        return policy
    most = max(policy[1], HEALTHY_MAX_DEFAULT) if most is None else most
    if not 0 <= least <= 100 <= most <= 200 or most - least > 100:  # noqa: PLR2004  percent
        raise ValidationError(
            "MinHealthyPercentage must be 0 to 100, MaxHealthyPercentage 100 to 200, and the difference at most 100: "
            f"{least}, {most}"
        )
    return least, most


def _seconds(name: str, value: int, most: int | None) -> int:
    if value < 0 or (most is not None and value > most):
        raise ValidationError(f"{name} must be 0 {f'to {most} ' if most else 'or more '}seconds: {value}")
    return value


def _choice(given: Mapping[str, Any], name: str) -> str:
    value = str(given.get(name, "Wait"))
    if value not in CHOICES[name]:
        raise ValidationError(f"{name} must be one of {', '.join(CHOICES[name])}: {value}")
    return value
