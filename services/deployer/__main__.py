"""The Deployer's process: `python -m services.deployer`. The only place where adapters are chosen."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.deployer.activities import DeployerActivities
from services.deployer.adapters.bundles import S3Artifacts
from services.deployer.adapters.measurements import PrometheusMeasurements
from services.deployer.adapters.postgres import PostgresStore
from services.deployer.domain.ports import Artifacts, Measurements, Store
from services.deployer.grpc_api import ALLOWED, SERVICE, DeployerApi
from services.deployer.operations.deployments import Deployments
from services.deployer.operations.judging import Judging
from services.deployer.operations.questions import Questions
from services.deployer.settings import DeployerSettings
from shared.contracts import queues
from shared.database import Database
from shared.domain.clock import Clock, Ids
from shared.grpc.server import GrpcServer
from shared.prometheus import PrometheusClient
from shared.service import Part, run_service
from shared.system import SystemClock, SystemIds
from shared.telemetry.logs import configure_logs
from shared.telemetry.metrics import MetricsServer
from shared.temporal.client import connect
from shared.temporal.worker import ActivityWorker

NAME = "deployer"


@dataclass(frozen=True, slots=True)
class Adapters:
    """What `build` stands on; the simulator hands in its own."""

    store: Store
    measurements: Measurements
    artifacts: Artifacts
    clock: Clock
    ids: Ids


@dataclass(frozen=True, slots=True)
class Service:
    """The Deployer without transports."""

    deployments: Deployments
    judging: Judging
    questions: Questions
    activities: DeployerActivities
    api: DeployerApi


def build(settings: DeployerSettings, adapters: Adapters) -> Service:
    """Put the parts together."""
    deployments = Deployments(adapters.store, adapters.artifacts, adapters.clock, adapters.ids)
    judging = Judging(adapters.measurements, adapters.store, settings.policy())
    questions = Questions(adapters.store)
    return Service(
        deployments=deployments,
        judging=judging,
        questions=questions,
        activities=DeployerActivities(deployments, judging),
        api=DeployerApi(questions, judging),
    )


class _Open:
    """A Part: what is closed when the process ends."""

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
    settings = DeployerSettings()
    database = Database(settings.database_url, settings.database_schema, NAME)
    prometheus = PrometheusClient(
        settings.prometheus_url, settings.prometheus_username, settings.prometheus_password.get_secret_value()
    )
    service = build(
        settings,
        Adapters(
            store=PostgresStore(database),
            measurements=PrometheusMeasurements(prometheus, settings.workspace),
            artifacts=S3Artifacts(),
            clock=SystemClock(),
            ids=SystemIds(),
        ),
    )
    temporal = await connect(settings.temporal_address, settings.temporal_namespace)
    return (
        _Open(database, prometheus),
        MetricsServer(settings.metrics_listen),
        GrpcServer(settings.listen, settings.tls_dir, service.api.add_to, (SERVICE,), ALLOWED),
        ActivityWorker(temporal, queues.DEPLOYER, service.activities.all()),
    )


if __name__ == "__main__":
    configure_logs(NAME)
    run_service(NAME, parts)
