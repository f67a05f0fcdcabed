"""What the server does with each command of a completed workflow task. One it does not know stops the simulation."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from google.protobuf.duration_pb2 import Duration
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.bridge.proto.workflow_activation import FireTimer, WorkflowActivationJob
from temporalio.bridge.proto.workflow_commands import WorkflowCommand

from tests.sim.temporal.activities import Activity, seconds
from tests.sim.temporal.children import Child
from tests.sim.temporal.history import History

if TYPE_CHECKING:
    from tests.sim.temporal.run import Run


CHANGES = "TemporalChangeVersion"  # the search attribute that names the patches of a run


class NotSimulated(AssertionError):
    """A workflow used a part of Temporal that the interpreter does not have: build it, or do not use it."""


def carry_out(run: "Run", command: WorkflowCommand, completed: int) -> None:
    """`completed` is the event of the workflow task that it came with."""
    kind = command.WhichOneof("variant") or ""
    handler = HANDLERS.get(kind)
    if handler is None:
        raise NotSimulated(f"{run.kind} {run.id}: {kind}")
    handler(run, getattr(command, kind), completed)


def _set(**limits: Duration) -> dict[str, Duration]:
    """Those that are not zero."""
    return {name: limit for name, limit in limits.items() if limit.seconds or limit.nanos}


# ------------------------------------------------------------------------------------------------ timers, activities


def _start_timer(run: "Run", asked: Any, completed: int) -> None:
    seq = asked.seq
    started = run.history.add(
        "TIMER_STARTED",
        timer_id=str(seq),
        start_to_fire_timeout=asked.start_to_fire_timeout,
        workflow_task_completed_event_id=completed,
    )

    def write(history: History) -> WorkflowActivationJob | None:
        if run.timers.pop(seq, None) is None:  # cancelled by the task during which it fired
            return None
        history.add("TIMER_FIRED", timer_id=str(seq), started_event_id=started)
        return WorkflowActivationJob(fire_timer=FireTimer(seq=seq))

    timer = run.server.later(seconds(asked.start_to_fire_timeout), lambda: run.happen(write))
    run.timers[seq] = (timer, started)


def _cancel_timer(run: "Run", asked: Any, completed: int) -> None:
    known = run.timers.pop(asked.seq, None)
    if known is not None:
        known[0].cancel()
        run.history.add(
            "TIMER_CANCELED",
            timer_id=str(asked.seq),
            started_event_id=known[1],
            workflow_task_completed_event_id=completed,
        )


def _schedule_activity(run: "Run", asked: Any, completed: int) -> None:
    scheduled = run.history.add(
        "ACTIVITY_TASK_SCHEDULED",
        activity_id=asked.activity_id,
        activity_type={"name": asked.activity_type},
        task_queue={"name": asked.task_queue},
        input={"payloads": asked.arguments},
        workflow_task_completed_event_id=completed,
        retry_policy=asked.retry_policy,
        **_set(
            schedule_to_close_timeout=asked.schedule_to_close_timeout,
            schedule_to_start_timeout=asked.schedule_to_start_timeout,
            start_to_close_timeout=asked.start_to_close_timeout,
            heartbeat_timeout=asked.heartbeat_timeout,
        ),
    )
    run.activities[asked.seq] = run.activities_ever[asked.seq] = Activity(run, asked, scheduled)


def _cancel_activity(run: "Run", asked: Any, completed: int) -> None:
    """Also of one that ended while the worker had the task: that it ended is written after this."""
    activity = run.activities_ever[asked.seq]
    event = run.history.add(
        "ACTIVITY_TASK_CANCEL_REQUESTED",
        scheduled_event_id=activity.scheduled_id,
        workflow_task_completed_event_id=completed,
    )
    activity.cancel(event)


# ------------------------------------------------------------------------------------------------- other workflows


def _start_child(run: "Run", asked: Any, completed: int) -> None:
    initiated = run.history.add(
        "START_CHILD_WORKFLOW_EXECUTION_INITIATED",
        namespace=run.server.namespace,
        workflow_id=asked.workflow_id,
        workflow_type={"name": asked.workflow_type},
        task_queue={"name": asked.task_queue},
        input={"payloads": asked.input},
        parent_close_policy=asked.parent_close_policy,
        workflow_id_reuse_policy=asked.workflow_id_reuse_policy,
        workflow_task_completed_event_id=completed,
        memo={"fields": dict(asked.memo)},
        search_attributes=asked.search_attributes,
    )
    child = run.children[asked.seq] = run.children_ever[asked.seq] = Child(run, asked, initiated)
    run.server.later(run.server.conditions.delay(), run.server.start_child, child)


def _cancel_child(run: "Run", asked: Any, completed: int) -> None:
    child = run.children_ever[asked.child_workflow_seq]
    _ask_cancel(run, child.asked.workflow_id, "", asked.reason, completed, child=child)


def _cancel_external(run: "Run", asked: Any, completed: int) -> None:
    execution = asked.workflow_execution
    reason = f"Cancel requested by workflow with run id {run.run_id} with reason: {asked.reason}"
    _ask_cancel(run, execution.workflow_id, execution.run_id, reason, completed, seq=asked.seq)


def _ask_cancel(
    run: "Run", workflow_id: str, run_id: str, reason: str, completed: int, *, child: Child | None = None, seq: int = 0
) -> None:
    target = {"workflow_id": workflow_id, "run_id": run_id}
    about = {"namespace": run.server.namespace, "workflow_execution": target}
    initiated = run.history.add(
        "REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED",
        workflow_task_completed_event_id=completed,
        child_workflow_only=child is not None,
        reason=reason,
        **about,
    )

    def deliver() -> None:
        found = run.server.find(workflow_id, run_id)
        ok = found is not None and found.open

        def write(history: History) -> WorkflowActivationJob | None:
            if ok:
                history.add("EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED", initiated_event_id=initiated, **about)
            else:
                cause = "CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_EXTERNAL_WORKFLOW_EXECUTION_NOT_FOUND"
                history.add(
                    "REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED",
                    initiated_event_id=initiated,
                    cause=cause,
                    workflow_task_completed_event_id=completed,
                    **about,
                )
            if child is not None:
                return None
            job = WorkflowActivationJob()
            job.resolve_request_cancel_external_workflow.seq = seq
            if not ok:
                _not_found(job.resolve_request_cancel_external_workflow.failure, "cancel")
            return job

        if ok and found is not None:
            found.request_cancel(cause=reason, by=run.execution, initiated=initiated)
        run.happen(write)

    run.server.later(run.server.conditions.delay(), deliver)


def _not_found(failure: Any, what: str) -> None:
    failure.message = f"Unable to {what} external workflow because it was not found"
    failure.application_failure_info.SetInParent()


def _signal_external(run: "Run", asked: Any, completed: int) -> None:
    child_only = asked.WhichOneof("target") == "child_workflow_id"
    workflow_id = asked.child_workflow_id if child_only else asked.workflow_execution.workflow_id
    run_id = "" if child_only else asked.workflow_execution.run_id
    about = {
        "namespace": run.server.namespace,
        "workflow_execution": {"workflow_id": workflow_id, "run_id": run_id},
    }
    initiated = run.history.add(
        "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED",
        workflow_task_completed_event_id=completed,
        signal_name=asked.signal_name,
        input={"payloads": asked.args},
        child_workflow_only=child_only,
        **about,
    )

    def deliver() -> None:
        found = run.server.find(workflow_id, run_id)
        ok = found is not None and found.open
        if ok and found is not None:
            run.server.signal(found, asked.signal_name, asked.args, by=run.execution)

        def write(history: History) -> WorkflowActivationJob:
            job = WorkflowActivationJob()
            job.resolve_signal_external_workflow.seq = asked.seq
            if ok:
                history.add("EXTERNAL_WORKFLOW_EXECUTION_SIGNALED", initiated_event_id=initiated, **about)
            else:
                cause = "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_EXTERNAL_WORKFLOW_EXECUTION_NOT_FOUND"
                history.add(
                    "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED",
                    initiated_event_id=initiated,
                    cause=cause,
                    workflow_task_completed_event_id=completed,
                    **about,
                )
                _not_found(job.resolve_signal_external_workflow.failure, "signal")
            return job

        run.happen(write)

    run.server.later(run.server.conditions.delay(), deliver)


# ---------------------------------------------------------------------------------------------- notes about itself


def _patch(run: "Run", asked: Any, completed: int) -> None:
    data = run.server.converter.payload_converter.to_payload({"id": asked.patch_id, "deprecated": asked.deprecated})
    run.history.add(
        "MARKER_RECORDED",
        marker_name="core_patch",
        details={"patch-data": Payloads(payloads=[data])},
        workflow_task_completed_event_id=completed,
    )
    known = run.attributes.indexed_fields[CHANGES]
    before = json.loads(known.data) if known.data else []
    known.metadata["encoding"], known.metadata["type"] = b"json/plain", b"KeywordList"
    known.data = json.dumps([*before, f"{asked.patch_id}"]).encode()
    run.history.add(
        "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES",
        workflow_task_completed_event_id=completed,
        search_attributes={"indexed_fields": {CHANGES: known}},
    )


def _attributes(run: "Run", asked: Any, completed: int) -> None:
    run.history.add(
        "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES",
        workflow_task_completed_event_id=completed,
        search_attributes=asked.search_attributes,
    )
    _merge(run.attributes.indexed_fields, asked.search_attributes.indexed_fields)


def _properties(run: "Run", asked: Any, completed: int) -> None:
    run.history.add(
        "WORKFLOW_PROPERTIES_MODIFIED", workflow_task_completed_event_id=completed, upserted_memo=asked.upserted_memo
    )
    _merge(run.memo.fields, asked.upserted_memo.fields)


def _merge(into: Any, new: Any) -> None:
    for name, payload in new.items():
        if payload.data in {b"", b"null"}:
            into.pop(name, None)
        else:
            into[name].CopyFrom(payload)


def _update(run: "Run", asked: Any, _: int) -> None:
    update = run.updates[asked.protocol_instance_id]
    if asked.HasField("accepted"):
        event = run.history.add(
            "WORKFLOW_EXECUTION_UPDATE_ACCEPTED",
            protocol_instance_id=update.id,
            accepted_request=update.request,
            accepted_request_message_id=f"{update.id}/request",
        )
        update.accept(event)
        return
    if asked.HasField("completed"):
        outcome: dict[str, Any] = {"success": {"payloads": [asked.completed]}}
    else:
        outcome = {"failure": asked.rejected}
    if update.accepted:
        run.history.add(
            "WORKFLOW_EXECUTION_UPDATE_COMPLETED",
            meta=update.request.meta,
            accepted_event_id=update.accepted_event_id,
            outcome=outcome,
        )
    if asked.HasField("completed"):
        update.complete(Payloads(payloads=[asked.completed]))
    else:
        update.reject(asked.rejected)


# ------------------------------------------------------------------------------------------------------------- ends


def _complete(run: "Run", asked: Any, completed: int) -> None:
    run.result = Payload()
    run.result.CopyFrom(asked.result)
    run.close(
        "COMPLETED",
        "WORKFLOW_EXECUTION_COMPLETED",
        result={"payloads": [asked.result]},
        workflow_task_completed_event_id=completed,
    )


def _fail(run: "Run", asked: Any, completed: int) -> None:
    run.failure = asked.failure
    run.close(
        "FAILED",
        "WORKFLOW_EXECUTION_FAILED",
        failure=asked.failure,
        retry_state="RETRY_STATE_RETRY_POLICY_NOT_SET",
        workflow_task_completed_event_id=completed,
    )


def _cancel(run: "Run", asked: Any, completed: int) -> None:
    run.close(
        "CANCELED", "WORKFLOW_EXECUTION_CANCELED", details=asked.details, workflow_task_completed_event_id=completed
    )


def _continue(run: "Run", asked: Any, completed: int) -> None:
    fresh = run.server.continued(run, asked)
    run.next_run = fresh
    run.close(
        "CONTINUED_AS_NEW",
        "WORKFLOW_EXECUTION_CONTINUED_AS_NEW",
        new_execution_run_id=fresh.run_id,
        workflow_type={"name": fresh.kind},
        task_queue={"name": fresh.queue},
        input={"payloads": asked.arguments},
        workflow_task_completed_event_id=completed,
        initiator="CONTINUE_AS_NEW_INITIATOR_WORKFLOW",
    )
    fresh.begin(seconds(asked.backoff_start_interval))


HANDLERS: dict[str, Callable[["Run", Any, int], None]] = {
    "start_timer": _start_timer,
    "cancel_timer": _cancel_timer,
    "schedule_activity": _schedule_activity,
    "request_cancel_activity": _cancel_activity,
    "start_child_workflow_execution": _start_child,
    "cancel_child_workflow_execution": _cancel_child,
    "request_cancel_external_workflow_execution": _cancel_external,
    "signal_external_workflow_execution": _signal_external,
    "set_patch_marker": _patch,
    "upsert_workflow_search_attributes": _attributes,
    "modify_workflow_properties": _properties,
    "update_response": _update,
    "complete_workflow_execution": _complete,
    "fail_workflow_execution": _fail,
    "cancel_workflow_execution": _cancel,
    "continue_as_new_workflow_execution": _continue,
}
