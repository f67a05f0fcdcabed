"""Which zone gets the next instance, and which instance goes first. Pure.

After "Control which instances terminate" in the user guide: whatever the policy, the zone with the most instances gives
first; instances protected from scale-in never go; within the zone the policies are applied in order, each keeps the
best candidates, and what is still equal is decided by age.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from localcloud.aws.autoscaling.records import Member

HOUR_S = 3600.0
POLICIES = (
    "Default",
    "OldestInstance",
    "NewestInstance",
    "OldestLaunchTemplate",
    "OldestLaunchConfiguration",
    "ClosestToNextInstanceHour",
    "AllocationStrategy",
)


def subnet_order(subnets: Sequence[tuple[str, str]], capacity: Sequence[Member]) -> list[tuple[str, str]]:
    """The (subnet, zone) pairs, the emptiest zone first, then the emptiest subnet, then as configured.

    >>> subnet_order([("s1", "a"), ("s2", "b")], [])
    [('s1', 'a'), ('s2', 'b')]
    """
    by_zone = Counter(m.zone for m in capacity)
    by_subnet = Counter(m.subnet for m in capacity)
    return sorted(subnets, key=lambda pair: (by_zone[pair[1]], by_subnet[pair[0]], subnets.index(pair)))


@dataclass(slots=True, frozen=True)
class Choosing:
    """By what the victims are chosen: the group's policies, the template it launches now, what there is too much of."""

    policies: Sequence[str]
    now: float
    template_id: str = ""
    surplus_is_spot: bool | None = None
    places: Mapping[str, int] = field(default_factory=dict)  # by id: how late its type would be tried now


def victims(capacity: Sequence[Member], surplus: int, by: Choosing) -> list[Member]:
    """Members to terminate, in order, of at most `surplus` units; fewer when the others are protected or too heavy."""
    left = list(capacity)
    chosen: list[Member] = []
    while True:
        free = [m for m in left if not m.protected and m.weight <= surplus]
        if not free:
            return chosen
        victim = _next_victim(left, free, by)
        left.remove(victim)
        chosen.append(victim)
        surplus -= victim.weight


def _next_victim(members: Sequence[Member], free: Sequence[Member], by: Choosing) -> Member:
    by_zone = Counter(m.zone for m in members)
    fullest = max(by_zone[m.zone] for m in free)
    candidates = [m for m in free if by_zone[m.zone] == fullest]
    for policy in by.policies:
        for key in _keys(policy, by):
            best = min(key(m) for m in candidates)
            candidates = [m for m in candidates if key(m) == best]
    return min(candidates, key=lambda m: (m.launched_at, m.id))


Key = Callable[[Member], float]


def _keys(policy: str, by: Choosing) -> list[Key]:
    """What a policy compares, one after the other; the least goes. A custom (Lambda) policy compares nothing here."""
    kind: Key = lambda m: m.spot != by.surplus_is_spot if by.surplus_is_spot is not None else 0.0  # noqa: E731
    template: Key = lambda m: m.template.id == by.template_id  # noqa: E731
    version: Key = lambda m: _version(m)  # noqa: E731, PLW0108
    hour: Key = lambda m: HOUR_S - (by.now - m.launched_at) % HOUR_S  # noqa: E731
    table: dict[str, list[Key]] = {
        "OldestInstance": [lambda m: m.launched_at],
        "NewestInstance": [lambda m: -m.launched_at],
        "OldestLaunchTemplate": [template, version],
        "ClosestToNextInstanceHour": [hour],
        "AllocationStrategy": [kind, lambda m: -by.places.get(m.id, 0)],
        "Default": [kind, template, version, hour],
    }
    return table.get(policy, [])


def _version(member: Member) -> float:
    return float(member.template.version) if member.template.version.isdigit() else 0.0
