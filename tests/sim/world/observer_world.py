"""Two replicas of the Observer as shipped, and holders who ask them: the world of admission."""

import contextvars
import random
from collections.abc import Callable, Mapping
from typing import Any

from services.observer.__main__ import Adapters, Service, build
from services.observer.adapters.audit_stores import MemoryAudits
from services.observer.adapters.memory_ledger import MemoryLedger
from services.observer.adapters.memory_verdicts import MemoryHistory, MemoryLeadership, MemoryVerdicts
from services.observer.domain.loss import BUCKET_S, bucket_start
from services.observer.grpc_api import ALLOWED
from services.observer.operations.observe import Sources
from services.observer.settings import ObserverSettings
from shared.clients.observer import ObserverClient
from shared.contracts.admission import EndInput
from shared.domain.activity import ActivityKind, ActivityOutcome
from shared.domain.errors import HeadraceError
from shared.service import Loop
from tests.sim.invariants.base import End, Watch, Write
from tests.sim.kernel.clock import EPOCH_S, SimClock, SimIds
from tests.sim.kernel.loop import Incarnation, SimLoop
from tests.sim.kernel.network import Network, Weather
from tests.sim.kernel.processes import Process
from tests.sim.kernel.record import Record
from tests.sim.kernel.rpc import Call, SimServer, Switchboard
from tests.sim.kernel.streams import Streams
from tests.sim.plan import Event, Plan
from tests.sim.world.audits import IDS, KEPT, reports, sketch
from tests.sim.world.certificates import certificate
from tests.sim.world.fate import Fate, Remote, Trouble, Troubles
from tests.sim.world.holder import CALL_S_MAX, Hold, Intention, Outside
from tests.sim.world.places import Episode, Places
from tests.sim.world.plant import Plant, PlantBroker, PlantInventory, PlantMembers, PlantSignals
from tests.sim.world.stores import SimLedger, SimVerdicts, state_of

REPLICAS = ("observer-1", "observer-2")
HOLDERS = ("deployer", "provisioner", "autoscaler", "people")
IDENTITIES = (
    "service/deployer", "service/provisioner", "service/autoscaler", "service/admin-api", "service/observer",
)  # fmt: skip
PIPELINES: Mapping[str, Mapping[str, str]] = {"p": {"first": "a", "second": "b"}, "q": {"only": "c"}}
GROUPS = ("a", "b", "c", "lone")
SETTINGS = ObserverSettings(listen="0.0.0.0:7443")
DEAD_S = 5.0  # a process that died at a place is started again
IDENTITY = dict(zip(HOLDERS, IDENTITIES, strict=False))


def prepared() -> None:
    """What may take the real time or chance is made before the seal closes."""
    for identity in IDENTITIES:
        certificate(identity)
    for count in (IDS, KEPT):
        sketch(count)
    for name in ("tick", "sweep", "scaling", "operations", "watch", "routes"):
        from shared.service import TICK_FAILURES, TICKS

        TICKS.labels(name)
        TICK_FAILURES.labels(name)


