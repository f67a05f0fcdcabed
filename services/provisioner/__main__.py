"""Builds the Provisioner from its settings and runs it; the only place where adapters are chosen."""

from collections.abc import Sequence
from dataclasses import dataclass

from redis.asyncio import Redis
from temporalio.client import Client

from services.provisioner.activities import ProvisionerActivities
from services.provisioner.adapters.authority import FileAuthority
from services.provisioner.adapters.aws_machines import AwsMachines
from services.provisioner.adapters.aws_prices import AwsPrices
from services.provisioner.adapters.aws_stores import AwsSites, S3Bundles, SsmJoinTokens
from services.provisioner.adapters.join_server import JoinServer
from services.provisioner.adapters.kafka_dead_letters import KafkaDeadLetters
from services.provisioner.adapters.kafka_topics import KafkaTopics, connection_of
from services.provisioner.adapters.load_process import LoadProcess
from services.provisioner.adapters.observer_leases import ObserverLeases
from services.provisioner.adapters.postgres_groups import PostgresFences, PostgresGroups, PostgresPipelines
from services.provisioner.adapters.postgres_records import (
    PostgresDrift,
    PostgresEnvironments,
    PostgresNodes,
    PostgresRoutes,
    PostgresStacks,
)
from services.provisioner.adapters.processes import HostProcesses
from services.provisioner.adapters.pulumi_site import PulumiSite
from services.provisioner.adapters.pulumi_stacks import PulumiStacks
from services.provisioner.adapters.redis_routes import RedisRoutes
from services.provisioner.adapters.uv_builds import UvBuilds, UvSite
from services.provisioner.domain import ports, stores
from services.provisioner.domain.group_stack import Site
from services.provisioner.grpc_api import ALLOWED, SERVICE, JoinApi, ProvisionerApi
from services.provisioner.operations.copies import Copies
from services.provisioner.operations.dead_letters import DeadLetterOffice
from services.provisioner.operations.drifting import Drifting
from services.provisioner.operations.environments import Environments
from services.provisioner.operations.group_plans import ControlPlane, GroupCloud, GroupPlans, GroupStores
from services.provisioner.operations.groups import Groups
from services.provisioner.operations.joining import Joining
from services.provisioner.operations.lease_guard import LeaseGuard
from services.provisioner.operations.pipelines import Pipelines
from services.provisioner.operations.routing import Routing
from services.provisioner.operations.stack_runs import StackRunner
from services.provisioner.operations.sweeping import Sweeping
from services.provisioner.settings import ProvisionerSettings
from shared.clients.observer import ObserverClient
from shared.contracts import queues
from shared.contracts.node import KafkaAccess
from shared.database import Database
from shared.domain.clock import Clock, Ids
from shared.grpc.client import open_channel
from shared.grpc.server import GrpcServer
from shared.redis import redis_client
from shared.service import Loop, Part, run_service
from shared.system import SystemClock, SystemIds
from shared.telemetry.logs import configure_logs
from shared.telemetry.metrics import MetricsServer
from shared.temporal.client import connect
from shared.temporal.worker import ActivityWorker


@dataclass(frozen=True, slots=True)
class Adapters:
    """What the ports are made of; the simulator has its own."""

    groups: stores.GroupStore
    fences: stores.Fences
    pipelines: stores.PipelineStore
    environments: stores.EnvironmentStore
    runs: stores.StackStore
    drift: stores.DriftStore
    routes: stores.RouteStore
    nodes: stores.NodeStore
    stacks: ports.Stacks
    processes: ports.Processes
    machines: ports.Machines
    sites: ports.Sites
    bundles: ports.Bundles
    tokens: ports.JoinTokens
    prices: ports.Prices
    topics: ports.Topics
    dead_letters: ports.DeadLetterTopics
    driver: ports.LoadDriver
    mirror: ports.RouteMirror
    authority: ports.Authority
    builds: ports.EnvironmentBuilds
    leases: ports.Leases | None
    clock: Clock
    ids: Ids


@dataclass(frozen=True, slots=True)
class Service:
    """The Provisioner, ready to be served."""

    groups: Groups
    plans: GroupPlans
    copies: Copies
    pipelines: Pipelines
    environments: Environments
    routing: Routing
    drifting: Drifting
    sweeping: Sweeping
    joining: Joining
    api: ProvisionerApi
    join_api: JoinApi
    activities: ProvisionerActivities


