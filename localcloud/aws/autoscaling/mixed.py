"""What the next instance of a mixed instances policy is: type, weight, template, spot or on demand. Pure.

After "Auto Scaling groups with multiple instance types and purchase options": the base capacity is on demand, above it
the given percentage is; the rest is spot. Types are tried in the order of the overrides, which is what `prioritized`
and `capacity-optimized-prioritized` mean; the strategies that look at prices or at AWS's spare capacity are taken as
the same order here, because this EC2 has neither.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from localcloud.aws.autoscaling.plans import Configuration, TemplateRef
from localcloud.aws.autoscaling.records import Member

WHOLE = 100


@dataclass(slots=True, frozen=True)
class Choice:
    """A kind of instance that may be launched; `instance_type` None: the template's own."""

    template: TemplateRef
    instance_type: str | None = None
    weight: int = 1
    weighted: bool = False
    spot: bool = False
    rank: int = 0


def choices(configuration: Configuration, capacity: Sequence[Member], desired: int) -> list[Choice]:
    """What may be launched next, in the order in which it is tried."""
    if configuration.mixed is None:
        return [Choice(configuration.template)]
    spot = on_demand_missing(configuration.mixed, capacity, desired) <= 0
    overrides = (configuration.mixed.get("LaunchTemplate") or {}).get("Overrides") or [{}]
    return [
        Choice(
            template=_template(one) or configuration.template,
            instance_type=one.get("InstanceType"),
            weight=int(one.get("WeightedCapacity", 1)),
            weighted="WeightedCapacity" in one,
            spot=spot,
            rank=rank,
        )
        for rank, one in enumerate(overrides)
    ]


def on_demand_missing(mixed: Mapping[str, Any], capacity: Sequence[Member], desired: int) -> int:
    """How many units on demand are missing; negative: too many.

    >>> on_demand_missing({"InstancesDistribution": {"OnDemandPercentageAboveBaseCapacity": 50}}, [], 3)
    2
    """
    spread = mixed.get("InstancesDistribution") or {}
    base = min(desired, spread.get("OnDemandBaseCapacity", 0))
    above = spread.get("OnDemandPercentageAboveBaseCapacity", WHOLE)
    wanted = base + math.ceil((desired - base) * above / WHOLE)
    return int(wanted) - sum(m.weight for m in capacity if not m.spot)


def surplus_is_spot(configuration: Configuration, capacity: Sequence[Member], desired: int) -> bool | None:
    """Whether there is too much spot (True) or too much on demand (False); None: it does not matter."""
    if configuration.mixed is None:
        return None
    return on_demand_missing(configuration.mixed, capacity, desired) >= 0


def _template(override: Mapping[str, Any]) -> TemplateRef | None:
    spec = override.get("LaunchTemplateSpecification")
    if not spec:
        return None
    return TemplateRef(
        spec.get("LaunchTemplateId", ""), spec.get("LaunchTemplateName", ""), spec.get("Version", "$Default")
    )
