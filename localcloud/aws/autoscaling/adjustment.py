"""By how much a scaling policy changes the desired capacity. Pure.

After "Step and simple scaling policies" and "Target tracking scaling policies" in the user guide.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

CHANGE, EXACT, PERCENT = "ChangeInCapacity", "ExactCapacity", "PercentChangeInCapacity"
TYPES = (CHANGE, EXACT, PERCENT)
WHOLE = 100
SCALE_IN_SHARE = 0.9  # target tracking scales in when the metric is this far below its target


def adjusted(current: int, kind: str, amount: int, magnitude_min: int = 0) -> int:
    """The capacity after an adjustment, before it is held within the group's bounds.

    A percentage is rounded towards zero, but to at least one instance.

    >>> [adjusted(10, PERCENT, amount) for amount in (25, 1, -25, -1, 0)]
    [12, 11, 8, 9, 10]
    >>> adjusted(4, PERCENT, 25, magnitude_min=2), adjusted(4, EXACT, 7), adjusted(4, CHANGE, -1)
    (6, 7, 3)
    """
    if kind == EXACT:
        return amount
    if kind == CHANGE:
        return current + amount
    change = current * amount / WHOLE
    whole = math.trunc(change) if abs(change) >= 1 else (change > 0) - (change < 0)
    if whole and abs(whole) < magnitude_min:
        whole = int(math.copysign(magnitude_min, whole))
    return current + whole


def step_for(steps: Sequence[Mapping[str, Any]], difference: float) -> int | None:
    """The adjustment of the step that a breach falls into; `difference` is the metric less the threshold.

    Above the threshold the lower bound belongs to the step, below it the upper one does.

    >>> steps = [{"MetricIntervalLowerBound": 0.0, "MetricIntervalUpperBound": 10.0, "ScalingAdjustment": 1},
    ...          {"MetricIntervalLowerBound": 10.0, "ScalingAdjustment": 3}]
    >>> step_for(steps, 5), step_for(steps, 10), step_for(steps, -1)
    (1, 3, None)
    """
    for one in steps:
        low, high = one.get("MetricIntervalLowerBound", -math.inf), one.get("MetricIntervalUpperBound", math.inf)
        within = low <= difference < high if difference >= 0 else low < difference <= high
        if within:
            return int(one["ScalingAdjustment"])
    return None


def tracked(current: int, value: float, target: float, *, may_shrink: bool) -> int:
    """The capacity at which a metric that falls as capacity grows would be at its target.

    >>> tracked(4, 75.0, 50.0, may_shrink=True), tracked(4, 20.0, 50.0, may_shrink=True)
    (6, 2)
    >>> tracked(4, 47.0, 50.0, may_shrink=True), tracked(4, 20.0, 50.0, may_shrink=False)
    (4, 4)
    """
    if value > target:
        return max(current + 1, math.ceil(current * value / target))
    if may_shrink and value < target * SCALE_IN_SHARE:
        return math.ceil(current * value / target)
    return current
