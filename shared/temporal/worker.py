"""Workers that drain: on stop they take no new task and let running activities finish within a named grace.

An activity may raise any HeadraceError; an interceptor maps it, so that workflows see one tree.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import structlog
from temporalio.client import Client
from temporalio.service import ServiceClient
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
    UnsandboxedWorkflowRunner,
    Worker,
)
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from shared.domain.errors import HeadraceError, Unavailable
from shared.temporal.errors import to_application_error

GRACE_S = 15.0
STUCK_S = 30  # of a workflow that does not yield
CONNECT_S_MAX = 60.0
CONNECT_AGAIN_S = 1.0
ACTIVITIES_CONCURRENT_MAX = 32
WORKFLOW_TASKS_CONCURRENT_MAX = 32
WORKFLOWS_CACHED_MAX = 500
LOG = structlog.get_logger()

PASSTHROUGH = (
    "shared",
    "workflows",
    "pydantic",
    "pydantic_core",
    "annotated_types",
    "temporalio",
    "structlog",
    "headraceapi",
)


class _MapErrors(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002  Temporal's signature
        try:
            return await super().execute_activity(input)
        except HeadraceError as e:
            LOG.warning("activity failed", activity=getattr(input.fn, "__name__", ""), code=e.code, error=str(e))
            raise to_application_error(e) from e


class ErrorMapping(Interceptor):
    """HeadraceError in an activity becomes ApplicationError with its code as type."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        """Wrap the activity."""
        return _MapErrors(super().intercept_activity(next))


async def connected(client: Client, within_s: float = CONNECT_S_MAX) -> Client:
    """A client that is connected: a worker cannot be made from one that connects at its first call.

    Waits up to `within_s` for the server; raises Unavailable after that, so that the process ends and says why.
    """
    service = client.service_client
    if not service.config.lazy:
        return client
    config = replace(service.config, lazy=False)
    try:
        async with asyncio.timeout(within_s):
            while True:
                try:
                    options: dict[str, Any] = {**client.config(), "service_client": await ServiceClient.connect(config)}
                    return Client(**options)
                except RuntimeError as error:  # what the SDK raises when nobody answers
                    LOG.warning("temporal does not answer yet", address=config.target_host, error=str(error))
                await asyncio.sleep(CONNECT_AGAIN_S)
    except TimeoutError as error:
        raise Unavailable(
            f"temporal at {config.target_host} did not answer within {within_s:g} s", remedy="start the server"
        ) from error


class _RunningWorker:
    def __init__(self, client: Client) -> None:
        self._client = client
        self._worker: Worker | None = None
        self._task: asyncio.Task[None] | None = None

    def _make(self) -> Worker:
        raise AssertionError(type(self).__name__)

    async def start(self) -> None:
        """Begin polling."""
        self._client = await connected(self._client)
        self._worker = self._make()
        self._task = asyncio.create_task(self._worker.run(), name="temporal-worker")

    async def stop(self) -> None:
        """Drain, then end."""
        if self._worker and self._task:
            await self._worker.shutdown()
            await asyncio.gather(self._task, return_exceptions=True)


class ActivityWorker(_RunningWorker):
    """A Part: runs a service's activities on its queue."""

    def __init__(self, client: Client, queue: str, activities: Sequence[Callable[..., Any]]) -> None:
        """`activities` are methods with `@activity.defn(name=...)`; sync ones run in threads."""
        super().__init__(client)
        self._queue, self._activities = queue, activities
        self._threads = ThreadPoolExecutor(ACTIVITIES_CONCURRENT_MAX, thread_name_prefix=queue)

    def _make(self) -> Worker:
        return Worker(
            self._client,
            task_queue=self._queue,
            activities=self._activities,
            activity_executor=self._threads,
            max_concurrent_activities=ACTIVITIES_CONCURRENT_MAX,
            graceful_shutdown_timeout=timedelta(seconds=GRACE_S),
            interceptors=[ErrorMapping()],
        )


class WorkflowWorker(_RunningWorker):
    """A Part: runs workflows on their queue."""

    def __init__(
        self,
        client: Client,
        queue: str,
        workflows: Sequence[type],
        *,
        cached_max: int = WORKFLOWS_CACHED_MAX,
        sandboxed: bool = True,
    ) -> None:
        """`cached_max=0` replays at every task, which tests use to find non-determinism."""
        super().__init__(client)
        self._queue, self._workflows = queue, workflows
        self._cached_max, self._sandboxed = cached_max, sandboxed

    def _make(self) -> Worker:
        restrictions = SandboxRestrictions.default.with_passthrough_modules(*PASSTHROUGH)
        made = Worker(
            self._client,
            task_queue=self._queue,
            workflows=self._workflows,
            workflow_runner=SandboxedWorkflowRunner(restrictions=restrictions)
            if self._sandboxed
            else UnsandboxedWorkflowRunner(),
            max_cached_workflows=self._cached_max,
            max_concurrent_workflow_tasks=WORKFLOW_TASKS_CONCURRENT_MAX,
            graceful_shutdown_timeout=timedelta(seconds=GRACE_S),
        )
        lengthen_patience(made)
        return made


def lengthen_patience(made: Worker) -> None:
    """Take a workflow for stuck after `STUCK_S`; AssertionError when the SDK has changed and this has no effect.

    The SDK interrupts one that does not yield for two seconds, which on a busy machine is none that is stuck. It has no
    option for it (temporalio/sdk-python#1050, #1614): `debug_mode` looks for none at all, and relaxes the sandbox too.
    """
    inside = made._workflow_worker  # noqa: SLF001
    if not hasattr(inside, "_deadlock_timeout_seconds"):
        raise AssertionError(
            "temporalio: the time after which a workflow is stuck has another name: look for an option"
        )
    inside._deadlock_timeout_seconds = STUCK_S  # type: ignore[union-attr]  # noqa: SLF001
