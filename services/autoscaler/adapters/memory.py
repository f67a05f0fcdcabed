"""The store in memory: for the simulator and for tests; held to the real one by a differential test."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from services.autoscaler.domain.decision import OUT, Decision
from services.autoscaler.domain.group import LastOutcome, Reservation
from services.autoscaler.domain.ratings import KEPT_MAX, Rating
from services.autoscaler.domain.records import GroupRecord, Held, Intent, Kept, Lane, OpenIntent, Outcome, Swept
from shared.domain.names import ActivityId, FencingToken, GroupName

FAILED = frozenset({"gave_up", "failed"})


@dataclass(slots=True)
class _Row:
    decision: Decision
    outcome: str = ""


class MemoryStore:
    """Everything in dictionaries; `now_s` is the store's clock."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        """`now_s` gives seconds since the epoch."""
        self._now_s = now_s
        self._leader: tuple[str, float] | None = None
        self._records: dict[GroupName, GroupRecord] = {}
        self._rows: dict[str, _Row] = {}
        self._reserved: dict[tuple[str, str, str], Reservation] = {}
        self._fences: dict[tuple[str, Lane], int] = {}
        self._intents: dict[int, tuple[Intent, str | None]] = {}
        self._numbers = itertools.count(1)
        self._ratings: dict[str, Rating] = {}

    async def lead(self, holder: str, ttl_s: float) -> bool:
        """See `ports.Store`."""
        now_s = self._now_s()
        if self._leader and self._leader[0] != holder and self._leader[1] > now_s:
            return False
        self._leader = (holder, now_s + ttl_s)
        return True

    async def load(self) -> Mapping[GroupName, GroupRecord]:
        """See `ports.Store`."""
        return dict(self._records)

    async def keep(self, kept: Sequence[Kept]) -> None:
        """See `ports.Store`."""
        for k in kept:
            before = self._records.get(k.group, GroupRecord())
            row_at_s = max(before.row_at_s, k.decision.at_s if k.row else 0.0)
            self._records[k.group] = replace(before, memory=k.memory, latest=k.decision, row_at_s=row_at_s)
            if k.row:
                self._rows.setdefault(k.decision.id, _Row(k.decision))

    async def decisions(self, group: GroupName, limit: int) -> tuple[tuple[Decision, str], ...]:
        """See `ports.Store`."""
        rows = [r for r in self._rows.values() if r.decision.group == group]
        rows.sort(key=lambda r: (r.decision.at_s, r.decision.id), reverse=True)
        return tuple((r.decision, r.outcome) for r in rows[:limit])

    async def end(self, outcome: Outcome) -> None:
        """See `ports.Store`."""
        row = self._rows.get(outcome.decision_id)
        if row is None:
            return
        row.outcome = f"{outcome.outcome}: {outcome.text}" if outcome.text else outcome.outcome
        group, direction = row.decision.group, row.decision.action
        before = self._records.get(group, GroupRecord())
        old = before.last_outcome
        failures = (old.failures if old else 0) + 1 if direction == OUT and outcome.outcome in FAILED else 0
        last = LastOutcome(direction, outcome.outcome, outcome.text, outcome.at_s, failures, outcome.retry_after_s)
        self._records[group] = replace(before, last_outcome=last)

    async def reservations(self, group: GroupName | None = None) -> tuple[Reservation, ...]:
        """See `ports.Store`."""
        now_s = self._now_s()
        live = [r for r in self._reserved.values() if r.expires_at_s > now_s and group in {None, r.group}]
        return tuple(sorted(live, key=lambda r: (r.group, r.fleet, r.activity)))

    async def reserve(self, reservation: Reservation) -> Held:
        """See `ports.Store`."""
        r = reservation
        seen = await self.fence(r.group, Lane.SHARES, r.token)
        if seen == r.token:
            older = [k for k, old in self._reserved.items() if old.group == r.group and old.token < r.token]
            for key in older:
                del self._reserved[key]
            self._reserved[r.group, r.fleet, r.activity] = replace(r, expires_at_s=self._now_s() + r.ttl_s)
        return Held(seen, await self.reservations(r.group))

    async def release(self, group: GroupName, activity: ActivityId, token: FencingToken) -> None:
        """See `ports.Store`."""
        for key, r in list(self._reserved.items()):
            if r.group == group and r.activity == activity and r.token <= token:
                del self._reserved[key]

    async def renew(self, group: GroupName, activities: frozenset[ActivityId]) -> None:
        """See `ports.Store`."""
        now_s = self._now_s()
        for key, r in self._reserved.items():
            if r.group == group and r.activity in activities and r.expires_at_s > now_s:
                self._reserved[key] = replace(r, expires_at_s=now_s + r.ttl_s)

    async def fence(self, group: GroupName, lane: Lane, token: FencingToken) -> FencingToken:
        """See `ports.Store`."""
        seen = max(self._fences.get((group, lane), 0), token)
        self._fences[group, lane] = seen
        return FencingToken(seen)

    async def intend(self, intent: Intent) -> int:
        """See `ports.Store`."""
        number = next(self._numbers)
        self._intents[number] = (intent, None)
        return number

    async def settle(self, number: int, result: str) -> None:
        """See `ports.Store`."""
        intent, _ = self._intents[number]
        self._intents[number] = (intent, result)

    async def unsettled(self, older_than_s: float) -> tuple[OpenIntent, ...]:
        """See `ports.Store`."""
        limit = self._now_s() - older_than_s
        return tuple(OpenIntent(n, i) for n, (i, result) in self._intents.items() if result is None and i.at_s <= limit)

    async def add_rating(self, rating: Rating) -> None:
        """See `ports.Store`."""
        self._ratings.setdefault(rating.id, rating)
        for old in (await self.ratings(rating.group, len(self._ratings)))[KEPT_MAX:]:
            del self._ratings[old.id]

    async def ratings(self, group: GroupName, limit: int) -> tuple[Rating, ...]:
        """See `ports.Store`."""
        found = [r for r in self._ratings.values() if r.group == group]
        return tuple(sorted(found, key=_newest_first)[:limit])

    async def newest_ratings(self) -> tuple[Rating, ...]:
        """See `ports.Store`."""
        found: dict[tuple[str, str], Rating] = {}
        for rating in sorted(self._ratings.values(), key=_newest_first):
            found.setdefault((rating.group, rating.node_type), rating)
        return tuple(found[key] for key in sorted(found))

    async def sweep(self, retention_s: float) -> Swept:
        """See `ports.Store`."""
        now_s = self._now_s()
        lapsed = {k: r for k, r in self._reserved.items() if r.expires_at_s <= now_s}
        old_rows = [i for i, row in self._rows.items() if row.decision.at_s < now_s - retention_s]
        old_intents = [n for n, (i, result) in self._intents.items() if result and i.at_s < now_s - retention_s]
        for key in lapsed:
            del self._reserved[key]
        for row in old_rows:
            del self._rows[row]
        for number in old_intents:
            del self._intents[number]
        ended = tuple(sorted(lapsed.values(), key=lambda r: (r.group, r.fleet, r.activity)))
        return Swept(ended, len(old_rows), len(old_intents))


def _newest_first(rating: Rating) -> tuple[float, str]:
    return -rating.rated_at_s, rating.id
