"""Builds the Observer from its settings and runs it; the only place where adapters are chosen."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from temporalio.client import Client

from services.observer.activities import ObserverActivities
from services.observer.adapters.audit_stores import PostgresAudits
from services.observer.adapters.inventory import AwsMembers, ProvisionerInventory
from services.observer.adapters.kafka_offsets import KafkaOffsets, OffsetsExport
from services.observer.adapters.postgres_history import PostgresHistory, PostgresLeadership
from services.observer.adapters.postgres_ledger import PostgresLedger
from services.observer.adapters.prometheus_signals import PrometheusSignals
from services.observer.adapters.redis_verdicts import RedisVerdicts
from services.observer.domain import ports
from services.observer.grpc_api import ALLOWED, SERVICE, ObserverApi
from services.observer.operations.admit import Admission
from services.observer.operations.loss_round import LossRound
from services.observer.operations.observe import Observing, Sources, TickPolicy
from services.observer.operations.people import ByHand
from services.observer.operations.reading import Reading
from services.observer.operations.sweep import Sweeping
from services.observer.settings import ObserverSettings
from shared.clients.provisioner import ProvisionerClient
from shared.contracts import queues
from shared.database import Database
from shared.domain.clock import Clock, Ids
from shared.grpc.client import open_channel
from shared.grpc.server import GrpcServer
from shared.prometheus import PrometheusClient
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

    ledger: ports.Ledger
    verdicts: ports.Verdicts
    history: ports.History
    leadership: ports.Leadership
    audits: ports.AuditStore
    sources: Sources
    clock: Clock
    ids: Ids


@dataclass(frozen=True, slots=True)
class Service:
    """The Observer, ready to be served."""

    admission: Admission
    observing: Observing
    reading: Reading
    sweeping: Sweeping
    api: ObserverApi
    activities: ObserverActivities


def build(settings: ObserverSettings, adapters: Adapters) -> Service:
    """Everything above the adapters."""
    a = adapters
    admission = Admission(a.ledger, a.verdicts, a.ids, settings.limits)
    reading = Reading(a.ledger, a.verdicts, a.history, a.clock)
    policy = TickPolicy(
        ttl_s=settings.verdict_ttl_s,
        fast_s=settings.fast_window_s,
        slow_s=settings.slow_window_s,
        leader_ttl_s=settings.leader_ttl_s,
        alarm_pending_s=settings.alarm_pending_s,
        health=settings.health,
    )
    losses = LossRound(a.audits, settings.closing)
    observing = Observing(
        f"observer@{settings.replica}/{settings.listen}",  # replicas on several hosts listen on the same address
        a.sources,
        a.ledger,
        a.verdicts,
        a.history,
        a.leadership,
        losses,
        a.clock,
        a.ids,
        policy,
    )
    return Service(
        admission=admission,
        observing=observing,
        reading=reading,
        sweeping=Sweeping(admission, a.audits, settings.closing, a.clock),
        api=ObserverApi(admission, ByHand(admission, a.ledger, a.ids), reading, a.audits),
        activities=ObserverActivities(admission, reading),
    )


@dataclass(frozen=True, slots=True)
class Connections:
    """A Part that closes what was opened, last."""

    database: Database
    ledger: PostgresLedger
    redis: Redis
    prometheus: PrometheusClient
    kafka: KafkaOffsets

    async def start(self) -> None:
        """Nothing: they connect when first used."""

    async def stop(self) -> None:
        """Close them."""
        self.kafka.close()
        await self.prometheus.close()
        await self.redis.aclose()
        await self.ledger.close()
        await self.database.close()


def connections_of(settings: ObserverSettings) -> Connections:
    """The clients of everything outside."""
    kafka: dict[str, Any] = {"bootstrap.servers": settings.kafka_bootstrap}
    if settings.kafka_username:
        kafka |= {
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "PLAIN",
            "sasl.username": settings.kafka_username,
            "sasl.password": settings.kafka_password.get_secret_value(),
        }
    database = Database(settings.database_url, settings.database_schema, "observer")
    return Connections(
        database=database,
        ledger=PostgresLedger(database, settings.limits.call_deadline_s_max),
        redis=redis_client(settings.redis_url),
        prometheus=PrometheusClient(
            settings.prometheus_url, settings.prometheus_username, settings.prometheus_password.get_secret_value()
        ),
        kafka=KafkaOffsets(kafka, OffsetsExport(settings.workspace)),
    )


def real_adapters(settings: ObserverSettings, to: Connections) -> Adapters:
    """The real ones."""
    provisioner = ProvisionerClient(open_channel(settings.provisioner_address, settings.tls_dir))
    return Adapters(
        ledger=to.ledger,
        verdicts=RedisVerdicts(to.redis, settings.workspace),
        history=PostgresHistory(to.database),
        leadership=PostgresLeadership(to.database),
        audits=PostgresAudits(to.database),
        sources=Sources(
            inventory=ProvisionerInventory(provisioner),
            members=AwsMembers(settings.workspace),
            signals=PrometheusSignals(
                to.prometheus, settings.workspace, settings.fast_window_s, settings.slow_window_s
            ),
            broker=to.kafka,
        ),
        clock=SystemClock(),
        ids=SystemIds(),
    )


def parts_of(settings: ObserverSettings, service: Service, temporal: Client) -> list[Part]:
    """What runs while the service runs."""
    clock = SystemClock()
    return [
        MetricsServer(settings.metrics_listen),
        GrpcServer(settings.listen, settings.tls_dir, service.api.add_to, (SERVICE,), ALLOWED),
        Loop("tick", settings.tick_s, clock, service.observing.tick),
        Loop("sweep", settings.sweep_s, clock, service.sweeping.tick),
        ActivityWorker(temporal, queues.OBSERVER, service.activities.all()),
    ]


async def parts() -> Sequence[Part]:
    """The whole process."""
    settings = ObserverSettings()
    to = connections_of(settings)
    service = build(settings, real_adapters(settings, to))
    temporal = await connect(settings.temporal_address, settings.temporal_namespace)
    return [to, *parts_of(settings, service, temporal)]


if __name__ == "__main__":
    configure_logs("observer")
    run_service("observer", parts)
