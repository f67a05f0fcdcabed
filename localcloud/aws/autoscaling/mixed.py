"""What the next instance of a mixed instances policy is: type, weight, template, spot or on demand. Pure.

After "Auto Scaling groups with multiple instance types and purchase options": the base capacity is on demand, above it
the given percentage is; the rest is spot. In which order types are tried is a matter of the allocation strategy (`allocation`).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from localcloud.aws.autoscaling.allocation import Kind, Pool, order
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
    spot_max_usd: float | None = None  # an hour; None: as much as on demand


@dataclass(slots=True, frozen=True)
class Need:
    """What the group wants, and what it has; `pools` tells of a type in a zone, on demand or spot."""

    configuration: Configuration
    capacity: Sequence[Member]
    desired: int
    pools: Callable[[str, str, bool], Pool]


def choices(need: Need, zone: str) -> list[Choice]:
    """What may be launched next in a zone, in the order in which it is tried."""
    mixed, template = need.configuration.mixed, need.configuration.template
    if mixed is None:
        return [Choice(template)]
    spot = on_demand_missing(mixed, need.capacity, need.desired) <= 0
    listed = overrides(mixed)
    price = (mixed.get("InstancesDistribution") or {}).get("SpotMaxPrice")
    most_usd = float(price) if spot and price else None
    if not listed:
        return [Choice(template, spot=spot, spot_max_usd=most_usd)]
    return [
        Choice(
            template=_template(listed[kind.rank]) or template,
            instance_type=kind.instance_type,
            weight=kind.weight,
            weighted="WeightedCapacity" in listed[kind.rank],
            spot=spot,
            spot_max_usd=most_usd,
        )
        for kind in _ordered(need, zone, spot=spot)
    ]


def overrides(mixed: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The types that the policy lists; none: the template's own."""
    found: Sequence[Mapping[str, Any]] = (mixed.get("LaunchTemplate") or {}).get("Overrides") or []
    return found


def places(need: Need) -> dict[str, int]:
    """By instance id, the place of its type in the order in which its zone would try types now; 0 is the first."""
    if need.configuration.mixed is None:
        return {}
    orders = {
        (zone, spot): {kind.instance_type: place for place, kind in enumerate(_ordered(need, zone, spot=spot))}
        for zone, spot in {(m.zone, m.spot) for m in need.capacity}
    }
    return {m.id: orders[m.zone, m.spot].get(m.instance_type, len(orders[m.zone, m.spot])) for m in need.capacity}


def _ordered(need: Need, zone: str, *, spot: bool) -> list[Kind]:
    mixed = need.configuration.mixed or {}
    kinds = [
        Kind(one["InstanceType"], int(one.get("WeightedCapacity", 1)), rank)
        for rank, one in enumerate(overrides(mixed))
    ]
    beside = [m for m in need.capacity if m.zone == zone]
    spread = mixed.get("InstancesDistribution") or {}
    return order(kinds, spread, lambda kind: need.pools(kind, zone, spot), beside, spot=spot)


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
