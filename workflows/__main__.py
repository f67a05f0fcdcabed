"""The workflow worker's process: `python -m workflows`. It runs workflows only; activities are the services'."""

from collections.abc import Sequence

from temporalio.client import Client

from shared.contracts import queues
from shared.service import Part, run_service
from shared.telemetry.logs import configure_logs
from shared.telemetry.metrics import MetricsServer
from shared.temporal.client import connect
from shared.temporal.worker import WorkflowWorker
from workflows.registry import WORKFLOWS
from workflows.schedules import Schedules
from workflows.settings import WorkflowSettings

NAME = "workflows"


def build(settings: WorkflowSettings, client: Client) -> Sequence[Part]:
    """The parts of the process, in the order of their start."""
    return (
        MetricsServer(settings.metrics_listen),
        WorkflowWorker(client, queues.WORKFLOWS, WORKFLOWS),
        Schedules(client, settings.drift_s, settings.sweep_s),
    )


async def parts() -> Sequence[Part]:
    """With the real Temporal."""
    settings = WorkflowSettings()
    client = await connect(settings.temporal_address, settings.temporal_namespace)
    return build(settings, client)


if __name__ == "__main__":
    configure_logs(NAME)
    run_service(NAME, parts)
