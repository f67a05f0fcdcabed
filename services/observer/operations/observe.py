"""The tick: read everything as of one instant, judge every scope, write verdicts, then alarms.

Only the leader ticks; its epoch and a growing seq stand on every verdict, so that a deposed leader cannot overwrite.
The tick takes no input: whatever wakes it, it reads the facts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import structlog

from services.observer.domain.activities import Activity
from services.observer.domain.alarms import AlarmState
from services.observer.domain.conditions import group_conditions, loss_condition
from services.observer.domain.evidence import BrokerReading, Failed, FleetMembers, Inventory, Offsets, Readings
from services.observer.domain.flapping import HISTORY, is_flapping
from services.observer.domain.group_health import GroupEvidence, GroupJudgement, HealthPolicy, judge_group
from services.observer.domain.ports import (
    BrokerSource,
    History,
    InventorySource,
    Leadership,
    Ledger,
    MembersSource,
    SignalSource,
    Verdicts,
)
from services.observer.domain.quieting import Firing, QuietWindow
from services.observer.domain.rollup import Judged, LossFinding, roll_up_all, topology_of
from services.observer.domain.topology import Topology
from services.observer.domain.verdict import Verdict
from services.observer.operations.alarm_round import RoundInput, RoundResult, alarm_round
from services.observer.operations.loss_round import LossRound
from services.observer.operations.tick_memory import TickMemory, blind_system, causes_of, or_failed, outage_of
from shared.domain.clock import Clock, Ids
from shared.domain.errors import HeadraceError, Unavailable
from shared.domain.health import VerdictState
from shared.domain.names import GroupName, PipelineName
from shared.domain.reason import Reason
from shared.domain.scope import SYSTEM, Scope, group_scope, pipeline_scope

ACTIVITIES_MAX = 1_000
LOG = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class TickPolicy:
    """Seconds."""

    ttl_s: float
    fast_s: float
    slow_s: float
    leader_ttl_s: float
    alarm_pending_s: float
    health: HealthPolicy


@dataclass(frozen=True, slots=True)
class Sources:
    """Where a tick reads."""

    inventory: InventorySource
    members: MembersSource
    signals: SignalSource
    broker: BrokerSource


class Observing:
    """`tick` is what the loop calls."""

    def __init__(  # noqa: PLR0913  the ports of a tick
        self,
        name: str,
        sources: Sources,
        ledger: Ledger,
        verdicts: Verdicts,
        history: History,
        leadership: Leadership,
        losses: LossRound,
        clock: Clock,
        ids: Ids,
        policy: TickPolicy,
    ) -> None:
        """`name` is this process' own among Observers: a restarted one keeps it, and leads again at once."""
        self._name, self._sources, self._policy = name, sources, policy
        self._ledger, self._verdicts, self._history = ledger, verdicts, history
        self._leadership, self._losses = leadership, losses
        self._clock, self._ids = clock, ids
        self._memory: TickMemory | None = None
        self._epoch, self._seq = 0, 0

    @property
    def leads(self) -> bool:
        """Whether this process ticks."""
        return self._memory is not None

    async def tick(self) -> None:
        """One evaluation of everything."""
        epoch = await self._leadership.hold(self._name, self._policy.leader_ttl_s, fresh=self._epoch == 0)
        if epoch is None:
            self._memory, self._epoch = None, self._epoch or -1
            return
        memory = self._memory
        if memory is None or epoch != self._epoch:
            memory = await self._take_over()
            self._memory, self._epoch, self._seq = memory, epoch, 0
        self._seq += 1
        now = self._clock.now().timestamp()
        inventory, blind = await self._inventory(memory)
        if inventory is None:
            await self._publish([blind_system(blind)], memory, now, frozenset(), {})
            return
        members = await or_failed(self._sources.members.read())
        readings = await self._sources.signals.read(now)
        broker = await self._broker(inventory, now)
        groups = self._judge_groups(inventory, members, readings, broker, memory, now)
        losses = await self._find_losses(inventory, groups, memory, now)
        judged = roll_up_all(inventory, groups, losses)
        outage = outage_of(judged, memory)
        if outage:
            judged[-1] = replace(judged[-1], state=VerdictState.UNKNOWN, reasons=(outage, *judged[-1].reasons))
        activities = await self._ledger.activities(None, include_ended=False, limit=ACTIVITIES_MAX)
        topology = topology_of(inventory)
        causes = causes_of(inventory, groups, readings, activities, topology)
        self._remember_states(judged, memory)
        _, windows = await self._ledger.windows()
        result = self._alarms(judged, groups, losses, outage, memory, windows, activities, topology, now)
        await self._publish(judged, memory, now, result.quieted, causes)
        await self._announce(result, memory, now)

    async def _take_over(self) -> TickMemory:
        """A new leader keeps `since` and open alarms; confirmations start anew."""
        memory = TickMemory()
        try:
            for scope, verdict in (await self._verdicts.read_all()).items():
                memory.since[scope] = (verdict.state, verdict.since)
        except Unavailable as e:
            LOG.warning("verdicts could not be read on taking over", error=str(e))
        memory.alarms = {a.id: a for a in await self._history.open_alarms()}
        return memory

    async def _inventory(self, memory: TickMemory) -> tuple[Inventory | None, str]:
        """As declared now, or as last known: a Provisioner that is down takes no group away."""
        try:
            inventory = await self._sources.inventory.read()
        except HeadraceError as e:
            LOG.warning("inventory could not be read", error=str(e))
            return memory.inventory, str(e)
        memory.inventory = inventory
        await self._ledger.keep_topology(topology_of(inventory))
        return inventory, ""

    async def _broker(self, inventory: Inventory, now: float) -> BrokerReading:
        try:
            return await self._sources.broker.read(inventory)
        except HeadraceError as e:
            return BrokerReading(now, failed={g: str(e) for g, f in inventory.groups.items() if f.topic_in})

    def _judge_groups(  # noqa: PLR0913
        self,
        inventory: Inventory,
        members: Sequence[FleetMembers] | Failed,
        readings: Readings,
        broker: BrokerReading,
        memory: TickMemory,
        now: float,
    ) -> dict[str, GroupJudgement]:
        found: dict[str, GroupJudgement] = {}
        for name, facts in sorted(inventory.groups.items()):
            fleets = members if isinstance(members, Failed) else tuple(m for m in members if m.group == name)
            offsets: Offsets | Failed | None = broker.offsets.get(name)
            if offsets is None and facts.topic_in:
                offsets = Failed(broker.failed.get(name, "not read"))
            evidence = GroupEvidence(facts, fleets, readings, offsets, self._policy.fast_s, self._policy.slow_s)
            found[name], memory.groups[name] = judge_group(evidence, memory.groups.get(name), self._policy.health, now)
        for gone in memory.groups.keys() - inventory.groups.keys():
            del memory.groups[gone]
        return found

    async def _find_losses(
        self, inventory: Inventory, groups: Mapping[str, GroupJudgement], memory: TickMemory, now: float
    ) -> dict[str, LossFinding]:
        for name, facts in inventory.pipelines.items():
            flows = any(
                (groups[g].signals.get("processed_rate", 0.0) > 0) for g in facts.stages.values() if g in groups
            )
            if flows:
                memory.traffic_since.setdefault(name, now)
            else:
                memory.traffic_since.pop(name, None)
        return await self._losses.find([f for _, f in sorted(inventory.pipelines.items())], now, memory.traffic_since)

    def _remember_states(self, judged: Sequence[Judged], memory: TickMemory) -> None:
        for j in judged:
            states = (*memory.states.get(j.scope, ()), j.state)[-HISTORY:]
            memory.states[j.scope] = states
            if is_flapping(states, before=j.scope in memory.flapping):
                memory.flapping.add(j.scope)
            else:
                memory.flapping.discard(j.scope)

    def _alarms(  # noqa: PLR0913
        self,
        judged: Sequence[Judged],
        groups: Mapping[str, GroupJudgement],
        losses: Mapping[str, LossFinding],
        outage: Reason | None,
        memory: TickMemory,
        windows: Sequence[QuietWindow],
        activities: Sequence[Activity],
        topology: Topology,
        now: float,
    ) -> RoundResult:
        conditions: dict[tuple[Scope, str], tuple[Firing, tuple[Reason, ...]]] = {}
        for name, j in groups.items():
            scope = group_scope(GroupName(name))
            conditions |= {(scope, c): v for c, v in group_conditions(scope, j, now).items()}
        for name, loss in losses.items():
            scope = pipeline_scope(PipelineName(name))
            conditions |= {(scope, c): v for c, v in loss_condition(scope, loss, now).items()}
        if outage:
            conditions[SYSTEM, "telemetry"] = (Firing(SYSTEM, "telemetry", now), (outage,))
        given = RoundInput(
            conditions,
            windows,
            activities,
            topology,
            frozenset(memory.flapping & {j.scope for j in judged}),
            self._policy.alarm_pending_s,
            hold_telemetry=outage is not None,
        )
        return alarm_round(list(memory.alarms.values()), given, now, lambda: self._ids.new("alarm"))

    async def _publish(
        self,
        judged: Sequence[Judged],
        memory: TickMemory,
        now: float,
        quieted: frozenset[Scope],
        causes: Mapping[Scope, str],
    ) -> None:
        """Write what is current, drop what left, keep what changed."""
        verdicts: list[Verdict] = []
        changed: list[Verdict] = []
        for j in judged:
            state, since = memory.since.get(j.scope, (None, now))
            if state is not j.state:
                since = now
            memory.since[j.scope] = (j.state, since)
            verdict = Verdict(
                scope=j.scope,
                state=j.state,
                as_of=now,
                since=since,
                ttl_s=self._policy.ttl_s,
                epoch=self._epoch,
                seq=self._seq,
                reasons=j.reasons,
                observed_generation=j.generation,
                coverage=j.coverage,
                cause=causes.get(j.scope, ""),
                quieted=j.scope in quieted,
                flapping=j.scope in memory.flapping,
                signals=j.signals,
            )
            verdicts.append(verdict)
            if state is not j.state:
                changed.append(verdict)
        known = {j.scope for j in judged}
        gone = [s for s in memory.since if s not in known] if len(judged) > 1 else []
        for scope in gone:
            del memory.since[scope]
            memory.states.pop(scope, None)
            memory.flapping.discard(scope)
        try:
            await self._verdicts.write(verdicts)
            if gone:
                await self._verdicts.remove(gone, self._epoch)
        except Unavailable as e:
            LOG.warning("verdicts could not be written: admission is closed until they are", error=str(e))
        for v in changed:
            LOG.info(
                "verdict",
                scope=str(v.scope),
                state=v.state.value,
                reasons=[r.text for r in v.reasons[:3]],
                cause=v.cause,
            )
        if changed:
            await self._history.record_changes(changed)

    async def _announce(self, result: RoundResult, memory: TickMemory, now: float) -> None:
        """Record first, then tell: at least once."""
        if result.changed:
            await self._history.save_alarms(result.changed, result.notifications, now)
        for alarm in result.changed:
            if alarm.state is AlarmState.RESOLVED:
                memory.alarms.pop(alarm.id, None)
            else:
                memory.alarms[alarm.id] = alarm
        for n in result.notifications:
            LOG.warning(
                "alarm", notification=n.event, scope=str(n.alarm.scope), alarm_class=n.alarm.alarm_class, text=n.text
            )
