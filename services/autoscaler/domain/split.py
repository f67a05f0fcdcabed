"""From the group's one total to the sizes of its fleets, and in which order they may move.

Split: each fleet gets its share of the total by largest remainder, then at least its floor. Floors only add, so the sum
is never below the total. A fleet that takes no traffic and has nothing reserved gets nothing.

Order: growth before removal. A fleet that takes traffic shrinks only as far as what *serves in the other fleets* makes
up for it, so that no step leaves less serving capacity than the group needs:

    size(fleet) = max(target, total - serving in the other fleets)      while size(fleet) > target
"""

import math
from collections.abc import Mapping, Sequence

from services.autoscaler.domain.group import FleetState, Reservation
from shared.domain.names import FleetId

SHARE_NOISE = 1e-9


def largest_remainder(total: int, shares: Mapping[FleetId, float]) -> dict[FleetId, int]:
    """Whole nodes that sum to the total, as near to the shares as whole nodes can be.

    >>> largest_remainder(10, {FleetId("a"): 0.75, FleetId("b"): 0.25})
    {'a': 8, 'b': 2}
    """
    whole = sum(shares.values())
    if not shares or whole <= 0:
        return dict.fromkeys(shares, 0)
    exact = {fleet: total * share / whole for fleet, share in shares.items()}
    nodes = {fleet: math.floor(e + SHARE_NOISE) for fleet, e in exact.items()}
    order = sorted(exact, key=lambda f: (nodes[f] - exact[f], f))
    for fleet in order[: total - sum(nodes.values())]:
        nodes[fleet] += 1
    return nodes


def shares_of(fleets: Sequence[FleetState], reservations: Sequence[Reservation]) -> dict[FleetId, float]:
    """Each fleet's part of the total: as reserved; the rest by weight, or by what runs when nothing is weighted."""
    held = {r.fleet: r.share for r in reservations if any(f.fleet == r.fleet for f in fleets)}
    rest = max(0.0, 1.0 - sum(held.values()))
    others = [f for f in fleets if f.fleet not in held]
    by = {f.fleet: float(f.weight) for f in others}
    if not any(by.values()):
        by = {f.fleet: float(f.desired) for f in others} if not held or rest > 0 else by
    if not any(by.values()) and others and not held:
        newest = max(others, key=lambda f: f.revision)
        by[newest.fleet] = 1.0
    sum_by = sum(by.values())
    parts = {f: rest * w / sum_by if sum_by > 0 else 0.0 for f, w in by.items()}
    return held | parts


def floors_of(fleets: Sequence[FleetState], reservations: Sequence[Reservation]) -> dict[FleetId, int]:
    """The least each fleet keeps: its own floors and what reservations of other fleets ask of it."""
    floors = dict.fromkeys((f.fleet for f in fleets), 0)
    for r in reservations:
        for fleet in floors:
            floors[fleet] = max(floors[fleet], r.floor if fleet == r.fleet else r.other_floor)
    return floors


def split(total: int, fleets: Sequence[FleetState], reservations: Sequence[Reservation]) -> dict[FleetId, int]:
    """The size each fleet is to have."""
    nodes = largest_remainder(total, shares_of(fleets, reservations))
    floors = floors_of(fleets, reservations)
    return {f.fleet: max(nodes.get(f.fleet, 0), floors[f.fleet]) for f in fleets}


def next_sizes(total: int, fleets: Sequence[FleetState], target: Mapping[FleetId, int]) -> dict[FleetId, int]:
    """The sizes that may be set now on the way to `target`: growth at once, removal as far as others serve."""
    planned = {f.fleet: max(f.desired, target[f.fleet]) for f in fleets}
    for fleet in sorted(fleets, key=lambda f: (f.weight > 0, f.revision)):
        if target[fleet.fleet] >= fleet.desired:
            continue
        if fleet.weight == 0:
            planned[fleet.fleet] = target[fleet.fleet]
            continue
        elsewhere = sum(min(o.in_service, planned[o.fleet]) for o in fleets if o.weight > 0 and o.fleet != fleet.fleet)
        planned[fleet.fleet] = max(target[fleet.fleet], min(fleet.desired, total - elsewhere))
    return planned
