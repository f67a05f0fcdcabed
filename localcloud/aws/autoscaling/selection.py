"""Which zone gets the next instance, and which instance goes first. Pure.

After "Control which instances terminate" in the user guide: whatever the policy, the zone with the most instances gives
first; instances protected from scale-in never go; within the zone the policies are applied in order, each keeps the
best candidates, and what is still equal is decided by age.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

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


def victims(capacity: Sequence[Member], count: int, policies: Sequence[str], now: float) -> list[Member]:
    """At most `count` members to terminate, in order; fewer when the others are protected."""
    left = list(capacity)
    chosen: list[Member] = []
    while len(chosen) < count:
        victim = _next_victim(left, policies, now)
        if victim is None:
            break
        left.remove(victim)
        chosen.append(victim)
    return chosen


def _next_victim(members: Sequence[Member], policies: Sequence[str], now: float) -> Member | None:
    free = [m for m in members if not m.protected]
    if not free:
        return None
    by_zone = Counter(m.zone for m in members)
    fullest = max(by_zone[m.zone] for m in free)
    candidates = [m for m in free if by_zone[m.zone] == fullest]
    for policy in policies:
        candidates = _keep_best(candidates, policy, now)
    return min(candidates, key=lambda m: (m.launched_at, m.id))


def _keep_best(candidates: list[Member], policy: str, now: float) -> list[Member]:
    keys: Mapping[str, Callable[[Member], tuple[float, ...]]] = {
        "OldestInstance": lambda m: (m.launched_at,),
        "NewestInstance": lambda m: (-m.launched_at,),
        "OldestLaunchTemplate": lambda m: (_version(m),),
        "ClosestToNextInstanceHour": lambda m: (HOUR_S - (now - m.launched_at) % HOUR_S,),
        "Default": lambda m: (_version(m), HOUR_S - (now - m.launched_at) % HOUR_S),
    }
    key = keys.get(policy)
    if key is None or len(candidates) < 2:  # noqa: PLR2004  nothing to choose; the other policies need spot or configurations
        return candidates
    best = min(key(m) for m in candidates)
    return [m for m in candidates if key(m) == best]


def _version(member: Member) -> float:
    return float(member.template.version) if member.template.version.isdigit() else 0.0
