"""The admission ledger in memory: for the simulator and for tests, held to the real one by a differential test."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from services.observer.domain.activities import Activity, Waiting
from services.observer.domain.quieting import QuietWindow
from services.observer.domain.topology import Topology
from shared.domain.activity import ActivityKind, ActivityOutcome
from shared.domain.errors import AlreadyExists
from shared.domain.names import ActivityId, FencingToken, RequestId
from shared.domain.scope import Scope


@dataclass
class _State:
    activities: dict[ActivityId, Activity] = field(default_factory=dict)
    waiting: dict[RequestId, Waiting] = field(default_factory=dict)
    windows: dict[RequestId, QuietWindow] = field(default_factory=dict)
    topology: Topology = field(default_factory=Topology)

    def copy(self) -> "_State":
        return _State(dict(self.activities), dict(self.waiting), dict(self.windows), self.topology)


class MemoryLedger:
    """`now` is the store's clock, seconds since the epoch."""

    def __init__(self, now: Callable[[], float], quarantine_s: float) -> None:
        """One lock stands for all locks."""
        self._now = now
        self._quarantine_s = quarantine_s
        self._state = _State()
        self._lock = asyncio.Lock()
        self._token = 0

    @asynccontextmanager
    async def admission(
        self,
        scope: Scope,
        *,
        request: RequestId | None = None,
        activity: ActivityId | None = None,  # noqa: ARG002  everything is in memory anyway
        kind: ActivityKind | None = None,
    ) -> AsyncIterator["MemoryTransaction"]:
        """Work on a copy; keep it if the block ends well. A token that was drawn stays drawn, as a sequence's does."""
        async with self._lock:
            if request is not None:
                self._token += 1
            state = self._state.copy()
            waiting_for = scope if kind is ActivityKind.DEPLOY else None
            yield MemoryTransaction(state, self._now(), waiting_for, self._quarantine_s, FencingToken(self._token))
            self._state = state

    async def scope_of(self, activity: ActivityId) -> Scope | None:
        """The scope of an activity."""
        found = self._state.activities.get(activity)
        return found.scope if found else None

    async def topology(self) -> Topology:
        """As last kept."""
        return self._state.topology

    async def keep_topology(self, topology: Topology) -> None:
        """Keep it; an equal one is the same one."""
        async with self._lock:
            if topology != self._state.topology:
                self._state.topology = topology

    async def sweep(self, kept_s: float, waiting_s: float) -> Sequence[Activity]:
        """End what has lapsed; drop what is old."""
        async with self._lock:
            state, now = self._state.copy(), self._now()
            ended = [
                replace(a, outcome=ActivityOutcome.EXPIRED, ended_at=now, parked=False, ask=None)
                for a in state.activities.values()
                if a.outcome is None and a.expires_at <= now
            ]
            for a in ended:
                state.activities[a.id] = a
                _close(state, a.id, a.expires_at)
            state.waiting = {r: w for r, w in state.waiting.items() if w.asked_at >= now - waiting_s}
            state.activities = {
                i: a for i, a in state.activities.items() if a.ended_at is None or a.ended_at >= now - kept_s
            }
            state.windows = {r: w for r, w in state.windows.items() if w.ends_at >= now - kept_s}
            self._state = state
        return sorted(ended, key=lambda a: a.token)

    async def activities(
        self, scope: Scope | None, *, include_ended: bool, limit: int, before: int = 0
    ) -> Sequence[Activity]:
        """Newest first."""
        now = self._now()
        found = [
            a
            for a in self._state.activities.values()
            if (scope is None or a.scope == scope)
            and (include_ended or a.live(now))
            and (not before or a.token < before)
        ]
        return sorted(found, key=lambda a: -a.token)[:limit]

    async def windows(self) -> tuple[float, Sequence[QuietWindow]]:
        """Those not yet over."""
        now = self._now()
        return now, [w for w in self._state.windows.values() if w.over_at > now]


def _close(state: _State, activity: ActivityId, at: float) -> None:
    for request, window in list(state.windows.items()):
        if window.activity == activity and window.closed_at is None:
            state.windows[request] = replace(window, closed_at=at)


class MemoryTransaction:
    """Reads and writes of one admission."""

    def __init__(
        self, state: _State, now: float, waiting_for: Scope | None, quarantine_s: float, token: FencingToken
    ) -> None:
        """A copy of everything, as of `now`."""
        self._state = state
        self.now = now
        self.topology = state.topology
        self.token = token
        self.unsettled: Sequence[Activity] = sorted(
            (a for a in state.activities.values() if a.unsettled(now, quarantine_s)),
            key=lambda a: a.token,
        )
        self.waiting: Sequence[Waiting] = [w for w in state.waiting.values() if w.scope == waiting_for]

    async def by_request(self, request: RequestId) -> Activity | None:
        """What was granted under a request id."""
        return next((a for a in self._state.activities.values() if a.request == request), None)

    async def by_id(self, activity: ActivityId) -> Activity | None:
        """One activity."""
        return self._state.activities.get(activity)

    async def add(self, activity: Activity) -> None:
        """A new row; its id and request must be new."""
        if activity.id in self._state.activities or await self.by_request(activity.request):
            raise AlreadyExists(f"activity {activity.id} or request {activity.request} exists")
        self._state.activities[activity.id] = activity

    async def save(self, activity: Activity) -> None:
        """A changed row."""
        self._state.activities[activity.id] = activity

    async def save_waiting(self, waiting: Waiting) -> None:
        """Insert or change."""
        self._state.waiting[waiting.request] = waiting

    async def quiet_seconds(self, scope: Scope, since: float) -> float:
        """Seconds of quiet of a scope after `since`, up to now."""
        total = 0.0
        for w in self._state.windows.values():
            if w.scope == scope and w.ends_at > since:
                end = w.ends_at if w.closed_at is None else min(w.closed_at, w.ends_at)
                total += max(0.0, min(end, self.now) - max(w.starts_at, since))
        return total

    async def window_of_request(self, request: RequestId) -> QuietWindow | None:
        """A person's window."""
        return self._state.windows.get(request)

    async def open_window(self, window: QuietWindow, request: RequestId) -> None:
        """A new window."""
        self._state.windows[request] = window

    async def finish(self, ended: Activity, windows_close_at: float) -> None:
        """An activity that has ended, and its windows with it."""
        self._state.activities[ended.id] = ended
        _close(self._state, ended.id, windows_close_at)
