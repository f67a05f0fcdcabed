"""What AWS accepts in a group, field by field and in combination; each refusal has AWS's code and names the value."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from localcloud.aws.autoscaling.records import Group
from localcloud.aws.autoscaling.selection import POLICIES
from localcloud.aws.errors import AwsError, ValidationError

NAME_CHARACTERS_MAX = 255
HEALTH_CHECK_TYPES = frozenset({"EC2", "ELB", "VPC_LATTICE", "EBS"})
PROCESSES = (
    "Launch",
    "Terminate",
    "AddToLoadBalancer",
    "AlarmNotification",
    "AZRebalance",
    "HealthCheck",
    "InstanceRefresh",
    "ReplaceUnhealthy",
    "ScheduledActions",
)
LIFETIME_S_MIN = 86_400
LIFETIME_S_MAX = 31_536_000
PERCENTAGE_UNSET = -1
OVERRIDES_MAX = 40
WEIGHT_MAX = 999
COUNT_MAX = 2**31 - 1
STRATEGIES = {
    "OnDemandAllocationStrategy": ("prioritized", "lowest-price"),
    "SpotAllocationStrategy": (
        "lowest-price",
        "capacity-optimized",
        "capacity-optimized-prioritized",
        "price-capacity-optimized",
    ),
}
DISTRIBUTION_BOUNDS = (
    ("OnDemandBaseCapacity", 0, COUNT_MAX),
    ("OnDemandPercentageAboveBaseCapacity", 0, 100),
    ("SpotInstancePools", 1, 20),
)
DELETION_PROTECTIONS = ("none", "prevent-force-deletion", "prevent-all-deletion")
HEALTHY_MAX_MIN, HEALTHY_MAX_MAX, HEALTHY_SPAN_MAX = 100, 200, 100


def group(candidate: Group, *, target_groups_max: int) -> None:
    """Every rule that concerns the whole group; raises ValidationError or LimitExceeded."""
    name(candidate.name)
    bounds(candidate.min, candidate.max, candidate.desired)
    _policies(candidate.termination_policies)
    for kind in candidate.health_check_type.split(","):
        if kind.strip() not in HEALTH_CHECK_TYPES:
            raise ValidationError(f"Invalid health check type: {kind}. Valid: {', '.join(sorted(HEALTH_CHECK_TYPES))}")
    for number, what in ((candidate.grace_s, "HealthCheckGracePeriod"), (candidate.cooldown_s, "DefaultCooldown")):
        if number < 0:
            raise ValidationError(f"{what} must not be negative: {number}")
    maintenance(candidate.stored.get("InstanceMaintenancePolicy"))
    lifetime(candidate.stored.get("MaxInstanceLifetime"))
    protection = candidate.stored.get("DeletionProtection")
    if protection is not None and protection not in DELETION_PROTECTIONS:
        raise ValidationError(f"DeletionProtection must be one of {', '.join(DELETION_PROTECTIONS)}: {protection}")
    warmup_s = candidate.stored.get("DefaultInstanceWarmup")
    if warmup_s is not None and warmup_s < PERCENTAGE_UNSET:
        raise ValidationError(f"DefaultInstanceWarmup must be -1 (unset) or more seconds: {warmup_s}")
    if candidate.mixed:
        mixed(candidate.mixed)
    if len(candidate.target_groups) > target_groups_max:
        raise AwsError("LimitExceeded", f"At most {target_groups_max} target groups are allowed on {candidate.name}")


def name(value: str) -> None:
    """A group's name."""
    if not 1 <= len(value) <= NAME_CHARACTERS_MAX or ":" in value:
        raise ValidationError(
            f"1 validation error detected: Value '{value}' at 'autoScalingGroupName' failed to satisfy constraint: "
            f"1 to {NAME_CHARACTERS_MAX} characters, without ':'"
        )


def bounds(least: int, most: int, desired: int) -> None:
    """Minimum, maximum and desired capacity."""
    if least < 0:
        raise ValidationError(f"Min size must not be negative: {least}")
    if most < least:
        raise ValidationError(f"Max bound, {most}, must be greater than or equal to min bound, {least}")
    if not least <= desired <= most:
        raise ValidationError(
            f"Desired capacity:{desired} must be between the specified min size:{least} and max size:{most}"
        )


