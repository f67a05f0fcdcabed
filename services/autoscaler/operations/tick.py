"""The loop: read the facts, decide for every group, keep what was decided, start what is to be done.

Takes no input and stays out of Temporal; only acting is a workflow, one per group. Whatever cannot be read makes the
groups it covers hold, and says so in their decisions.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import structlog

from services.autoscaler.domain.capacity import node_rate
from services.autoscaler.domain.decide import decide
from services.autoscaler.domain.decision import HOLD, Decision
from services.autoscaler.domain.group import GroupSnapshot, Reservation
from services.autoscaler.domain.policy import Limits
from services.autoscaler.domain.ports import Health, Inventory, Meter, Scalings, SignalSource, Store
from services.autoscaler.domain.ratings import priors
from services.autoscaler.domain.records import GroupRecord, Kept
from services.autoscaler.domain.signals import Signals
from shared.domain.clock import Clock, Ids
from shared.domain.errors import HeadraceError
from shared.domain.health import VerdictState
from shared.domain.names import GroupName

LEAD_TICKS = 2.0  # a leader that misses so many ticks is deposed
ROW_EVERY_S = 300.0  # an unchanged decision to hold becomes a row again after this long
ACT_EVERY_S = 60.0  # an unchanged decision to act of which nothing was heard is made anew after this long
LOG = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Facts:
    """What a tick reads beside the groups themselves."""

    signals: Mapping[GroupName, Signals]
    verdicts: Mapping[GroupName, VerdictState]
    records: Mapping[GroupName, GroupRecord]
    reservations: tuple[Reservation, ...]
    rated: Mapping[tuple[GroupName, str], float]  # by group and type of node


class ScalingTick:
    """One look at all groups."""

    def __init__(  # noqa: PLR0913  the ports of the loop
        self,
        *,
        inventory: Inventory,
        signals: SignalSource,
        health: Health,
        store: Store,
        scalings: Scalings,
        meter: Meter,
        limits: Limits,
        clock: Clock,
        ids: Ids,
    ) -> None:
        """All ports, and the limits of the profile."""
        self._inventory, self._signals, self._health, self._store = inventory, signals, health, store
        self._scalings, self._meter, self._limits, self._clock, self._ids = scalings, meter, limits, clock, ids
        self._holder = ids.new("autoscaler")

    async def tick(self) -> None:
        """Decide for every group; does nothing while another process leads."""
        if not await self._store.lead(self._holder, LEAD_TICKS * self._limits.tick_s):
            return
        groups = await self._inventory.groups()
        await self._renew()
        facts = await self._facts(groups)
        kept = [self._decided(g, facts) for g in groups]
        await self._store.keep(kept)
        for k in kept:
            if k.decision.action != HOLD:
                await self._start(k.decision)

    async def _facts(self, groups: tuple[GroupSnapshot, ...]) -> Facts:
        return Facts(
            signals=await self._signals.read(groups, self._now_s()),
            verdicts=await self._health.verdicts(),
            records=await self._store.load(),
            reservations=await self._store.reservations(),
            rated=priors(await self._store.newest_ratings()),
        )

    async def _renew(self) -> None:
        """A reservation lives as long as its activity does."""
        for group in sorted({r.group for r in await self._store.reservations()}):
            living = await self._health.living(group)
            if living:
                await self._store.renew(group, frozenset(living))

    def _decided(self, group: GroupSnapshot, facts: Facts) -> Kept:
        now_s = self._now_s()
        record = facts.records.get(group.group, GroupRecord())
        snapshot = completed(group, facts, record)
        decision, memory = decide(snapshot, record.memory, self._limits, now_s, self._ids.new("dec"))
        known = record.latest if still_stands(record, decision, now_s) else None
        row = known is None
        if known is not None:
            decision = replace(decision, id=known.id)
        self._meter.decided(decision, node_rate(memory, snapshot)[0])
        return Kept(group.group, memory, decision, row)

    async def _start(self, decision: Decision) -> None:
        try:
            started = await self._scalings.start(decision)
        except HeadraceError as e:
            LOG.warning("scaling was not started", group=decision.group, decision=decision.id, why=str(e))
            return
        if started:
            sizes = {str(f): n for f, n in decision.desired.items()}
            LOG.info("scaling started", group=decision.group, decision=decision.id, sizes=sizes)

    def _now_s(self) -> float:
        return self._clock.now().timestamp()


def still_stands(record: GroupRecord, decision: Decision, now_s: float) -> bool:
    """Whether the newest row says the same already, and has not come to an end yet.

    An admission is asked for once per decision, so a try after a refusal must be a decision of its own.
    """
    if not decision.same_as(record.latest):
        return False
    if decision.action == HOLD:
        return now_s - record.row_at_s < ROW_EVERY_S
    ended = record.last_outcome is not None and record.last_outcome.at_s >= record.row_at_s
    return not ended and now_s - record.row_at_s < ACT_EVERY_S


def completed(group: GroupSnapshot, facts: Facts, record: GroupRecord) -> GroupSnapshot:
    """The group with everything that was read about it."""
    return replace(
        group,
        signals=facts.signals.get(group.group, Signals()),
        verdict=facts.verdicts.get(group.group, VerdictState.UNKNOWN),
        reservations=tuple(r for r in facts.reservations if r.group == group.group),
        total_recorded=record.latest.wanted if record.latest else None,
        last_outcome=record.last_outcome,
        rated=facts.rated.get((group.group, group.node_type)),
    )
