"""What AWS accepts in a scaling policy, by its type."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from localcloud.aws import metric_math
from localcloud.aws.autoscaling.adjustment import PERCENT, TYPES
from localcloud.aws.errors import ValidationError

SIMPLE, STEP, TRACKING = "SimpleScaling", "StepScaling", "TargetTrackingScaling"
NAME_CHARACTERS_MAX = 255
STEPS_MAX = 20
METRICS = ("ASGAverageCPUUtilization", "ASGAverageNetworkIn", "ASGAverageNetworkOut", "ALBRequestCountPerTarget")
STATISTICS = ("Average", "Minimum", "Maximum", "SampleCount", "Sum")
OWN = {
    SIMPLE: ("AdjustmentType", "ScalingAdjustment", "Cooldown", "MinAdjustmentMagnitude", "MinAdjustmentStep"),
    STEP: (
        "AdjustmentType",
        "StepAdjustments",
        "MetricAggregationType",
        "EstimatedInstanceWarmup",
        "MinAdjustmentMagnitude",
    ),
    TRACKING: ("TargetTrackingConfiguration", "EstimatedInstanceWarmup"),
}
REQUIRED = {
    SIMPLE: ("AdjustmentType", "ScalingAdjustment"),
    STEP: ("AdjustmentType", "StepAdjustments"),
    TRACKING: ("TargetTrackingConfiguration",),
}
SETTINGS = frozenset(name for names in OWN.values() for name in names)


def check(given: Mapping[str, Any]) -> None:
    """ValidationError for what does not belong to the type, is missing, or has a value that AWS does not accept."""
    kind, name = given.get("PolicyType", SIMPLE), given["PolicyName"]
    if not 1 <= len(name) <= NAME_CHARACTERS_MAX or ":" in name:
        raise ValidationError(f"The policy name '{name}' must have 1 to {NAME_CHARACTERS_MAX} characters, no ':'")
    if kind not in OWN:
        raise ValidationError(f"PolicyType must be one of {', '.join(OWN)} here: {kind}")
    for missing in (one for one in REQUIRED[kind] if given.get(one) is None):
        raise ValidationError(f"{missing} is required for a policy of type {kind}")
    for foreign in sorted(SETTINGS - set(OWN[kind])):
        if foreign in given:
            raise ValidationError(f"{foreign} is not valid for a policy of type {kind}")
    _check_settings(kind, given)


def _check_settings(kind: str, given: Mapping[str, Any]) -> None:
    for seconds in ("Cooldown", "EstimatedInstanceWarmup"):
        if given.get(seconds, 0) < 0:
            raise ValidationError(f"{seconds} must not be negative: {given[seconds]}")
    if kind == TRACKING:
        _check_tracking(given["TargetTrackingConfiguration"])
        return
    if given["AdjustmentType"] not in TYPES:
        raise ValidationError(f"AdjustmentType must be one of {', '.join(TYPES)}: {given['AdjustmentType']}")
    if "MinAdjustmentMagnitude" in given and given["AdjustmentType"] != PERCENT:
        raise ValidationError(f"MinAdjustmentMagnitude is valid only with {PERCENT}")
    if kind == STEP:
        _check_steps(given["StepAdjustments"])


def _check_steps(steps: Sequence[Mapping[str, Any]]) -> None:
    """Intervals without gap and overlap; those that reach below or above the threshold go on without end."""
    if not 1 <= len(steps) <= STEPS_MAX:
        raise ValidationError(f"1 to {STEPS_MAX} step adjustments must be given: {len(steps)}")
    bounds = sorted(
        (one.get("MetricIntervalLowerBound", -math.inf), one.get("MetricIntervalUpperBound", math.inf)) for one in steps
    )
    for low, high in bounds:
        if low >= high or (low, high) == (-math.inf, math.inf):
            raise ValidationError(
                f"A step needs a lower bound below its upper bound, and at least one of them: {low}, {high}"
            )
    for (_, high), (low, _) in itertools.pairwise(bounds):
        if high != low:
            raise ValidationError(f"Step adjustment intervals must have no gap and no overlap: {high}, {low}")
    if bounds[0][0] < 0 and bounds[0][0] != -math.inf:
        raise ValidationError("The step with the lowest bound must have no lower bound when it is negative")
    if bounds[-1][1] > 0 and bounds[-1][1] != math.inf:
        raise ValidationError("The step with the highest bound must have no upper bound when it is positive")


def _check_tracking(tracking: Mapping[str, Any]) -> None:
    predefined, own = tracking.get("PredefinedMetricSpecification"), tracking.get("CustomizedMetricSpecification")
    if bool(predefined) == bool(own):
        raise ValidationError("Either PredefinedMetricSpecification or CustomizedMetricSpecification must be given")
    if tracking.get("TargetValue", 0) <= 0:
        raise ValidationError(f"TargetValue must be above 0: {tracking.get('TargetValue')}")
    if predefined:
        metric = predefined.get("PredefinedMetricType")
        if metric not in METRICS:
            raise ValidationError(f"PredefinedMetricType must be one of {', '.join(METRICS)}: {metric}")
        if (metric == METRICS[-1]) != bool(predefined.get("ResourceLabel")):
            raise ValidationError(f"ResourceLabel must be given with {METRICS[-1]}, and only with it")
    if own:
        if queries := own.get("Metrics"):
            foreign = [name for name in ("MetricName", "Namespace", "Statistic", "Dimensions", "Unit") if name in own]
            if foreign:
                raise ValidationError(f"Metrics can not be given together with {', '.join(foreign)}")
            metric_math.check(queries)
            return
        if own.get("Statistic") not in STATISTICS or not own.get("Namespace") or not own.get("MetricName"):
            raise ValidationError("CustomizedMetricSpecification needs MetricName, Namespace and Statistic")
