"""Current verdicts, history, leadership in memory: for the simulator and tests."""

from collections.abc import Callable, Mapping, Sequence

from services.observer.domain.alarms import Alarm, AlarmState, Notification
from services.observer.domain.verdict import Verdict, supersedes
from shared.domain.errors import Unavailable
from shared.domain.scope import Scope


class MemoryVerdicts:
    """`down` makes every call fail, as a lost Redis does; `lose` empties it."""

    def __init__(self) -> None:
        """Empty: everything reads UNKNOWN."""
        self._kept: dict[Scope, Verdict] = {}
        self.down = False

    def lose(self) -> None:
        """As after a restart without its data."""
        self._kept.clear()

    def _up(self) -> None:
        if self.down:
            raise Unavailable("verdict store: down", retry_after_s=2.0)

    async def read(self, scopes: Sequence[Scope]) -> Mapping[Scope, Verdict]:
        """Those there are."""
        self._up()
        return {s: self._kept[s] for s in scopes if s in self._kept}

    async def read_all(self) -> Mapping[Scope, Verdict]:
        """All of them."""
        self._up()
        return dict(sorted(self._kept.items(), key=lambda item: str(item[0])))

    async def write(self, verdicts: Sequence[Verdict]) -> int:
        """Keep the newer ones."""
        self._up()
        kept = 0
        for v in verdicts:
            stored = self._kept.get(v.scope)
            if supersedes((v.epoch, v.seq), (stored.epoch, stored.seq) if stored else None):
                self._kept[v.scope] = v
                kept += 1
        return kept

    async def remove(self, scopes: Sequence[Scope], epoch: int) -> None:
        """Scopes that left the inventory."""
        self._up()
        for scope in scopes:
            if scope in self._kept and self._kept[scope].epoch <= epoch:
                del self._kept[scope]


class MemoryHistory:
    """Changes, alarms and notifications in lists."""

    def __init__(self) -> None:
        """Empty."""
        self._changes: list[Verdict] = []
        self._alarms: dict[str, Alarm] = {}
        self.notifications: list[Notification] = []

    async def record_changes(self, verdicts: Sequence[Verdict]) -> None:
        """In order."""
        self._changes.extend(verdicts)

    async def changes_after(self, position: int, limit: int) -> Sequence[tuple[int, Verdict]]:
        """Positions start at 1."""
        return [(i + 1, v) for i, v in enumerate(self._changes) if i + 1 > position][:limit]

    async def last_position(self) -> int:
        """Of the newest change."""
        return len(self._changes)

    async def open_alarms(self) -> Sequence[Alarm]:
        """Those not resolved."""
        return [a for a in self._alarms.values() if a.state is not AlarmState.RESOLVED]

    async def alarms(self, scope: Scope | None, *, include_resolved: bool, limit: int) -> Sequence[Alarm]:
        """Newest first."""
        found = [
            a
            for a in self._alarms.values()
            if (scope is None or a.scope == scope) and (include_resolved or a.state is not AlarmState.RESOLVED)
        ]
        return sorted(found, key=lambda a: (-a.since, a.id))[:limit]

    async def save_alarms(self, alarms: Sequence[Alarm], notifications: Sequence[Notification], at: float) -> None:  # noqa: ARG002
        """Keep them."""
        self._alarms.update({a.id: a for a in alarms})
        self.notifications.extend(notifications)


class MemoryLeadership:
    """`now` is the store's clock."""

    def __init__(self, now: Callable[[], float]) -> None:
        """Nobody leads."""
        self._now = now
        self._holder, self._epoch, self._until = "", 0, 0.0

    async def hold(self, me: str, ttl_s: float, *, fresh: bool) -> int | None:
        """As the real one."""
        now = self._now()
        if self._holder != me and now < self._until:
            return None
        if fresh or self._holder != me or now >= self._until:
            self._epoch += 1
        self._holder, self._until = me, now + ttl_s
        return self._epoch
