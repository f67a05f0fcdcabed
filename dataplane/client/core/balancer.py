"""Which member takes the next call.

First the fleet, by weight (`shares`); then two members of it by lot, and of these the one with less load: nearly as good
as asking all of them, and clients that see the same numbers do not run to the same member (Mitzenmacher, "The power of
two choices in randomized load balancing", 1996). Members of the caller's own zone are preferred until their load is
`ZONE_YIELD` times that of the others. Members that are ejected, push back, or have failed this very call are passed over.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from dataplane.client.core.ejection import Standing, may_eject
from dataplane.client.core.latency import Latency
from dataplane.client.core.members import UNKNOWN_S, Endpoint, Member, Table
from dataplane.client.core.shares import Shares
from dataplane.client.core.tally import Tally

ZONE_YIELD = 2.0
PUSH_BACK_S_MAX = 30.0
LOTS_MAX = 8  # lots drawn for two usable members, before all are looked at
Chance = Callable[[int], int]  # a whole number in [0, n)


@dataclass(frozen=True, slots=True)
class Picked:
    """This member takes the call; `number` tells the call apart; `expected_s` is how long it takes to answer."""

    endpoint: Endpoint
    number: int
    expected_s: float = 0.0


@dataclass(frozen=True, slots=True)
class AllPaused:
    """Every member pushes back; the first may be asked again at `until`."""

    until: float


@dataclass(frozen=True, slots=True)
class Nobody:
    """The group has no member in traffic."""


@dataclass(frozen=True, slots=True)
class _Pool:
    """Members to choose among; `far` is empty when zones make no difference."""

    near: tuple[Member, ...]
    far: tuple[Member, ...]

    @classmethod
    def of(cls, members: Sequence[Member], zone: str) -> "_Pool":
        near = tuple(m for m in members if m.endpoint.zone == zone) if zone else ()
        far = tuple(m for m in members if m.endpoint.zone != zone)
        return cls(near, far) if near else cls(tuple(members), ())


class Balancer:
    """Of one group; used under a lock or by one thread."""

    def __init__(self, zone: str = "") -> None:
        """`zone` is the caller's; empty: all zones are alike."""
        self._zone = zone
        self._table = Table()
        self._members: dict[str, Member] = {}
        self._fleets: dict[str, _Pool] = {}
        self._everyone = _Pool((), ())  # of fleets with weight
        self._shares = Shares()
        self._number = 0
        self.tally = Tally()

    @property
    def outstanding(self) -> int:
        """Attempts that wait for an answer."""
        return sum(len(m.running) for m in self._members.values())

    @property
    def generation(self) -> int:
        """Of the routes in use."""
        return self._table.generation

    @property
    def members(self) -> Collection[Member]:
        """All of them, also of fleets without weight."""
        return self._members.values()

    def update(self, table: Table) -> None:
        """New routes; what is known of members that stay is kept. An older table is ignored."""
        if table.generation < self._table.generation:
            return
        if dict(table.weights) != dict(self._table.weights):
            self._shares = Shares()
        self._table = table
        before = self._members
        self._members = {}
        fleets: dict[str, list[Member]] = {}
        for endpoint in table.endpoints:
            member = before.get(endpoint.address) or Member(endpoint)
            member.endpoint = endpoint
            self._members[endpoint.address] = member
            if table.weights.get(endpoint.fleet, 0) > 0:
                fleets.setdefault(endpoint.fleet, []).append(member)
        self._fleets = {fleet: _Pool.of(members, self._zone) for fleet, members in fleets.items()}
        self._everyone = _Pool.of([m for members in fleets.values() for m in members], self._zone)

    def pick(self, now: float, chance: Chance, tried: Collection[str] = ()) -> Picked | AllPaused | Nobody:
        """The member of a call; `tried` are addresses that have failed it: they come last."""
        if not self._fleets:
            return Nobody()
        # A retry is no part of any share: it goes to the lightest of two members of all fleets.
        member = self._of(self._everyone, now, chance, tried) if tried else self._of_shares(now, chance)
        member = member or self._of(self._everyone, now, chance, ())
        if member is None:
            everyone = (*self._everyone.near, *self._everyone.far)
            awake = [m for m in everyone if m.paused_until <= now]
            member = self._lighter(awake, now, chance)
            if member is None:
                return AllPaused(min(m.paused_until for m in everyone))
        self._number += 1
        member.running[self._number] = now
        return Picked(member.endpoint, self._number, member.latency.estimate_s(now) or 0.0)

    def answered(self, picked: Picked, now: float) -> None:
        """The call has an answer: also one that says that the caller is at fault."""
        if (ended := self._end(picked)) is not None:
            member, began = ended
            member.latency.observe(now - began, now)
            member.record.answered(now)

    def failed(self, picked: Picked, now: float) -> None:
        """The call got no answer."""
        if (ended := self._end(picked)) is not None:
            member, began = ended
            member.latency.observe_failure(now - began, now)
            if member.record.failed(now) and self._may_eject(member, now):
                member.record.eject(now)
                self.tally.ejections += 1
                member.latency = Latency()  # when it is tried again it is not kept away by what its failures took

    def pushed_back(self, picked: Picked, wait_s: float, now: float) -> None:
        """The member has too much to do: leave it alone for so long."""
        if (ended := self._end(picked)) is not None:
            member, _ = ended
            member.paused_until = max(member.paused_until, now + min(wait_s, PUSH_BACK_S_MAX))

    def abandoned(self, picked: Picked) -> None:
        """The caller gave the call up: it says nothing of the member."""
        self._end(picked)

    def _end(self, picked: Picked) -> tuple[Member, float] | None:
        """The member and when the call began; None when the member has left meanwhile."""
        member = self._members.get(picked.endpoint.address)
        began = member.running.pop(picked.number, None) if member else None
        return (member, began) if member and began is not None else None

    def _of_shares(self, now: float, chance: Chance) -> Member | None:
        """By weight; a fleet of which nobody is usable leaves its share to the others."""
        weights = {f: self._table.weights[f] for f in self._fleets}
        while weights:
            fleet = self._shares.choose(weights) if len(weights) > 1 else next(iter(weights))
            if (member := self._of(self._fleets[fleet], now, chance, ())) is not None:
                return member
            weights = {f: w for f, w in weights.items() if f != fleet}
        return None

    def _of(self, pool: _Pool, now: float, chance: Chance, tried: Collection[str]) -> Member | None:
        here = self._lighter(self._two(pool.near, now, chance, tried), now, chance)
        there = self._lighter(self._two(pool.far, now, chance, tried), now, chance)
        if here is None or there is None:
            return here or there
        unknown_s = self._unknown_s((here, there), now)
        return there if here.load(now, unknown_s) > ZONE_YIELD * there.load(now, unknown_s) else here

    def _two(self, members: Sequence[Member], now: float, chance: Chance, tried: Collection[str]) -> list[Member]:
        """Two usable members by lot, or as many as there are."""
        found: list[Member] = []
        for _ in range(LOTS_MAX if members else 0):
            member = members[chance(len(members))]
            if member not in found and _is_usable(member, now, tried):
                found.append(member)
                if len(found) == 2:  # noqa: PLR2004  the power of two choices
                    return found
        usable = [m for m in members if _is_usable(m, now, tried)]
        return usable if len(usable) < 2 or not found else found + [m for m in usable if m not in found][:1]  # noqa: PLR2004

    def _lighter(self, members: Sequence[Member], now: float, chance: Chance) -> Member | None:
        if not members:
            return None
        unknown_s = self._unknown_s(members, now)
        loads = [m.load(now, unknown_s) for m in members]
        least = min(loads)
        light = [m for m, load in zip(members, loads, strict=True) if load == least]
        return light[chance(len(light))] if len(light) > 1 else light[0]

    @staticmethod
    def _unknown_s(members: Sequence[Member], now: float) -> float:
        """Taken for the latency of a member that has not answered yet: the others' mean."""
        known = [s for m in members if (s := m.latency.estimate_s(now)) is not None]
        return sum(known) / len(known) if known else UNKNOWN_S

    def _may_eject(self, member: Member, now: float) -> bool:
        others = [m for m in self._members.values() if m is not member]
        out = sum(m.record.standing(now) is not Standing.IN for m in others)
        counts = [m.record.counts(now) for m in others if m.record.standing(now) is Standing.IN]
        return may_eject(out, len(others) + 1, sum(c for c, _ in counts), sum(f for _, f in counts))


def _is_usable(member: Member, now: float, tried: Collection[str]) -> bool:
    if member.paused_until > now or member.endpoint.address in tried:
        return False
    match member.record.standing(now):
        case Standing.IN:
            return True
        case Standing.TRYING:
            return not member.running
        case Standing.OUT:
            return False
