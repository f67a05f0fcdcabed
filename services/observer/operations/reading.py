"""Questions about verdicts, activities and alarms; they change nothing."""

from collections.abc import AsyncIterator, Sequence

from services.observer.domain.activities import Activity
from services.observer.domain.alarms import Alarm
from services.observer.domain.ports import History, Ledger, Verdicts
from services.observer.domain.topology import Topology
from services.observer.domain.verdict import Verdict
from shared.domain.clock import Clock
from shared.domain.errors import InvalidInput, NotFound
from shared.domain.health import VerdictState
from shared.domain.reason import Reason
from shared.domain.scope import SYSTEM, Scope, ScopeKind

WATCH_EVERY_S = 0.5
CHANGES_PAGE = 500


class Reading:
    """What the Observer knows."""

    def __init__(self, ledger: Ledger, verdicts: Verdicts, history: History, clock: Clock) -> None:
        """Over the stores."""
        self._ledger, self._verdicts, self._history, self._clock = ledger, verdicts, history, clock

    @property
    def now(self) -> float:
        """Seconds since the epoch."""
        return self._clock.now().timestamp()

    async def verdict(self, scope: Scope) -> Verdict:
        """One verdict; UNKNOWN for a scope that is known and not judged yet, NotFound for one that is not known."""
        found = (await self._verdicts.read((scope,))).get(scope)
        if found:
            return found
        if not _known(scope, await self._ledger.topology()):
            raise NotFound(
                f"{scope} is not in the inventory", field="scope", remedy="`headrace get verdicts` lists scopes"
            )
        never = Reason("NeverEvaluated", str(scope), "it has not been evaluated yet")
        return Verdict(scope, VerdictState.UNKNOWN, as_of=0.0, since=self.now, ttl_s=0.0, reasons=(never,))

    async def verdicts(self, prefix: str) -> Sequence[Verdict]:
        """All whose scope starts so, by scope."""
        return [v for s, v in (await self._verdicts.read_all()).items() if str(s).startswith(prefix)]

    async def watch(self, prefix: str, resume_token: str) -> AsyncIterator[tuple[Verdict, str]]:
        """Changes after the token; without one, first what is current. Never ends by itself."""
        position = _position(resume_token)
        if position is None:
            position = await self._history.last_position()
            for verdict in await self.verdicts(prefix):
                yield verdict, str(position)
        while True:
            changes = await self._history.changes_after(position, CHANGES_PAGE)
            for position, verdict in changes:
                if str(verdict.scope).startswith(prefix):
                    yield verdict, str(position)
            if not changes:
                await self._clock.sleep(WATCH_EVERY_S)

    async def activities(
        self, scope: Scope | None, *, include_ended: bool, limit: int, before: int
    ) -> Sequence[Activity]:
        """Newest first."""
        return await self._ledger.activities(scope, include_ended=include_ended, limit=limit, before=before)

    async def alarms(self, scope: Scope | None, *, include_resolved: bool, limit: int) -> Sequence[Alarm]:
        """Newest first."""
        return await self._history.alarms(scope, include_resolved=include_resolved, limit=limit)


def _position(token: str) -> int | None:
    if not token:
        return None
    if not token.isdigit():
        raise InvalidInput(
            f"resume_token: {token!r} was not given by us", field="resume_token", remedy="start without one"
        )
    return int(token)


def _known(scope: Scope, topology: Topology) -> bool:
    match scope.kind:
        case ScopeKind.SYSTEM:
            return scope == SYSTEM
        case ScopeKind.GROUP:
            return scope.name in topology.groups
        case ScopeKind.PIPELINE:
            return scope.name in topology.pipelines
        case ScopeKind.STAGE:
            return scope.names[1] in topology.pipelines.get(scope.names[0], {})
