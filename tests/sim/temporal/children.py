"""A child workflow as its parent's run keeps it: initiated, started or not, ended; and what the parent is told."""

from typing import TYPE_CHECKING

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import RetryState, TimeoutType
from temporalio.api.failure.v1 import Failure
from temporalio.bridge.proto.child_workflow import ChildWorkflowResult, StartChildWorkflowExecutionFailedCause
from temporalio.bridge.proto.workflow_activation import (
    ResolveChildWorkflowExecution,
    ResolveChildWorkflowExecutionStart,
    WorkflowActivationJob,
)
from temporalio.bridge.proto.workflow_commands import StartChildWorkflowExecution

from tests.sim.temporal import failures
from tests.sim.temporal.history import History

if TYPE_CHECKING:
    from tests.sim.temporal.run import Run


class Child:
    """`answered`: the parent was told already that it is cancelled, and hears no more."""

    def __init__(self, run: "Run", asked: StartChildWorkflowExecution, initiated_id: int) -> None:
        self.run, self.asked, self.initiated_id = run, asked, initiated_id
        self.execution = WorkflowExecution(workflow_id=asked.workflow_id)
        self.started_id = 0
        self.answered = False
        self._closed = False

    def _about(self) -> dict[str, object]:
        return {
            "namespace": self.run.server.namespace,
            "workflow_type": {"name": self.asked.workflow_type},
            "initiated_event_id": self.initiated_id,
        }

    def started(self, run_id: str) -> None:
        """It runs."""
        self.execution.run_id = run_id

        def write(history: History) -> WorkflowActivationJob:
            self.started_id = history.add(
                "CHILD_WORKFLOW_EXECUTION_STARTED", workflow_execution=self.execution, **self._about()
            )
            start = ResolveChildWorkflowExecutionStart(seq=self.asked.seq, succeeded={"run_id": run_id})  # type: ignore[arg-type]
            return WorkflowActivationJob(resolve_child_workflow_execution_start=start)

        self.run.happen(write)

    def not_started(self) -> None:
        """Another run has the id."""
        self.run.children.pop(self.asked.seq, None)

        def write(history: History) -> WorkflowActivationJob:
            history.add(
                "START_CHILD_WORKFLOW_EXECUTION_FAILED",
                workflow_id=self.asked.workflow_id,
                cause="START_CHILD_WORKFLOW_EXECUTION_FAILED_CAUSE_WORKFLOW_ALREADY_EXISTS",
                **self._about(),
            )
            cause = StartChildWorkflowExecutionFailedCause.START_CHILD_WORKFLOW_EXECUTION_FAILED_CAUSE_WORKFLOW_ALREADY_EXISTS
            start = ResolveChildWorkflowExecutionStart(
                seq=self.asked.seq,
                failed={
                    "workflow_id": self.asked.workflow_id,
                    "workflow_type": self.asked.workflow_type,
                    "cause": cause,
                },  # type: ignore[arg-type]
            )
            return WorkflowActivationJob(resolve_child_workflow_execution_start=start)

        self.run.happen(write)

    def ended(self, of: "Run") -> None:
        """How its last run ended."""
        if self._closed:
            return
        self._closed = True
        self.run.children.pop(self.asked.seq, None)
        self.run.happen(lambda history: self._write_end(history, of), last=True)

    def _write_end(self, history: History, of: "Run") -> WorkflowActivationJob | None:
        from tests.sim.temporal.run import STATUS

        state = STATUS.Name(of.status).removeprefix("WORKFLOW_EXECUTION_STATUS_")
        about = self._about() | {"workflow_execution": self.execution, "started_event_id": self.started_id}
        result = ChildWorkflowResult()
        match state:
            case "COMPLETED":
                about["result"] = {"payloads": [of.result] if of.result is not None else []}
                result.completed.SetInParent()
                if of.result is not None:
                    result.completed.result.CopyFrom(of.result)
            case "CANCELED":
                result.cancelled.failure.CopyFrom(
                    self._failure("Child Workflow execution canceled", failures.cancelled())
                )
            case "FAILED":
                if of.failure is None:
                    raise AssertionError(of.id)
                state_no = RetryState.RETRY_STATE_RETRY_POLICY_NOT_SET
                about |= {"failure": of.failure, "retry_state": state_no}
                result.failed.failure.CopyFrom(self._failure("Child Workflow execution failed", of.failure, state_no))
            case "TIMED_OUT":
                about["retry_state"] = RetryState.RETRY_STATE_TIMEOUT
                cause = failures.timed_out(TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE)
                result.failed.failure.CopyFrom(
                    self._failure("Child Workflow execution timed out", cause, RetryState.RETRY_STATE_TIMEOUT)
                )
            case _:
                cause = failures.terminated()
                result.failed.failure.CopyFrom(self._failure("Child Workflow execution terminated", cause))
        history.add(f"CHILD_WORKFLOW_EXECUTION_{state}", **about)
        if self.answered:
            return None
        return WorkflowActivationJob(
            resolve_child_workflow_execution=ResolveChildWorkflowExecution(seq=self.asked.seq, result=result)
        )

    def _failure(
        self, message: str, cause: Failure, state: RetryState.ValueType = RetryState.RETRY_STATE_UNSPECIFIED
    ) -> Failure:
        return failures.of_child(
            message,
            cause,
            self.run.server.namespace,
            self.execution,
            self.asked.workflow_type,
            self.initiated_id,
            self.started_id,
            state,
        )
