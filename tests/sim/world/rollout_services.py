"""All services as shipped and the workflows' own classes: what runs in the world of rollouts."""

import contextvars
from collections.abc import Awaitable, Callable
from typing import Any

from services.admin_api.__main__ import Adapters as AdminAdapters
from services.admin_api.__main__ import build as build_admin
from services.admin_api.adapters.memory import MemoryStore as AdminStore
from services.admin_api.adapters.temporal import TemporalWorkflows
from services.admin_api.operations.peers import Peers
from services.admin_api.settings import AdminSettings
from services.autoscaler.__main__ import Adapters as ScalerAdapters
from services.autoscaler.__main__ import build as build_autoscaler
from services.autoscaler.adapters.memory import MemoryStore as ScalerStore
from services.autoscaler.adapters.observer import ObserverHealth
from services.autoscaler.adapters.scalings import TemporalScalings
from services.autoscaler.grpc_api import ALLOWED as AUTOSCALER_ALLOWED
from services.autoscaler.settings import AutoscalerSettings
from services.deployer.__main__ import Adapters as DeployerAdapters
from services.deployer.__main__ import build as build_deployer
from services.deployer.adapters.memory import MemoryArtifacts
from services.deployer.adapters.memory import MemoryStore as DeployerStore
from services.deployer.grpc_api import ALLOWED as DEPLOYER_ALLOWED
from services.deployer.settings import DeployerSettings
from services.observer.__main__ import Service as Observer
from services.observer.adapters.inventory import ProvisionerInventory
from services.observer.operations.observe import Sources
from services.provisioner.__main__ import Adapters as ProvisionerAdapters
from services.provisioner.__main__ import build as build_provisioner
from services.provisioner.adapters import memory as provisioned
from services.provisioner.adapters.observer_leases import ObserverLeases
from services.provisioner.grpc_api import ALLOWED as PROVISIONER_ALLOWED
from services.provisioner.settings import ProvisionerSettings
from shared.clients.autoscaler import AutoscalerClient
from shared.clients.deployer import DeployerClient
from shared.clients.observer import ObserverClient
from shared.clients.provisioner import ProvisionerClient
from shared.contracts import queues
from shared.contracts.node import Routes
from shared.domain.errors import HeadraceError, Unavailable
from shared.service import Loop
from tests.sim.invariants.base import Watch
from tests.sim.invariants.pipelines import Ramping
from tests.sim.kernel.clock import SimIds
from tests.sim.kernel.http import Web
from tests.sim.kernel.loop import Incarnation, SimLoop
from tests.sim.kernel.processes import Process
from tests.sim.kernel.record import Record
from tests.sim.kernel.rpc import SimServer
from tests.sim.plan import Plan
from tests.sim.temporal.conditions import Conditions
from tests.sim.temporal.server import SimTemporal
from tests.sim.world import cloud as clouds
from tests.sim.world.asked import watched_activities
from tests.sim.world.fate import Remote
from tests.sim.world.fleets import Fleets, SimSizes
from tests.sim.world.observer_world import REPLICAS, ObserverWorld
from tests.sim.world.pipelines import CONSUMER, EDGE, PIPELINE, STAGES, ServingBroker, SimTopics, WatchedPipelines
from tests.sim.world.pulumi import SimPulumi
from tests.sim.world.rollout_ports import JoinedFleets, NumberedCredentials, SimAdminStore, WatchedGroups
from tests.sim.world.scaling_world import QuietMeter
from tests.sim.world.serving import (
    STEP_S,
    Demand,
    Serving,
    ServingMeasurements,
    ServingMembers,
    ServingMetrics,
    ServingSignals,
)
from tests.sim.world.stores import state_of
from workflows.registry import WORKFLOWS

ADMIN, WORKER, CLIENTS = "admin", "worker", "clients"
SERVICES = ("deployer", "provisioner", "autoscaler", ADMIN)
GROUPS = ("a", "b")
BASE_RATE = 90.0
PERCENT = 100
TOKEN = "the first administrator's"
LOOK_S, OPERATIONS_S = 60.0, 5.0  # of the admin API; as often as shipped they would be most of the work
EVICTS = 0.02
BOOT_AGAIN_S = 2.0
ROUTES_S = 5.0


