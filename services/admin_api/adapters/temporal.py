"""Workflows by name through Temporal's client; its failures in our tree."""

from collections.abc import Awaitable, Mapping
from datetime import timedelta
from typing import Any, TypeVar

from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError, WorkflowQueryFailedError
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from services.admin_api.domain.ports import WorkflowState
from shared.contracts import queues
from shared.domain.errors import AlreadyExists, NotFound, Unavailable
from shared.temporal.errors import error_text

RPC_TIMEOUT = timedelta(seconds=10)
QUERY_TIMEOUT = timedelta(seconds=2)
RESULT_TIMEOUT = timedelta(seconds=2)
STATUS = {
    WorkflowExecutionStatus.RUNNING: "running",
    WorkflowExecutionStatus.COMPLETED: "completed",
    WorkflowExecutionStatus.FAILED: "failed",
    WorkflowExecutionStatus.CANCELED: "cancelled",
    WorkflowExecutionStatus.TERMINATED: "terminated",
    WorkflowExecutionStatus.TIMED_OUT: "timed_out",
    WorkflowExecutionStatus.CONTINUED_AS_NEW: "continued",
}
Answer = TypeVar("Answer")


class TemporalWorkflows:
    """`Workflows`."""

    def __init__(self, client: Client, query_timeout: timedelta = QUERY_TIMEOUT) -> None:
        """`client` connects when first used; `query_timeout` is what a look waits for a worker to tell the progress."""
        self._client, self._query_timeout = client, query_timeout

    async def start(self, workflow_type: str, workflow_id: str, value: Mapping[str, Any] | None, *, again: bool) -> str:
        """Start and give the run id; AlreadyExists when one stands in the way."""
        reuse = WorkflowIDReusePolicy.ALLOW_DUPLICATE if again else WorkflowIDReusePolicy.REJECT_DUPLICATE
        try:
            handle = await _mapped(
                self._client.start_workflow(
                    workflow_type,
                    args=[value] if value is not None else [],
                    id=workflow_id,
                    task_queue=queues.WORKFLOWS,
                    id_reuse_policy=reuse,
                    id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                    rpc_timeout=RPC_TIMEOUT,
                ),
                workflow_id,
            )
        except WorkflowAlreadyStartedError as e:
            raise AlreadyExists(
                f"{workflow_id} runs already" if again else f"{workflow_id} was started already",
                remedy="watch it, or wait until it has ended",
            ) from e
        return handle.first_execution_run_id or ""

    async def state(self, workflow_id: str, run_id: str) -> WorkflowState | None:
        """None when there is no such run."""
        handle = self._client.get_workflow_handle(workflow_id, run_id=run_id or None)
        try:
            seen = await _mapped(handle.describe(rpc_timeout=RPC_TIMEOUT), workflow_id)
        except NotFound:
            return None
        status = STATUS.get(seen.status, "running") if seen.status is not None else "running"
        result, failure = None, ""
        if status == "completed":
            result = await _mapped(handle.result(follow_runs=False, rpc_timeout=RESULT_TIMEOUT), workflow_id)
        elif status in {"failed", "timed_out"}:
            try:
                await _mapped(handle.result(follow_runs=False, rpc_timeout=RESULT_TIMEOUT), workflow_id)
            except WorkflowFailureError as e:
                failure = error_text(e)
        memo = await seen.memo()
        return WorkflowState(
            status,
            seen.run_id,
            result if isinstance(result, dict) else None,
            failure,
            seen.close_time,
            str(memo.get("request", "")),
        )

    async def progress(self, workflow_id: str, run_id: str) -> Any:
        """The answer of its query `progress`; None when no worker answers in time."""
        handle = self._client.get_workflow_handle(workflow_id, run_id=run_id or None)
        try:
            return await handle.query("progress", rpc_timeout=self._query_timeout)
        except (RPCError, WorkflowQueryFailedError, RuntimeError):
            return None  # no worker, no such query, no connection: progress is a courtesy, the state is what counts

    async def tell(self, workflow_id: str, signal: str, value: Mapping[str, Any] | str) -> None:
        """Send a signal to the newest run."""
        handle = self._client.get_workflow_handle(workflow_id)
        await _mapped(handle.signal(signal, value, rpc_timeout=RPC_TIMEOUT), workflow_id)

    async def cancel(self, workflow_id: str, run_id: str) -> None:
        """Ask it to end."""
        handle = self._client.get_workflow_handle(workflow_id, run_id=run_id or None)
        await _mapped(handle.cancel(rpc_timeout=RPC_TIMEOUT), workflow_id)


async def _mapped(call: Awaitable[Answer], workflow_id: str) -> Answer:
    try:
        return await call
    except RPCError as e:
        if e.status is RPCStatusCode.NOT_FOUND:
            raise NotFound(f"{workflow_id}: nothing of that id runs", remedy="`headrace get operations`") from e
        raise Unavailable(
            f"Temporal did not answer for {workflow_id}: {e.status.name}",
            remedy="`headrace status` shows whether Temporal is up",
            retry_after_s=2.0,
        ) from e
    except RuntimeError as e:  # a lazy client that cannot connect
        raise Unavailable(
            f"Temporal cannot be reached for {workflow_id}",
            remedy="`headrace status` shows whether Temporal is up",
            retry_after_s=2.0,
        ) from e
