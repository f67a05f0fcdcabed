"""In which order the types of a mixed instances policy are tried. Pure.

After "Allocation strategies for multiple instance types" in the user guide. A pool is a type in a zone, on demand or spot; it has a
price and room for so many more machines. On demand: `prioritized` takes the order of the overrides, `lowest-price` the price for a
unit of capacity. Spot: `lowest-price` spreads evenly over the cheapest pools of a zone (SpotInstancePools of them);
`capacity-optimized` takes the pool with the most room, and in the order of the overrides where rooms are equal, which is what
`capacity-optimized-prioritized` means; `price-capacity-optimized` takes the cheapest of those with the most room.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from localcloud.aws.autoscaling.records import Member

PRIORITIZED, LOWEST_PRICE = "prioritized", "lowest-price"
SPOT_POOLS_DEFAULT = 2
ON_DEMAND_STRATEGY, SPOT_STRATEGY = "OnDemandAllocationStrategy", "SpotAllocationStrategy"


@dataclass(slots=True, frozen=True)
class Pool:
    """What a type costs in a zone (USD an hour; infinity: nobody knows), and for how many more machines there is room."""

    price_usd: float = math.inf
    room: float = math.inf


@dataclass(slots=True, frozen=True)
class Kind:
    """A type that may be launched; `rank` is its place among the overrides."""

    instance_type: str
    weight: int
    rank: int


Pools = Callable[[str], Pool]


def order(
    kinds: Sequence[Kind], spread: Mapping[str, Any], pools: Pools, beside: Sequence[Member], *, spot: bool
) -> list[Kind]:
    """The types in the order in which they are tried in one zone; `beside` are the group's members in that zone.

    >>> pools = {"a.large": Pool(0.10), "b.large": Pool(0.05), "b.xlarge": Pool(0.09, room=1)}
    >>> kinds = [Kind("a.large", 1, 0), Kind("b.large", 1, 1), Kind("b.xlarge", 2, 2)]
    >>> def tried(name, strategy, spot):
    ...     return [kind.instance_type for kind in order(kinds, {name: strategy}, pools.__getitem__, [], spot=spot)]
    >>> tried("OnDemandAllocationStrategy", "lowest-price", False)
    ['b.xlarge', 'b.large', 'a.large']
    >>> tried("SpotAllocationStrategy", "price-capacity-optimized", True)
    ['b.large', 'a.large', 'b.xlarge']
    """
    listed = sorted(kinds, key=lambda kind: kind.rank)
    known = {kind.instance_type: pools(kind.instance_type) for kind in listed}

    def unit_usd(kind: Kind) -> float:
        return known[kind.instance_type].price_usd / kind.weight

    def least_room(kind: Kind) -> float:
        return -known[kind.instance_type].room

    if not spot:
        cheapest = spread.get(ON_DEMAND_STRATEGY, PRIORITIZED) == LOWEST_PRICE
        return sorted(listed, key=unit_usd) if cheapest else listed
    match spread.get(SPOT_STRATEGY, LOWEST_PRICE):
        case "capacity-optimized" | "capacity-optimized-prioritized":
            return sorted(listed, key=least_room)
        case "price-capacity-optimized":
            return sorted(listed, key=lambda kind: (least_room(kind), unit_usd(kind)))
        case _:
            by_price = sorted(listed, key=lambda kind: (known[kind.instance_type].room < 1, unit_usd(kind)))
            return _evenly(by_price, int(spread.get("SpotInstancePools", SPOT_POOLS_DEFAULT)), beside)


def _evenly(by_price: list[Kind], pools: int, beside: Sequence[Member]) -> list[Kind]:
    """The cheapest pools first, the one that has the fewest spot instances ahead."""
    have = Counter(member.instance_type for member in beside if member.spot)
    return [*sorted(by_price[:pools], key=lambda kind: have[kind.instance_type]), *by_price[pools:]]
