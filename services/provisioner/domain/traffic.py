"""Who takes traffic, and how much.

Routes are a pure function of the fleets' weights and of the members in service; their generation grows exactly when
their content changes. A group that had a fleet in traffic never loses its last one by a change of weights.

A ramp admits 1,000 key-hash buckets: bucket b is in when b < percent * 10. So a bucket once admitted stays admitted
while the percentage grows, and a key never flaps between old and new.

>>> admitted(bucket=49, percent=5), admitted(bucket=50, percent=5)
(True, False)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from shared.domain.errors import InvalidInput, Refused
from shared.domain.names import FleetId, GroupName, RevisionNumber
from shared.domain.reason import Reason

BUCKETS = 1000
WEIGHT_MAX = 1000
CANARY_PERCENT_MAX = 50
LINEAR_PERCENT_MIN, LINEAR_PERCENT_MAX = 10, 50


@dataclass(frozen=True, slots=True)
class FleetRoute:
    """A fleet's part in the traffic; endpoints are `host:port` of members in service, sorted; zones are theirs."""

    fleet: FleetId
    revision: RevisionNumber
    weight: int
    endpoints: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GroupRoutes:
    """A group's routes; `assignment` is the digest of what its nodes work on: a change of it counts too."""

    group: GroupName
    generation: int
    fleets: tuple[FleetRoute, ...] = ()
    ramp_percent: int = 100
    assignment: str = ""


def admitted(bucket: int, percent: int) -> bool:
    """Whether the ingest edge admits a bucket of 0..999 at a ramp's percentage."""
    return bucket < percent * BUCKETS // 100


def next_routes(
    before: GroupRoutes | None,
    group: GroupName,
    fleets: Sequence[FleetRoute],
    ramp_percent: int,
    assignment: str,
) -> GroupRoutes:
    """The routes now: `before` itself when nothing changed, else the next generation."""
    ordered = tuple(sorted(fleets, key=lambda f: f.revision))
    if before is None:
        return GroupRoutes(group, 1, ordered, ramp_percent, assignment)
    now = replace(before, fleets=ordered, ramp_percent=ramp_percent, assignment=assignment)
    return now if now == before else replace(now, generation=before.generation + 1)


def checked_weights(group: GroupName, before: Mapping[FleetId, int], wanted: Mapping[str, int]) -> dict[FleetId, int]:
    """The absolute weight of every fleet; fleets that are not named get 0. At least one stays above 0."""
    unknown = sorted(wanted.keys() - before.keys())
    if unknown:
        raise InvalidInput(
            f"group {group}: {', '.join(unknown)} is no fleet of it; it has {', '.join(sorted(before)) or 'none'}",
            field="weights",
            remedy="add the fleet first",
        )
    for fleet, weight in wanted.items():
        if not 0 <= weight <= WEIGHT_MAX:
            raise InvalidInput(f"fleet {fleet}: weight {weight} is not in 0..{WEIGHT_MAX}", field=f"weights.{fleet}")
    after = {fleet: wanted.get(fleet, 0) for fleet in before}
    if not any(after.values()):
        raise Refused(
            f"group {group}: every weight would be 0",
            remedy="give one fleet a weight above 0, or destroy the group",
            reasons=(Reason("LastInTraffic", f"group/{group}", "at least one fleet must stay in traffic"),),
        )
    return after


def may_remove(group: GroupName, fleet: FleetId, weights: Mapping[FleetId, int]) -> None:
    """Refuse to remove the last fleet that takes traffic."""
    others = [w for f, w in weights.items() if f != fleet]
    if weights.get(fleet, 0) > 0 and not any(others):
        raise Refused(
            f"fleet {fleet}: it is the last of group {group} in traffic",
            remedy="give another fleet a weight above 0 first, or destroy the group",
            reasons=(Reason("LastInTraffic", f"group/{group}", f"{fleet} carries all of the group's traffic"),),
        )


def checked_shift(mode: str, percent: int) -> int:
    """The size of one traffic shift, if it may be one: a canary takes at most half; a linear step 10 to 50 %."""
    low, high = (1, CANARY_PERCENT_MAX) if mode == "canary" else (LINEAR_PERCENT_MIN, LINEAR_PERCENT_MAX)
    if not low <= percent <= high:
        raise InvalidInput(f"{mode} step of {percent} %: it must be {low} to {high} %", field="percent")
    return percent


def canary_split(revisions: int, percent: int | None, *, latest_ready: bool = True) -> dict[str, int]:
    """Percent of the traffic of the newest revision and the one before it.

    No percentage: all to the newest. A newest that is not ready gets nothing while there is one before it.

    >>> canary_split(2, 10)
    {'previous': 90, 'latest': 10}
    """
    if revisions < 2:  # noqa: PLR2004  two are needed to split
        return {"latest": 100}
    if not latest_ready:
        return {"previous": 100, "latest": 0}
    if percent is None:
        return {"latest": 100}
    return {"previous": 100 - percent, "latest": percent}


def members_split(partitions: int, percent: int) -> tuple[int, int]:
    """Members of stable and canary for a consumer group: at least one canary, together never more than partitions.

    >>> members_split(10, 15)
    (8, 2)
    >>> members_split(1, 15)
    (1, 0)
    """
    if partitions <= 1 or percent <= 0:
        return partitions, 0
    if percent >= 100:  # noqa: PLR2004
        return 0, partitions
    canary = min(partitions - 1, max(1, round(partitions * percent / 100)))
    return partitions - canary, canary
