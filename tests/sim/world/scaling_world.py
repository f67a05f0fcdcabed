"""Two replicas of the Autoscaler beside the Observer's, over the model of Auto Scaling and traffic that comes and goes."""

import contextvars
from collections.abc import Mapping
from typing import Any

from services.autoscaler.__main__ import Adapters, build
from services.autoscaler.adapters.inventory import fleet_of, policy_of
from services.autoscaler.adapters.memory import MemoryStore
from services.autoscaler.adapters.observer import ObserverHealth
from services.autoscaler.domain.decision import IN, Decision
from services.autoscaler.domain.group import GroupSnapshot
from services.autoscaler.domain.signals import Signals
from services.autoscaler.settings import AutoscalerSettings
from services.observer.operations.observe import Sources
from shared.aws.groups import AsgState
from shared.clients.observer import ObserverClient
from shared.contracts.objects import Autoscaling, LagTarget
from shared.domain.errors import NotFound, Unavailable
from shared.domain.names import GroupName
from shared.service import Loop
from tests.sim.invariants.base import Watch
from tests.sim.invariants.scaling import Resize, SizesAtEnd
from tests.sim.kernel.clock import SimIds
from tests.sim.kernel.loop import Incarnation, SimLoop
from tests.sim.kernel.processes import Process
from tests.sim.kernel.record import Record
from tests.sim.plan import Event, Plan
from tests.sim.world.carrier import Replicas, ScaleHold
from tests.sim.world.fate import Remote
from tests.sim.world.fleets import ZONES, Fleets, SimSizes
from tests.sim.world.holder import Intention
from tests.sim.world.load import (
    PARTITIONS,
    STEP_S,
    Flow,
    Traffic,
    TrafficBroker,
    TrafficMembers,
    TrafficMetrics,
    TrafficSignals,
    lasting,
)
from tests.sim.world.observer_world import GROUPS, IDENTITY, PIPELINES, ObserverWorld
from tests.sim.world.plant import Plant, PlantInventory
from tests.sim.world.stores import state_of

SCALERS = ("autoscaler-1", "autoscaler-2")
WORKER = "worker"
NODES_MIN, NODES_MAX, NODES_FIRST = 2, 12, 3
BASE_RATE = 90.0  # events a second: three machines do
SETTINGS = AutoscalerSettings()
SCALING = Autoscaling(min_nodes=NODES_MIN, max_nodes=NODES_MAX, targets=(LagTarget(seconds=5),), scale_in_after_s=300.0)


class JoinedFleets:
    """Groups as declared, with their fleets as AWS describes them: implements the Autoscaler's `Inventory`."""

    def __init__(self, plant: Plant, fleets: Fleets) -> None:
        self._plant, self._fleets = plant, fleets
        self._policy = policy_of(SCALING)
        self._read: tuple[AsgState, ...] = ()
        self._made: tuple[GroupSnapshot, ...] = ()

    async def groups(self) -> tuple[GroupSnapshot, ...]:
        """See the port."""
        if self._plant.is_ill("", "inventory") or self._plant.is_ill("", "cloud"):
            raise Unavailable("the inventory does not answer")
        states = self._fleets.seen()
        if states is not self._read:
            self._read, self._made = states, tuple(self._snapshot(g, states) for g in self._plant.groups)
        return self._made

    def _snapshot(self, group: str, states: tuple[AsgState, ...]) -> GroupSnapshot:
        return GroupSnapshot(
            group=GroupName(group),
            policy=self._policy,
            fleets=tuple(fleet_of(s, 100) for s in states if s.group == group),
            signals=Signals(),
            stream=True,
            partitions=PARTITIONS,
        )

    async def group(self, name: GroupName) -> GroupSnapshot:
        """See the port."""
        for snapshot in await self.groups():
            if snapshot.group == name:
                return snapshot
        raise NotFound(f"group {name} is not there")


class QuietMeter:
    """Implements `Meter`: nobody looks."""

    def decided(self, decision: Decision, node_rate: float | None) -> None:
        """Nothing."""


