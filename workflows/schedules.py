"""The two schedules, made or brought up to date when the worker starts; a run that is still going is not doubled."""

import asyncio
from datetime import timedelta

import structlog
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.service import RPCError

from shared.contracts import queues

CATCH_UP_S = 10.0  # runs missed while the server was down are not made up for
RUN_S_MAX = 3600.0
RETRY_S = 2.0
CALL_S_MAX = 5.0
LOG = structlog.get_logger()


def schedule(workflow: str, name: str, every_s: float) -> Schedule:
    """A workflow at an interval."""
    return Schedule(
        action=ScheduleActionStartWorkflow(
            workflow, id=name, task_queue=queues.WORKFLOWS, execution_timeout=timedelta(seconds=RUN_S_MAX)
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=timedelta(seconds=every_s))]),
        policy=SchedulePolicy(
            overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(seconds=CATCH_UP_S), pause_on_failure=False
        ),
    )


async def ensure_schedule(client: Client, name: str, wanted: Schedule) -> None:
    """Make it, or update the one that is there; idempotent. A pause that a person set stays."""
    try:
        await client.create_schedule(name, wanted, rpc_timeout=timedelta(seconds=CALL_S_MAX))
    except ScheduleAlreadyRunningError:

        def updated(given: ScheduleUpdateInput) -> ScheduleUpdate:
            found = given.description.schedule
            found.spec, found.action, found.policy = wanted.spec, wanted.action, wanted.policy
            return ScheduleUpdate(schedule=found)

        handle = client.get_schedule_handle(name)
        await handle.update(updated, rpc_timeout=timedelta(seconds=CALL_S_MAX))


class Schedules:
    """A Part: sees to the schedules when the worker starts, and keeps trying while Temporal is not up."""

    def __init__(self, client: Client, drift_s: float, sweep_s: float) -> None:
        self._client = client
        self._wanted = {
            queues.CHECK_DRIFT_SCHEDULE: schedule("CheckDrift", queues.CHECK_DRIFT_SCHEDULE, drift_s),
            queues.SWEEP_SCHEDULE: schedule("Sweep", queues.SWEEP_SCHEDULE, sweep_s),
        }
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin; does not wait for Temporal."""
        self._task = asyncio.create_task(self._ensure(), name="schedules")

    async def stop(self) -> None:
        """End trying; the schedules stay."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _ensure(self) -> None:
        for name, wanted in self._wanted.items():
            while True:
                try:
                    await ensure_schedule(self._client, name, wanted)
                    break
                except RPCError as e:
                    LOG.warning("schedule not made yet", schedule=name, error=str(e))
                    await asyncio.sleep(RETRY_S)
            LOG.info("schedule is there", schedule=name)