def build(settings: ProvisionerSettings, adapters: Adapters) -> Service:
    """Everything above the adapters."""
    a = adapters
    guard = LeaseGuard(a.fences, a.leases, a.clock)
    routing = Routing(a.groups, a.pipelines, a.routes, a.machines, a.mirror, guard)
    runner = StackRunner(a.stacks, a.runs, a.processes, guard, a.clock, a.ids)
    control = ControlPlane(
        observer=settings.observer_address,
        routes=settings.provisioner_address or settings.listen,
        join=settings.join_listen,
        ca_pem=a.authority.certificate_pem,
        server_name=settings.join_server_name,
    )
    cloud = GroupCloud(a.machines, a.sites, a.bundles, a.tokens, a.prices, a.topics)
    kept = GroupStores(a.groups, a.pipelines, a.runs)
    plans = GroupPlans(kept, cloud, control)
    groups = Groups(kept, cloud, runner, routing, guard, plans, a.clock)
    copies = Copies(
        a.groups, a.pipelines, groups, a.machines, a.bundles, a.topics, a.driver, guard, settings.rating_sink
    )
    pipelines = Pipelines(a.groups, a.pipelines, a.topics, routing)
    office = DeadLetterOffice(a.pipelines, a.dead_letters, a.clock)
    environments = Environments(a.environments, a.groups, a.builds, a.bundles)
    drifting = Drifting(a.stacks, a.runs, a.drift, a.machines, groups, guard, a.clock, a.ids)
    sweeping = Sweeping(a.groups, a.nodes, a.runs, a.machines, a.processes, runner, a.clock)
    kafka = kafka_access(settings)
    joining = Joining(settings.stack, a.groups, a.nodes, a.machines, a.authority, routing, kafka, a.clock)
    return Service(
        groups=groups,
        plans=plans,
        copies=copies,
        pipelines=pipelines,
        environments=environments,
        routing=routing,
        drifting=drifting,
        sweeping=sweeping,
        joining=joining,
        api=ProvisionerApi(groups, plans, pipelines, environments, routing, drifting, joining, office, kafka),
        join_api=JoinApi(joining),
        activities=ProvisionerActivities(
            groups, copies, pipelines, environments, routing, drifting, sweeping, office, a.clock
        ),
    )


def kafka_access(settings: ProvisionerSettings) -> KafkaAccess:
    """How nodes, and load on their copies, reach the broker."""
    return KafkaAccess(
        bootstrap=settings.kafka_bootstrap,
        username=settings.kafka_username,
        password=settings.kafka_password.get_secret_value(),
    )


def real_adapters(settings: ProvisionerSettings, database: Database, redis: Redis) -> Adapters:
    """The real ones."""
    clock = SystemClock()
    observer = (
        ObserverClient(open_channel(settings.observer_address, settings.tls_dir)) if settings.observer_address else None
    )
    site = Site(
        stack=settings.stack,
        vpc=settings.vpc,
        subnets=settings.subnets,
        image=settings.image,
        bucket=settings.bundle_bucket,
        ingress_cidrs=settings.ingress_cidrs,
        egress_cidrs=settings.egress_cidrs,
    )
    directory = settings.provisioner_dir.resolve()
    return Adapters(
        groups=PostgresGroups(database),
        fences=PostgresFences(database),
        pipelines=PostgresPipelines(database),
        environments=PostgresEnvironments(database),
        runs=PostgresStacks(database),
        drift=PostgresDrift(database),
        routes=PostgresRoutes(database),
        nodes=PostgresNodes(database),
        stacks=PulumiStacks(
            PulumiSite(
                root=settings.pulumi_root.resolve(),
                backend=settings.pulumi_backend,
                passphrase=settings.pulumi_passphrase.get_secret_value(),
                directory=directory / "pulumi",
                plugins=settings.pulumi_plugins_dir,
            )
        ),
        processes=HostProcesses(),
        machines=AwsMachines(settings.stack, clock),
        sites=AwsSites(site),
        bundles=S3Bundles(settings.bundle_bucket),
        tokens=SsmJoinTokens({"headrace:managed": "true", "headrace:stack": settings.stack}),
        prices=AwsPrices(clock),
        topics=KafkaTopics(
            settings.kafka_bootstrap, settings.kafka_username, settings.kafka_password, settings.kafka_replicas
        ),
        dead_letters=KafkaDeadLetters(
            connection_of(settings.kafka_bootstrap, settings.kafka_username, settings.kafka_password)
        ),
        driver=LoadProcess(settings.tls_dir.resolve(), kafka_access(settings)),
        mirror=RedisRoutes(redis),
        authority=FileAuthority(settings.ca_cert_file, settings.ca_key_file),
        builds=UvBuilds(UvSite(settings.uv, settings.wheels_dir.resolve(), directory)),
        leases=ObserverLeases(observer) if observer else None,
        clock=clock,
        ids=SystemIds(),
    )


class Connections:
    """A Part that closes what was opened, last."""

    def __init__(self, database: Database, redis: Redis) -> None:
        """Both are open."""
        self._database = database
        self._redis = redis

    async def start(self) -> None:
        """Nothing: they connect when first used."""

    async def stop(self) -> None:
        """Close them."""
        await self._redis.aclose()
        await self._database.close()


def parts_of(settings: ProvisionerSettings, service: Service, temporal: Client) -> list[Part]:
    """What runs while the service runs."""
    return [
        MetricsServer(settings.metrics_listen),
        Loop("routes", settings.routes_s, SystemClock(), service.routing.tick),
        GrpcServer(settings.listen, settings.tls_dir, service.api.add_to, (SERVICE,), ALLOWED),
        JoinServer(settings.join_listen, settings.tls_dir, service.join_api.add_to),
        ActivityWorker(temporal, queues.PROVISIONER, service.activities.all()),
    ]


async def parts() -> Sequence[Part]:
    """The whole process."""
    settings = ProvisionerSettings()
    database = Database(settings.database_url, settings.database_schema, "provisioner")
    redis = redis_client(settings.redis_url)
    service = build(settings, real_adapters(settings, database, redis))
    temporal = await connect(settings.temporal_address, settings.temporal_namespace)
    return [Connections(database, redis), *parts_of(settings, service, temporal)]


if __name__ == "__main__":
    configure_logs("provisioner")
    run_service("provisioner", parts)