class RolloutServices(ObserverWorld):
    """One of each service, two Observers, one worker; processes crash, stand still and are cut off like all others."""

    def __init__(self, plan: Plan, loop: SimLoop, record: Record, watch: Watch) -> None:
        super().__init__(plan, loop, record, watch)
        streams = self.streams
        self.fleets = Fleets(loop)
        self.fleets.boots, self.fleets.reads = streams.of("boots"), streams.of("describes")
        self.cloud = clouds.Cloud(self.fleets)
        self.engine = SimPulumi(
            loop,
            self.cloud,
            streams.of("pulumi"),
            self._fate("aws", "engine"),
            lambda scope, text: record.say("cloud", text, scope),
        )
        self.conditions = Conditions(streams.of("temporal"), evict=EVICTS)
        self.temporal = SimTemporal(self.conditions, self._store_s, reach=record.reach)
        self.web = Web(self.network, self.processes)
        self.mirror, self.bundles, self.tokens = clouds.SimMirror(), clouds.SimBundles(), clouds.SimTokens()
        fences = provisioned.MemoryFences()
        self.pipelines = WatchedPipelines(self._ramped)
        self.provisioner_stores = {
            "groups": WatchedGroups(fences, self._store_s), "fences": fences,
            "pipelines": self.pipelines, "environments": provisioned.MemoryEnvironments(),
            "runs": provisioned.MemoryStacks(), "drift": provisioned.MemoryDrift(),
            "routes": provisioned.MemoryRoutes(), "nodes": provisioned.MemoryNodes(),
        }  # fmt: skip
        self.topics = SimTopics()
        self.deployer_store, self.scaler_store = DeployerStore(), ScalerStore(self._store_s)
        self.admin_store = AdminStore()
        self.routes: dict[str, Routes] = {}  # as clients last heard of them
        self.serving = Serving(self.cloud, self.routes, {g: Demand(BASE_RATE) for g in GROUPS}, self._is_bad)
        for name in (ADMIN, WORKER, CLIENTS):
            self.processes[name] = Process(name, loop, record, self._boot_holder)
        self.temporal.add_workflows(queues.WORKFLOWS, WORKFLOWS, self.processes[WORKER])

    def start(self) -> None:
        """Nothing is declared yet."""
        super().start()
        self._serve()

    def _serve(self) -> None:
        self._seat()
        self.serving.step(self._store_s())
        self.loop.call_later(STEP_S, self._serve, context=contextvars.Context())
        self._served()

    def _served(self) -> None:
        """After each step of the traffic."""

    def _ramped(self, ramping: Ramping) -> None:
        self.record.say("provisioner", f"ramps {ramping.before} -> {ramping.after} %", f"pipeline/{ramping.pipeline}")
        self.watch.tell("ramped", ramping, state_of(self.ledger), self._store_s())

    def _seat(self) -> None:
        """What clients let in at the edge of a pipeline, and who consumes it; without one the plant has no pipelines."""
        there = self.pipelines.state() is not None
        heard = self.routes.get(EDGE)
        share = heard.ramp_percent / PERCENT if there and heard is not None else 1.0
        for group in (EDGE, CONSUMER):
            self.serving.demand[group].seat(share, consumes=there and group == CONSUMER)
        self.plant.pipelines = {PIPELINE: STAGES} if there else {}

    def _is_bad(self, fleet: str) -> bool:
        groups: Any = self.provisioner_stores["groups"]
        known = groups._fleets.get(fleet)
        return known is not None and '"quality":"bad"' in known.revision_document

    # ------------------------------------------------------------------------------------------------------ processes

    async def _boot_holder(self, life: Incarnation) -> None:
        boots: dict[str, Callable[[Incarnation], Awaitable[None]]] = {
            "deployer": self._boot_deployer, "provisioner": self._boot_provisioner,
            "autoscaler": self._boot_autoscaler, ADMIN: self._boot_admin, CLIENTS: self._boot_clients,
        }  # fmt: skip
        boot = boots.get(life.name)
        if boot is not None:
            await boot(life)

    def _channel(self, name: str, to: tuple[str, ...]) -> Any:
        service = {ADMIN: "admin-api", CLIENTS: "admin-api"}.get(name, name.partition("-")[0])
        return self.board.channel(name, f"service/{service}", to)

    def _observer(self, name: str) -> ObserverClient:
        turn = sum(name.encode()) % len(REPLICAS)
        return ObserverClient(self._channel(name, (*REPLICAS[turn:], *REPLICAS[:turn])))

    def _provisioner(self, name: str) -> ProvisionerClient:
        return ProvisionerClient(self._channel(name, ("provisioner",)))

    async def _listen(self, name: str, api: Any, allowed: Any, queue: str, activities: Any) -> None:
        """As `GrpcServer` and `ActivityWorker` do."""
        server = SimServer(allowed)
        api.add_to(server)
        await server.open()
        self.board.servers[name] = server
        self.temporal.add_activities(queue, activities.all(), self.processes[name])

    def _sources(self, name: str) -> Sources:
        return Sources(
            ProvisionerInventory(self._provisioner(name)),
            ServingMembers(self.plant, self.cloud),
            ServingMetrics(self.plant, self.cloud, self.serving),
            ServingBroker(self.plant, self.serving, self._store_s),
        )

    def _observing(self, name: str, service: Observer) -> None:
        watched = watched_activities(service.activities.all(), self._answered)
        self.temporal.add_activities(queues.OBSERVER, watched, self.processes[name])

    async def _boot_deployer(self, life: Incarnation) -> None:
        name, clock = life.name, self.processes[life.name].clock
        store: Any = Remote(self.deployer_store, self._fate("postgres", name))
        measurements: Any = Remote(
            ServingMeasurements(self.plant, self.cloud, self.serving), self._fate("metrics", name)
        )
        adapters = DeployerAdapters(store, measurements, MemoryArtifacts(), clock, SimIds(str(life), clock))
        service = build_deployer(DeployerSettings(), adapters)
        await self._listen(name, service.api, DEPLOYER_ALLOWED, queues.DEPLOYER, service.activities)

    async def _boot_provisioner(self, life: Incarnation) -> None:
        name, clock, settings = life.name, self.processes[life.name].clock, ProvisionerSettings()
        postgres, redis, aws = (self._fate(s, name) for s in ("postgres", "valkey", "aws"))
        stores: dict[str, Any] = {k: Remote(s, postgres) for k, s in self.provisioner_stores.items()}
        mirror: Any = Remote(self.mirror, redis)
        engine: Any = self.engine
        topics: Any = Remote(self.topics, self._fate("kafka", name))
        nothing: Any = None  # nobody asks for dead letters, nobody is rated
        adapters = ProvisionerAdapters(
            **stores, stacks=engine, processes=engine, machines=clouds.SimMachines(self.cloud, aws, clock),
            sites=clouds.SimSites(), bundles=self.bundles, tokens=self.tokens, prices=clouds.NoPrices(),
            topics=topics, dead_letters=nothing, driver=nothing, mirror=mirror, authority=clouds.SimAuthority(),
            builds=clouds.SimBuilds(), leases=ObserverLeases(self._observer(name)), clock=clock,
            ids=SimIds(str(life), clock),
        )  # fmt: skip
        service = build_provisioner(settings, adapters)
        await self._listen(name, service.api, PROVISIONER_ALLOWED, queues.PROVISIONER, service.activities)
        await Loop("routes", settings.routes_s, clock, service.routing.tick).start()

    async def _boot_autoscaler(self, life: Incarnation) -> None:
        name, clock, settings = life.name, self.processes[life.name].clock, AutoscalerSettings()
        store: Any = Remote(self.scaler_store, self._fate("postgres", name))
        aws = self._fate("aws", name)
        service = build_autoscaler(
            settings,
            ScalerAdapters(
                inventory=JoinedFleets(self._provisioner(name), self.cloud, aws),
                signals=ServingSignals(self.plant, self.cloud, self.serving),
                health=ObserverHealth(self._observer(name)),
                store=store,
                sizes=SimSizes(self.fleets, aws, clock, lambda asg, n: self._resized(name, asg, n)),
                scalings=TemporalScalings(self.temporal.client()),
                meter=QuietMeter(),
                clock=clock,
                ids=SimIds(str(life), clock),
            ),
        )
        await self._listen(name, service.api, AUTOSCALER_ALLOWED, queues.AUTOSCALER, service.activities)
        await Loop("scaling", settings.limits().tick_s, clock, service.tick.tick).start()

    async def _boot_admin(self, life: Incarnation) -> None:
        name, clock = life.name, self.processes[life.name].clock
        store: Any = SimAdminStore(self.admin_store, self._fate("postgres", name))
        code: Any = self.bundles
        service = build_admin(
            AdminSettings(listen="127.0.0.1:0", watch_s=LOOK_S, operations_s=OPERATIONS_S),
            AdminAdapters(
                store=store,
                workflows=TemporalWorkflows(self.temporal.client()),
                peers=Peers(
                    self._observer(name), DeployerClient(self._channel(name, ("deployer",))),
                    self._provisioner(name), AutoscalerClient(self._channel(name, ("autoscaler",))),
                ),
                code=code,
                credentials=NumberedCredentials(),
                clock=clock,
                ids=SimIds(str(life), clock),
            ),
        )  # fmt: skip
        while True:
            try:
                await service.api.access.bootstrap(TOKEN)
                break
            except Unavailable:
                await clock.sleep(BOOT_AGAIN_S)
        self.web.apps[name] = service.app
        for part in service.parts:
            if isinstance(part, Loop):
                await part.start()

    async def _boot_clients(self, life: Incarnation) -> None:
        """They ask where real ones watch; who hears nothing goes on with what it knows."""
        provisioner = self._provisioner(life.name)

        async def look() -> None:
            for group in GROUPS:
                try:
                    heard = await provisioner.routes(group)
                except HeadraceError as e:
                    self.record.reach(f"routes {e.code}")
                    continue
                if group not in self.routes or self.routes[group].generation < heard.generation:
                    self.routes[group] = heard

        await Loop("routes", ROUTES_S, self.processes[life.name].clock, look).start()

    def _resized(self, name: str, asg: str, nodes: int) -> None:
        """Before a size takes effect."""