def desired(target: Group, value: int) -> None:
    """The value of SetDesiredCapacity."""
    if value > target.max:
        raise ValidationError(
            f"New SetDesiredCapacity value {value} is above max value {target.max} for the AutoScalingGroup."
        )
    if value < target.min:
        raise ValidationError(
            f"New SetDesiredCapacity value {value} is below min value {target.min} for the AutoScalingGroup."
        )


def processes(names: Iterable[str]) -> tuple[str, ...]:
    """The processes that are meant; none given means all."""
    given = tuple(names)
    for one in given:
        if one not in PROCESSES:
            raise ValidationError(f"Invalid process name: {one}. Valid: {', '.join(PROCESSES)}")
    return given or PROCESSES


def maintenance(policy: Mapping[str, Any] | None) -> None:
    """An instance maintenance policy: both values or none; 0-100 and 100-200, at most 100 apart."""
    if not policy:
        return
    least, most = policy.get("MinHealthyPercentage"), policy.get("MaxHealthyPercentage")
    if least is None or most is None:
        raise ValidationError("InstanceMaintenancePolicy needs both MinHealthyPercentage and MaxHealthyPercentage")
    if least == most == PERCENTAGE_UNSET:
        return
    if not 0 <= least <= HEALTHY_MAX_MIN or not HEALTHY_MAX_MIN <= most <= HEALTHY_MAX_MAX:
        raise ValidationError(
            f"MinHealthyPercentage must be 0 to 100 and MaxHealthyPercentage 100 to 200: {least}, {most}"
        )
    if most - least > HEALTHY_SPAN_MAX or most == least:
        raise ValidationError(f"MaxHealthyPercentage must exceed MinHealthyPercentage by 1 to 100: {least}, {most}")


def mixed(policy: Mapping[str, Any]) -> None:
    """A mixed instances policy: types, weights, and how on demand and spot are shared out."""
    overrides = (policy.get("LaunchTemplate") or {}).get("Overrides") or []
    if len(overrides) > OVERRIDES_MAX:
        raise ValidationError(f"At most {OVERRIDES_MAX} overrides are allowed: {len(overrides)}")
    types = [one.get("InstanceType") for one in overrides]
    if any("InstanceRequirements" in one for one in overrides):
        raise ValidationError("InstanceRequirements is not offered here: name instance types")
    if any(one is None for one in types) or len(set(types)) != len(types):
        raise ValidationError(f"Each override must have an instance type of its own: {types}")
    _weights(overrides)
    spread = policy.get("InstancesDistribution") or {}
    for name, known in STRATEGIES.items():
        if name in spread and spread[name] not in known:
            raise ValidationError(f"{name} must be one of {', '.join(known)}: {spread[name]}")
    for name, least, most in DISTRIBUTION_BOUNDS:
        if name in spread and not least <= spread[name] <= most:
            raise ValidationError(f"{name} must be {least} to {most}: {spread[name]}")


def _weights(overrides: Sequence[Mapping[str, Any]]) -> None:
    weights = [one["WeightedCapacity"] for one in overrides if "WeightedCapacity" in one]
    if weights and len(weights) != len(overrides):
        raise ValidationError("You must specify weighted capacity for all instance types, or for none of them")
    for weight in weights:
        if not weight.isdigit() or not 1 <= int(weight) <= WEIGHT_MAX:
            raise ValidationError(f"WeightedCapacity must be 1 to {WEIGHT_MAX}: {weight}")


def lifetime(seconds: int | None) -> None:
    """The maximum lifetime of an instance; 0 means none."""
    if seconds and not LIFETIME_S_MIN <= seconds <= LIFETIME_S_MAX:
        raise ValidationError(f"MaxInstanceLifetime must be 0 or {LIFETIME_S_MIN} to {LIFETIME_S_MAX} s: {seconds}")


def _policies(policies: Iterable[str]) -> None:
    for policy in policies:
        if policy not in POLICIES and not policy.startswith("arn:aws:lambda:"):
            raise ValidationError(f"Invalid termination policy: {policy}. Valid: {', '.join(POLICIES)}")
    given = list(policies)
    if "Default" in given[:-1]:
        raise ValidationError("The Default termination policy must be the last one of the list")
    if any(policy.startswith("arn:") for policy in given[1:]):
        raise ValidationError(
            "A custom (Lambda) termination policy must be the first one of the list, and the only one"
        )