class ScalingWorld(ObserverWorld):
    """The world of admission, with machines to scale."""

    def __init__(self, plan: Plan, loop: SimLoop, record: Record, watch: Watch) -> None:
        self.fleets = Fleets(loop)
        self.traffic = Traffic(self.fleets, {g: Flow(BASE_RATE) for g in GROUPS})
        super().__init__(plan, loop, record, watch)
        self.fleets.boots, self.fleets.reads = self.streams.of("boots"), self.streams.of("describes")
        self.scaling_store = MemoryStore(self._store_s)
        self.autoscalers = Replicas()
        self._waited: Mapping[str, float] = {}
        self._decisions: dict[str, Decision] = {}
        self._running: dict[str, Intention] = {}
        for name in SCALERS:
            process = self.processes[name] = Process(name, loop, record, self._boot_autoscaler)
            self.autoscalers.processes[name] = process
        self.processes[WORKER] = Process(WORKER, loop, record, self._boot_holder)
        self._chances[WORKER] = self.streams.of(f"holder/{WORKER}")

    def start(self) -> None:
        """Machines first."""
        for group in GROUPS:
            self.fleets.create(group, NODES_FIRST, NODES_MIN, NODES_MAX)
        super().start()
        self._flow()
        self.loop.call_at(self.plan.heal_at_s, self._healed, context=contextvars.Context())

    def _healed(self) -> None:
        self._waited = {g: flow.backlog for g, flow in self.traffic.flows.items()}

    def _flow(self) -> None:
        self.traffic.step()
        self.loop.call_later(STEP_S, self._flow, context=contextvars.Context())

    def _sources(self, name: str) -> Sources:
        plant, traffic = self.plant, self.traffic
        return Sources(
            PlantInventory(plant), TrafficMembers(plant, traffic), TrafficMetrics(plant, traffic),
            TrafficBroker(plant, traffic),
        )  # fmt: skip

    async def _boot_autoscaler(self, life: Incarnation) -> None:
        name, clock, settings = life.name, self.processes[life.name].clock, SETTINGS
        channel: Any = self.board.channel(name, IDENTITY["autoscaler"], self._replicas("autoscaler"))
        store: Any = Remote(self.scaling_store, self._fate("postgres", name))
        service = build(
            settings,
            Adapters(
                inventory=JoinedFleets(self.plant, self.fleets),
                signals=TrafficSignals(self.plant, self.traffic),
                health=ObserverHealth(ObserverClient(channel)),
                store=store,
                sizes=SimSizes(self.fleets, self._fate("aws", name), clock, lambda asg, n: self._resized(name, asg, n)),
                scalings=_Scalings(self),
                meter=QuietMeter(),
                clock=clock,
                ids=SimIds(str(life), clock),
            ),
        )
        self.autoscalers.services[name] = service
        await Loop("scaling", settings.limits().tick_s, clock, service.tick.tick).start()

    def begin_scaling(self, decision: Decision) -> bool:
        """One at a time per group, as the workflow's id has it."""
        running = self._running.get(decision.group)
        if running is not None and not running.outcome:
            return False
        kind, number = "SCALE_IN" if decision.action == IN else "SCALE_OUT", len(self.intentions) + 1
        given: Mapping[str, Any] = {"signal_age_s": decision.signal_age_s if kind == "SCALE_OUT" else None}
        holder = f"{WORKER}/scale-{decision.group}-{number}"
        intention = Intention(number, kind, f"group/{decision.group}", holder, 1, 0.0, given)
        self.intentions.append(intention)
        self._running[decision.group], self._decisions[holder] = intention, decision
        self.record.say(WORKER, f"{kind} to {dict(decision.desired)}", intention.scope)
        if self.processes[WORKER].up:
            self._carry_out(WORKER, intention)
        return True

    def _carry_out(self, name: str, intention: Intention) -> None:
        if name != WORKER:
            super()._carry_out(name, intention)
            return
        hold = ScaleHold(intention, *self._holding(WORKER, IDENTITY["autoscaler"]))
        hold.replicas, hold.decision = self.autoscalers, self._decisions[intention.holder]
        self.processes[WORKER].spawn(hold.carry_out())

    def _resized(self, name: str, asg: str, nodes: int) -> None:
        group = asg.removeprefix("default-").rpartition("-")[0]
        flow, before = self.traffic.flows[group], self.fleets.world.groups[asg].desired
        intents = [i for i, result in self.scaling_store._intents.values() if result is None]
        self.record.say(name, f"sets {before} -> {nodes} for {flow.arrival:.0f}/s", f"group/{group}")
        ill = [how for g, how in self.plant.ill if g in {"", group}]
        peak = lasting(flow.lately)
        seen = Resize(
            group,
            asg,
            before,
            nodes,
            flow.least,
            flow.backlog,
            intents,
            tuple(ill),
            arrival_now=flow.arrival,
            peak=peak,
        )
        self.watch.tell("resized", seen, state_of(self.ledger), self._store_s())

    def finish(self) -> None:
        """What invariants of sizes want to know at the end."""
        super().finish()
        sizes = {
            s.group: (s.desired, s.in_service, self.traffic.flows[s.group].arrival, self.traffic.flows[s.group].backlog)
            for s in self.fleets.states()
        }
        pipelines = [frozenset(stages.values()) for stages in PIPELINES.values()]
        quiet_s = self.plan.horizon_s - self.plan.heal_at_s
        self.watch.tell("settled", SizesAtEnd(quiet_s, sizes, self._waited, pipelines))

    # ------------------------------------------------------------------------------------------------- what is done

    def do_load(self, event: Event) -> None:
        """More traffic, or less, for a while."""
        flow, factor = self.traffic.flows[str(event["group"])], float(event["factor"])
        flow.factors.append(factor)
        self._for(event, lambda: flow.factors.remove(factor))

    def do_describe_late(self, event: Event) -> None:
        """AWS shows what was written some seconds later."""
        self.fleets.describe_late(float(event["late_s"]))
        self._for(event, lambda: self.fleets.describe_late(0.0))

    def do_lose_machine(self, event: Event) -> None:
        """A machine dies."""
        self.fleets.lose_machine(str(event["group"]))

    def do_no_capacity(self, event: Event) -> None:
        """EC2 has no machine to give, in some zones or all."""
        zones = ZONES[: int(event["zones"])]
        self.fleets.refuse(zones, "InsufficientInstanceCapacity")
        self._for(event, lambda: self.fleets.refuse(zones, ""))


class _Scalings:
    """Implements `Scalings`."""

    def __init__(self, world: ScalingWorld) -> None:
        self._world = world

    async def start(self, decision: Decision) -> bool:
        """See the port."""
        return self._world.begin_scaling(decision)
