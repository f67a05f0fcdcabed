"""The Observer's stores as its replicas see them: shared memory adapters, each behind its own connection.

What a decision was made from is left on the RPC (`Call.seen`), so that invariants judge it by what it could know.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from services.observer.adapters.memory_ledger import MemoryLedger, MemoryTransaction
from services.observer.adapters.memory_verdicts import MemoryVerdicts
from services.observer.domain.activities import Activity
from services.observer.domain.quieting import QuietWindow
from services.observer.domain.topology import Topology
from services.observer.domain.verdict import Verdict
from shared.domain.activity import ActivityKind
from shared.domain.errors import Unavailable
from shared.domain.names import ActivityId, RequestId
from shared.domain.scope import Scope
from tests.sim.invariants.base import Commit, LedgerState
from tests.sim.kernel.loop import PROCESS
from tests.sim.kernel.rpc import CALL
from tests.sim.world.fate import Fate

Tell = Callable[..., None]


def state_of(ledger: MemoryLedger) -> LedgerState:
    """What the ledger holds; its dictionaries are replaced by each transaction, never changed."""
    s = ledger._state
    return LedgerState(s.activities, s.waiting, s.windows, s.topology)


class SimLedger:
    """One replica's connection to the ledger; implements `ports.Ledger`."""

    def __init__(self, inner: MemoryLedger, fate: Fate, tell: Tell) -> None:
        self._inner, self._fate, self._tell = inner, fate, tell

    @asynccontextmanager
    async def admission(
        self,
        scope: Scope,
        *,
        request: RequestId | None = None,
        activity: ActivityId | None = None,
        kind: ActivityKind | None = None,
    ) -> AsyncIterator[MemoryTransaction]:
        """Locked, decided and committed at one instant; the connection may break before or after it."""
        unheard = await self._fate.before()
        before = state_of(self._inner)
        async with self._inner.admission(scope, request=request, activity=activity, kind=kind) as tx:
            yield tx
        self._committed(before, tx.now)
        await self._fate.back(unheard=unheard)

    def _committed(self, before: LedgerState, now: float) -> None:
        after, call = state_of(self._inner), CALL.get()
        if call is not None:
            call.seen["before"], call.seen["ledger"] = (before, now), (after, now)
        self._tell("committed", Commit(now, before, after, call))

    async def scope_of(self, activity: ActivityId) -> Scope | None:
        """See the port."""
        await self._fate.before()
        return await self._inner.scope_of(activity)

    async def topology(self) -> Topology:
        """See the port; the real one remembers it between calls."""
        return await self._inner.topology()

    async def keep_topology(self, topology: Topology) -> None:
        """See the port."""
        await self._fate.before()
        await self._inner.keep_topology(topology)

    async def sweep(self, kept_s: float, waiting_s: float) -> Sequence[Activity]:
        """See the port."""
        unheard = await self._fate.before()
        before, now = state_of(self._inner), self._inner._now()
        ended = await self._inner.sweep(kept_s, waiting_s)
        self._committed(before, now)
        await self._fate.back(unheard=unheard)
        return ended

    async def activities(
        self, scope: Scope | None, *, include_ended: bool, limit: int, before: int = 0
    ) -> Sequence[Activity]:
        """See the port."""
        await self._fate.before()
        return await self._inner.activities(scope, include_ended=include_ended, limit=limit, before=before)

    async def windows(self) -> tuple[float, Sequence[QuietWindow]]:
        """See the port."""
        await self._fate.before()
        return await self._inner.windows()


class SimVerdicts:
    """One replica's connection to the current verdicts; implements `ports.Verdicts`."""

    def __init__(self, inner: MemoryVerdicts, fate: Fate, tell: Tell) -> None:
        self._inner, self._fate, self._tell = inner, fate, tell

    async def read(self, scopes: Sequence[Scope]) -> Mapping[Scope, Verdict]:
        """See the port."""
        call = CALL.get()
        try:
            await self._fate.before()
        except Unavailable:
            if call is not None:
                call.seen["verdicts failed"], call.seen["verdicts"] = True, {}
            raise
        found = await self._inner.read(scopes)
        if call is not None:
            call.seen["verdicts"] = found
        return found

    async def read_all(self) -> Mapping[Scope, Verdict]:
        """See the port."""
        await self._fate.before()
        return await self._inner.read_all()

    async def write(self, verdicts: Sequence[Verdict]) -> int:
        """See the port."""
        unheard = await self._fate.before()
        before = dict(self._inner._kept)
        kept = await self._inner.write(verdicts)
        self._tell("judged", str(PROCESS.get()), before, self._inner._kept)
        await self._fate.back(unheard=unheard)
        return kept

    async def remove(self, scopes: Sequence[Scope], epoch: int) -> None:
        """See the port."""
        await self._fate.before()
        await self._inner.remove(scopes, epoch)