class ObserverWorld:
    """Everything that lives in one run; `do` is called with each event of the plan when its time has come."""

    def __init__(self, plan: Plan, loop: SimLoop, record: Record, watch: Watch) -> None:
        self.plan, self.loop, self.record, self.watch = plan, loop, record, watch
        self.streams = Streams(plan.seed)
        self.troubles = Troubles()
        self.places = Places(self.streams, record, lambda name: self._do_crash(name, DEAD_S))
        self.processes: dict[str, Process] = {}
        self.network = Network(loop, self.streams, record, plan.quantum_s, self.processes)
        certificates = {identity: certificate(identity) for identity in IDENTITIES}
        self.board = Switchboard(self.network, self.processes, certificates, self._answered)
        self.settings = SETTINGS
        self.ledger = MemoryLedger(self._store_s, self.settings.limits.call_deadline_s_max)
        self.verdicts, self.history, self.audits = MemoryVerdicts(), MemoryHistory(), MemoryAudits()
        self.leadership = MemoryLeadership(self._store_s)
        self.plant = Plant(loop.time, PIPELINES, GROUPS)
        self.intentions: list[Intention] = []
        self._chances = {name: self.streams.of(f"holder/{name}") for name in HOLDERS}
        self._cloud = self.streams.of("cloud")
        self._slow_cloud = 0
        for name in REPLICAS:
            self.processes[name] = Process(name, loop, record, self._boot_observer)
        for name in HOLDERS:
            self.processes[name] = Process(name, loop, record, self._boot_holder)

    def _store_s(self) -> float:
        return EPOCH_S + self.loop.time()

    def start(self) -> None:
        """Everything up, and the plan's events on the agenda."""
        for process in self.processes.values():
            process.start()
        for event in self.plan.events:
            self.loop.call_at(float(event["at"]), self._do, event, context=contextvars.Context())

        self.loop.call_later(BUCKET_S, self._audited, context=contextvars.Context())

    def _audited(self) -> None:
        """Each minute, nodes report on the one that is over."""
        minute = bucket_start(self._store_s()) - BUCKET_S
        self.loop.create_task(self.audits.add(tuple(reports(self.plant, minute))), context=contextvars.Context())
        self.loop.call_later(BUCKET_S, self._audited, context=contextvars.Context())

    # ------------------------------------------------------------------------------------------------------ processes

    async def _boot_observer(self, life: Incarnation) -> None:
        name = life.name
        clock = self.processes[name].clock
        service = build(self.settings.model_copy(update={"replica": name}), self._adapters(name, str(life)))
        server = SimServer(ALLOWED)
        registering: Any = server  # as much of a server as registering needs
        service.api.add_to(registering)
        await server.open()
        self.board.servers[name] = server
        await Loop("tick", self.settings.tick_s, clock, service.observing.tick).start()
        await Loop("sweep", self.settings.sweep_s, clock, service.sweeping.tick).start()
        self._observing(name, service)

    def _observing(self, name: str, service: Service) -> None:
        """What else a started Observer does: here nothing."""

    def _adapters(self, name: str, life: str) -> Adapters:
        clock = self.processes[name].clock
        postgres, redis = self._fate("postgres", name), self._fate("valkey", name)
        history: Any = Remote(self.history, postgres)
        leadership: Any = Remote(self.leadership, postgres)
        audits: Any = Remote(self.audits, postgres)
        return Adapters(
            ledger=SimLedger(self.ledger, postgres, self.watch.tell),
            verdicts=SimVerdicts(self.verdicts, redis, self.watch.tell),
            history=history,
            leadership=leadership,
            audits=audits,
            sources=self._sources(name),
            clock=clock,
            ids=SimIds(life, clock),
        )

    def _sources(self, name: str) -> Sources:
        plant = self.plant
        return Sources(PlantInventory(plant), PlantMembers(plant), PlantSignals(plant), PlantBroker(plant))

    def _fate(self, store: str, process: str) -> Fate:
        return Fate(store, process, self.streams, self.troubles, self.record, self.places)

    async def _boot_holder(self, life: Incarnation) -> None:
        for intention in self.intentions:
            if intention.holder.startswith(f"{life.name}/") and not intention.outcome:
                self._carry_out(life.name, intention)

    def _carry_out(self, name: str, intention: Intention) -> None:
        hold = Hold(intention, *self._holding(name, IDENTITY[name]))
        self.processes[name].spawn(hold.carry_out())

    def _holding(self, name: str, identity: str) -> tuple[ObserverClient, SimClock, random.Random, Outside]:
        """What a holder in that process works with."""
        outside = Outside(self._writes, self._heard, self.record, self.loop.fail)
        channel: Any = self.board.channel(name, identity, self._replicas(name))
        return ObserverClient(channel), self.processes[name].clock, self._chances[name], outside

    def _replicas(self, name: str) -> tuple[str, ...]:
        """Each caller has its own order of trying."""
        first = self._chances[name].randrange(len(REPLICAS))
        return (*REPLICAS[first:], *REPLICAS[:first])

    # ---------------------------------------------------------------------------------------------- what is watched

    def _answered(self, call: Call, response: Any) -> None:
        self.watch.tell("answered", call, response)
        self.record.say(call.server, f"{call.method.rpartition('/')[2]} of {call.caller}: {_short(call, response)}")

    def _heard(self, intention: str, request_id: str, answer: Any) -> None:
        self.watch.tell("heard", intention, request_id, answer)

    def _writes(self, write: Write) -> None:
        """A call to the cloud: made now, done some time before its deadline."""
        self.watch.tell("writes", write, state_of(self.ledger), self._store_s())
        roll, late_s = self._cloud.random(), self._cloud.random() * CALL_S_MAX
        delay_s = late_s if self._slow_cloud or roll < 0.1 else 0.05 + roll
        self.record.say(write.holder, f"writes with token {write.token}", str(write.scope))
        self.loop.call_later(delay_s, self._landed, write, context=contextvars.Context())

    def _landed(self, write: Write) -> None:
        self.watch.tell("landed", write, state_of(self.ledger), self._store_s())

    def finish(self) -> None:
        """The run is over: say how things stand."""
        unfinished = [str(i) for i in self.intentions if not i.outcome]
        healed_s = self.plan.horizon_s - self.plan.heal_at_s
        self.watch.tell("ended", End(self._store_s(), state_of(self.ledger), unfinished, healed_s))

    def close(self) -> None:
        """Nothing runs any more; let go of what would be left for the garbage collector."""

    # ------------------------------------------------------------------------------------------------- what is done

    def _do(self, event: Event) -> None:
        deed: Callable[[Event], None] = getattr(self, f"do_{event['do']}")
        told = {k: v for k, v in event.items() if k not in {"at", "do"}}
        self.record.say("plan", f"{event['do']} {told}", str(event.get("scope", "")))
        self.record.reach(f"did {event['do']}")
        deed(event)

    def _for(self, event: Event, end: Callable[[], None]) -> None:
        self.loop.call_later(float(event["for_s"]), end, context=contextvars.Context())

    def do_work(self, event: Event) -> None:
        """Somebody wants to do something to a scope."""
        name, number = str(event["process"]), len(self.intentions) + 1
        intention = Intention(
            number, event["kind"], event["scope"], f"{name}/{event['kind'].lower()}-{event['id']}",
            int(event["steps"]), float(event["step_s"]), {**event, "takes_over": self._followed(event)},
        )  # fmt: skip
        self.intentions.append(intention)
        if self.processes[name].up:
            self._carry_out(name, intention)

    def _followed(self, event: Event) -> str:
        """The deployment that a rollback is to take over: the one that runs there now, one that is gone, or any."""
        follows = event.get("follows", "")
        if follows != "live":
            return f"act-{follows}" if follows else ""
        live = (a for a in state_of(self.ledger).live(self._store_s()) if a.kind is ActivityKind.DEPLOY)
        return next((a.id for a in live if str(a.scope) == event["scope"]), "")

    def do_quiet(self, event: Event) -> None:
        """A person quiets a scope by hand."""
        self._by_hand(
            lambda c: c.quiet(event["scope"], ("capacity",), event["for_s"], "ann", "by hand", f"quiet-{event['id']}")
        )

    def do_lift(self, event: Event) -> None:
        """A person lifts a freeze."""
        self._by_hand(lambda c: c.freeze(event["scope"], 0.0, "ann", "by hand", "", lift=True))

    def do_impostor(self, event: Event) -> None:
        """Somebody ends the oldest thing that is held, with a wrong token."""
        live = state_of(self.ledger).live(self._store_s())
        if live:
            given = EndInput(
                activity_id=live[0].id,
                token=live[0].token + int(event["off"]),
                outcome=ActivityOutcome.DONE,
                note="not mine",
            )
            self._by_hand(lambda c: c.end(given))

    def _by_hand(self, ask: Callable[[ObserverClient], Any]) -> None:
        channel: Any = self.board.channel("people", IDENTITY["people"], self._replicas("people"))

        async def asked() -> None:
            try:
                await ask(ObserverClient(channel))
            except HeadraceError as e:
                self.record.reach(f"by hand {e.code}")

        self.processes["people"].spawn(asked())

    def do_crash(self, event: Event) -> None:
        """kill -9, and a restart later."""
        self._do_crash(str(event["process"]), float(event["for_s"]))

    def _do_crash(self, name: str, for_s: float) -> None:
        self.processes[name].crash()
        self.board.servers.pop(name, None)
        self.loop.call_later(for_s, self.processes[name].start, context=contextvars.Context())

    def do_places(self, event: Event) -> None:
        """A process dies or stands still at its calls of ports, now and then, for a while."""
        episode = Episode(str(event["process"]), float(event["crash"]), float(event["stall"]))
        self.places.now.append(episode)
        self._for(event, lambda: self.places.now.remove(episode))

    def do_pause(self, event: Event) -> None:
        """A process stands still."""
        self.processes[str(event["process"])].pause(float(event["for_s"]))

    def do_clock(self, event: Event) -> None:
        """A wall clock jumps, or a clock runs at another speed, for a while."""
        clock = self.processes[str(event["process"])].clock
        clock.offset_s, rate = clock.offset_s + float(event["step_s"]), float(event["rate"])
        clock.drift(rate)

        def right() -> None:
            clock.drift(1.0)
            clock.correct()

        self._for(event, right)

    def do_network(self, event: Event) -> None:
        """Bad weather on some links."""
        weather = Weather(
            frozenset((a, b) for a, b in event["links"]),
            bool(event.get("cut", False)), float(event.get("lost", 0)), float(event.get("late", 0)),
            float(event.get("twice", 0)),
        )  # fmt: skip
        self.network.weather.append(weather)
        self._for(event, lambda: self.network.weather.remove(weather))

    def do_store(self, event: Event) -> None:
        """Trouble with a store."""
        trouble = Trouble(
            event["store"], float(event.get("failed", 0)), float(event.get("unheard", 0)), float(event.get("slow", 0)),
            bool(event.get("down", False)),
        )  # fmt: skip
        self.troubles.now.append(trouble)
        self._for(event, lambda: self.troubles.now.remove(trouble))

    def do_forget_verdicts(self, event: Event) -> None:
        """Redis restarts without its data."""
        self.verdicts.lose()

    def do_ill(self, event: Event) -> None:
        """A group falls ill, or a source goes blind."""
        illness = (str(event["group"]), str(event["how"]))
        self.plant.ill.append(illness)
        self._for(event, lambda: self.plant.ill.remove(illness))

    def do_slow_cloud(self, event: Event) -> None:
        """Calls to the cloud take as long as they may."""
        self._slow_cloud += 1

        def over() -> None:
            self._slow_cloud -= 1

        self._for(event, over)


def _short(call: Call, response: Any) -> str:
    method = call.method.rpartition("/")[2]
    codes = ",".join(r.code for r in getattr(response, "reasons", ()))
    if method == "Begin":
        return f"{call.request.request_id} -> {response.outcome} {response.lease.activity_id} {codes}"
    if method == "Heartbeat":
        return f"{call.request.activity_id} -> {response.ask} {codes}"
    return "answered"
