"""Cleaning up: lapsed reservations, old history, and intents whose writer died before it wrote the result."""

from services.autoscaler.domain.ports import Inventory, Store
from services.autoscaler.domain.records import OpenIntent
from services.autoscaler.operations.lease import CALL_DEADLINE_S
from shared.contracts.activities import SweepReport
from shared.domain.errors import NotFound

SETTLE_AFTER_S = 4 * CALL_DEADLINE_S  # by then the call has ended, however it ended


class Sweeping:
    """Run by the schedule; repeated runs are alike."""

    def __init__(self, inventory: Inventory, store: Store, retention_s: float) -> None:
        """`retention_s` is how long history is kept."""
        self._inventory, self._store, self._retention_s = inventory, store, retention_s

    async def sweep(self) -> SweepReport:
        """What was ended, and what was found about unfinished writes."""
        swept = await self._store.sweep(self._retention_s)
        notes = [await self._read_back(o) for o in await self._store.unsettled(SETTLE_AFTER_S)]
        if swept.decisions or swept.intents:
            notes.append(f"dropped {swept.decisions} decisions and {swept.intents} intents past the retention")
        ended = tuple(f"reservation {r.group}/{r.fleet} of {r.activity}" for r in swept.reservations)
        return SweepReport(ended=ended, notes=tuple(notes))

    async def _read_back(self, open_intent: OpenIntent) -> str:
        """The fleet tells whether the write arrived."""
        intent = open_intent.intent
        try:
            fleets = (await self._inventory.group(intent.group)).fleets
        except NotFound:
            fleets = ()
        size = next((f.desired for f in fleets if f.fleet == intent.fleet), None)
        if size is None:
            result = "gone: the fleet is not there any more"
        elif size == intent.wanted:
            result = "set: read back"
        else:
            result = f"lost or superseded: the fleet has {size} nodes"
        await self._store.settle(open_intent.number, result)
        return f"{intent.fleet} {intent.previous} -> {intent.wanted} by {intent.activity}: {result}"
