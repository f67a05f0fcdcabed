"""Failures as Temporal's server and core word and wrap them; the shipped SDK turns them into exceptions."""

from temporalio.api.common.v1 import Payloads, WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import RetryState, TimeoutType
from temporalio.api.failure.v1 import Failure


def timed_out(kind: TimeoutType.ValueType, details: Payloads | None = None) -> Failure:
    """An attempt's, by the server."""
    name = {
        TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE: "StartToClose",
        TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE: "ScheduleToClose",
        TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START: "ScheduleToStart",
        TimeoutType.TIMEOUT_TYPE_HEARTBEAT: "Heartbeat",
    }[kind]
    failure = Failure(message=f"activity {name} timeout", source="Server")
    failure.timeout_failure_info.timeout_type = kind
    if details is not None:
        failure.timeout_failure_info.last_heartbeat_details.CopyFrom(details)
    return failure


def out_of_time() -> Failure:
    """Schedule-to-close is over, or no further attempt fits into it."""
    failure = Failure(
        message="Not enough time to schedule next retry before activity ScheduleToClose timeout, giving up retrying",
        source="Server",
    )
    failure.timeout_failure_info.timeout_type = TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE
    return failure


def cancelled(message: str = "") -> Failure:
    """What lies innermost in every cancellation."""
    failure = Failure(message=message)
    failure.canceled_failure_info.SetInParent()
    return failure


def terminated() -> Failure:
    """Of a child that was terminated."""
    failure = Failure()
    failure.terminated_failure_info.SetInParent()
    return failure


def of_activity(
    message: str,
    cause: Failure,
    activity_type: str,
    activity_id: str,
    scheduled_id: int,
    started_id: int = 0,
    retry_state: RetryState.ValueType = RetryState.RETRY_STATE_UNSPECIFIED,
) -> Failure:
    """What a workflow is told of an activity."""
    failure = Failure(message=message, cause=cause)
    info = failure.activity_failure_info
    info.activity_type.name, info.activity_id = activity_type, activity_id
    info.scheduled_event_id, info.started_event_id, info.retry_state = scheduled_id, started_id, retry_state
    return failure


def of_child(
    message: str,
    cause: Failure,
    namespace: str,
    execution: WorkflowExecution,
    workflow_type: str,
    initiated_id: int,
    started_id: int,
    retry_state: RetryState.ValueType = RetryState.RETRY_STATE_UNSPECIFIED,
) -> Failure:
    """What a workflow is told of a child."""
    failure = Failure(message=message, cause=cause)
    info = failure.child_workflow_execution_failure_info
    info.namespace, info.initiated_event_id, info.started_event_id = namespace, initiated_id, started_id
    info.workflow_execution.CopyFrom(execution)
    info.workflow_type.CopyFrom(WorkflowType(name=workflow_type))
    info.retry_state = retry_state
    return failure
