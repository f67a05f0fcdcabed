"""What others may ask: why a group has its size, what was decided before, what would be done on other numbers."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from services.autoscaler.domain.decide import decide
from services.autoscaler.domain.decision import Decision
from services.autoscaler.domain.memory import GroupMemory
from services.autoscaler.domain.policy import Limits
from services.autoscaler.domain.ports import Inventory, Store
from services.autoscaler.domain.ratings import priors
from services.autoscaler.domain.records import GroupRecord
from services.autoscaler.domain.signals import Quality, Sample, Signals
from services.autoscaler.domain.split import floors_of
from shared.domain.clock import Clock, Ids
from shared.domain.errors import InvalidInput, NotFound
from shared.domain.health import VerdictState
from shared.domain.names import GroupName

ROWS_MAX = 500
PERCENT = 100.0


@dataclass(frozen=True, slots=True)
class Explanation:
    """The newest decision with its outcome, the measured rate of a node, the floors held."""

    decision: Decision
    outcome: str
    node_rate: float | None
    floors: Mapping[str, int]


class Questions:
    """Reads only."""

    def __init__(self, inventory: Inventory, store: Store, limits: Limits, clock: Clock, ids: Ids) -> None:
        """All ports."""
        self._inventory, self._store, self._limits = inventory, store, limits
        self._clock, self._ids = clock, ids

    async def explain(self, group: GroupName) -> Explanation:
        """NotFound until the group has been looked at once."""
        record = (await self._store.load()).get(group)
        if record is None or record.latest is None:
            raise NotFound(
                f"group {group} has no scaling decision yet",
                field="group",
                remedy=f"it gets its first within {self._limits.tick_s:g} s of being there; check the name",
            )
        rows = await self._store.decisions(group, 1)
        outcome = rows[0][1] if rows and rows[0][0].id == record.latest.id else ""
        snapshot = await self._inventory.group(group)
        floors = floors_of(snapshot.fleets, await self._store.reservations(group))
        return Explanation(record.latest, outcome, record.memory.node_rate, {f: n for f, n in floors.items() if n})

    async def decisions(self, group: GroupName, limit: int) -> tuple[tuple[Decision, str], ...]:
        """Newest first, with outcomes."""
        return await self._store.decisions(group, max(1, min(limit or ROWS_MAX, ROWS_MAX)))

    async def recommend(
        self, group: GroupName, arrival_rate: float, backlog: float, cpu_percent: float | None
    ) -> Decision:
        """What would be done on these numbers, with the group healthy and watched long enough; changes nothing."""
        for field, value in (("arrival_rate", arrival_rate), ("backlog", backlog), ("cpu_percent", cpu_percent or 0.0)):
            if not 0 <= value < float("inf"):
                raise InvalidInput(
                    f"{field}: {value} is no measurement", field=field, remedy="use a number of 0 or more"
                )
        found = await self._inventory.group(group)
        record = (await self._store.load()).get(group, GroupRecord())
        now_s = self._clock.now().timestamp()

        def known(value: float) -> Sample:
            return Sample(value, now_s, Quality.OK)

        rated = priors(await self._store.newest_ratings()).get((group, found.node_type))
        cores = (cpu_percent or 0.0) / PERCENT * found.cores * found.ready
        throughput = min(arrival_rate, (record.memory.node_rate or arrival_rate) * found.consuming)
        snapshot = replace(
            found,
            verdict=VerdictState.HEALTHY,
            reservations=await self._store.reservations(group),
            total_recorded=record.latest.wanted if record.latest else None,
            rated=rated,
            signals=Signals(
                arrival=known(arrival_rate),
                throughput=known(throughput),
                backlog=known(backlog),
                cpu_cores=known(cores),
                cpu_nodes=known(found.ready),
            ),
        )
        watched = GroupMemory(
            node_rate=record.memory.node_rate,
            observed_since_s=0.0,
            observed_last_s=now_s,
            size_last=snapshot.current,
            ready_last=snapshot.ready,
        )
        frozen = replace(self._limits, window_s=float("inf"))  # given numbers teach nothing about capacity
        return decide(snapshot, watched, frozen, now_s, self._ids.new("what-if"))[0]
