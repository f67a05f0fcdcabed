"""The Autoscaler's process: `python -m services.autoscaler`. The only place where adapters are chosen."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.autoscaler.activities import AutoscalerActivities
from services.autoscaler.adapters.asg import AsgSizes
from services.autoscaler.adapters.inventory import JoinedInventory
from services.autoscaler.adapters.meter import PrometheusMeter
from services.autoscaler.adapters.observer import ObserverHealth
from services.autoscaler.adapters.postgres import PostgresStore
from services.autoscaler.adapters.scalings import TemporalScalings
from services.autoscaler.adapters.signals import PrometheusSignals
from services.autoscaler.domain.ports import Health, Inventory, Meter, Scalings, SignalSource, Sizes, Store
from services.autoscaler.grpc_api import ALLOWED, SERVICE, AutoscalerApi
from services.autoscaler.operations.lease import LeaseCheck
from services.autoscaler.operations.questions import Questions
from services.autoscaler.operations.rate import Rates
from services.autoscaler.operations.reserve import Reservations
from services.autoscaler.operations.resize import Resizer
from services.autoscaler.operations.scale import Scaling
from services.autoscaler.operations.sweep import Sweeping
from services.autoscaler.operations.tick import ScalingTick
from services.autoscaler.settings import AutoscalerSettings
from shared.aws.groups import AsgInventory
from shared.clients.observer import ObserverClient
from shared.clients.provisioner import ProvisionerClient
from shared.contracts import queues
from shared.database import Database
from shared.domain.clock import Clock, Ids
from shared.grpc.client import open_channel
from shared.grpc.server import GrpcServer
from shared.prometheus import PrometheusClient
from shared.service import Loop, Part, run_service
from shared.system import SystemClock, SystemIds
from shared.telemetry.logs import configure_logs
from shared.telemetry.metrics import MetricsServer
from shared.temporal.client import connect
from shared.temporal.worker import ActivityWorker

NAME = "autoscaler"


@dataclass(frozen=True, slots=True)
class Adapters:
    """What `build` stands on; the simulator hands in its own."""

    inventory: Inventory
    signals: SignalSource
    health: Health
    store: Store
    sizes: Sizes
    scalings: Scalings
    meter: Meter
    clock: Clock
    ids: Ids


@dataclass(frozen=True, slots=True)
class Service:
    """The Autoscaler without transports."""

    tick: ScalingTick
    api: AutoscalerApi
    activities: AutoscalerActivities
    questions: Questions
    reservations: Reservations
    scaling: Scaling
    rates: Rates


def build(settings: AutoscalerSettings, adapters: Adapters) -> Service:
    """Wire operations over adapters."""
    a, limits = adapters, settings.limits()
    leases = LeaseCheck(a.health, a.clock)
    resizer = Resizer(a.store, a.sizes, leases, a.clock)
    reservations = Reservations(a.inventory, a.store, resizer, leases, a.clock)
    scaling = Scaling(
        inventory=a.inventory, store=a.store, sizes=a.sizes, resizer=resizer, leases=leases, clock=a.clock
    )
    questions = Questions(a.inventory, a.store, limits, a.clock, a.ids)
    tick = ScalingTick(
        inventory=a.inventory,
        signals=a.signals,
        health=a.health,
        store=a.store,
        scalings=a.scalings,
        meter=a.meter,
        limits=limits,
        clock=a.clock,
        ids=a.ids,
    )
    rates = Rates(a.store)
    sweeping = Sweeping(a.inventory, a.store, settings.retention_s)
    return Service(
        tick=tick,
        api=AutoscalerApi(questions, reservations, rates),
        activities=AutoscalerActivities(reservations, scaling, sweeping, rates),
        questions=questions,
        reservations=reservations,
        scaling=scaling,
        rates=rates,
    )


class _Open:
    """Things to close at the end."""

    def __init__(self, database: Database, prometheus: PrometheusClient) -> None:
        self._database, self._prometheus = database, prometheus

    async def start(self) -> None:
        """Nothing: they open when first used."""

    async def stop(self) -> None:
        """Close pools."""
        await self._prometheus.close()
        await self._database.close()


async def parts() -> Sequence[Part]:
    """The process' parts over the real adapters, in the order in which they start."""
    settings = AutoscalerSettings()
    limits, clock = settings.limits(), SystemClock()
    database = Database(settings.database_url, settings.database_schema, NAME)
    prometheus = PrometheusClient(
        settings.prometheus_url, settings.prometheus_username, settings.prometheus_password.get_secret_value()
    )
    temporal = await connect(settings.temporal_address, settings.temporal_namespace)
    provisioner = ProvisionerClient(open_channel(settings.provisioner_address, settings.tls_dir))
    observer = ObserverClient(open_channel(settings.observer_address, settings.tls_dir))
    service = build(
        settings,
        Adapters(
            inventory=JoinedInventory(provisioner, AsgInventory(), settings.workspace),
            signals=PrometheusSignals(prometheus, settings.workspace, limits.window_s, limits.stale_after_s),
            health=ObserverHealth(observer),
            store=PostgresStore(database),
            sizes=AsgSizes(clock),
            scalings=TemporalScalings(temporal),
            meter=PrometheusMeter(),
            clock=clock,
            ids=SystemIds(),
        ),
    )
    return (
        _Open(database, prometheus),
        MetricsServer(settings.metrics_listen),
        GrpcServer(settings.listen, settings.tls_dir, service.api.add_to, (SERVICE,), ALLOWED),
        ActivityWorker(temporal, queues.AUTOSCALER, service.activities.all()),
        Loop("scaling", limits.tick_s, clock, service.tick.tick),
    )


if __name__ == "__main__":
    configure_logs(NAME)
    run_service(NAME, parts)
