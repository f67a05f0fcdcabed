"""The server's RPCs, so that Temporal's own client (and every adapter that takes one) runs over it unchanged.

A call takes a message there and one back, in the caller's process. What the server does not answer in time raises as
gRPC would: DEADLINE_EXCEEDED by the caller's own limit, UNAVAILABLE while `down`, UNIMPLEMENTED for what is not played.
"""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, TypeVar

from google.protobuf.message import Message
from temporalio.api.common.v1 import GrpcStatus, Payloads
from temporalio.api.enums.v1 import HistoryEventFilterType, UpdateWorkflowExecutionLifecycleStage
from temporalio.api.errordetails.v1 import WorkflowExecutionAlreadyStartedFailure
from temporalio.api.update.v1 import UpdateRef
from temporalio.api.workflowservice import v1 as api
from temporalio.bridge.proto.workflow_activation import InitializeWorkflow, QueryWorkflow, WorkflowActivationJob
from temporalio.service import ConnectConfig, RPCError, RPCStatusCode, ServiceClient

from tests.sim.temporal.commands import NotSimulated
from tests.sim.temporal.conditions import Host
from tests.sim.temporal.run import Run
from tests.sim.temporal.server import AlreadyStarted, SimTemporal
from tests.sim.temporal.updates import Update

Answer = TypeVar("Answer", bound=Message)
LONG_POLL_S = 20.0
POLL_AGAIN_S = 0.5
TERMINATED = "terminated by user via frontend"  # where no reason is given
STAGE = UpdateWorkflowExecutionLifecycleStage


class SimService(ServiceClient):
    """What the client calls. `down`: nobody answers."""

    def __init__(self, server: SimTemporal) -> None:
        super().__init__(ConnectConfig(target_host="sim", identity="sim"))
        self._server = server
        self.down = False

    @property
    def worker_service_client(self) -> Any:
        raise NotSimulated("workers of the SDK: register with SimTemporal instead")

    def update_rpc_metadata(self, metadata: Mapping[str, str | bytes]) -> None:
        raise NotSimulated(f"metadata {sorted(metadata)}")

    def update_api_key(self, api_key: str | None) -> None:
        raise NotSimulated(f"an API key {api_key is not None}")

    async def _rpc_call(
        self,
        rpc: str,
        req: Message,
        resp_type: type[Answer],
        *,
        service: str,
        retry: bool,
        metadata: Mapping[str, str | bytes],
        timeout: timedelta | None,
    ) -> Answer:
        handler = getattr(self, rpc, None)
        if service != "workflow" or handler is None:
            raise _error(RPCStatusCode.UNIMPLEMENTED, f"{rpc} is not simulated")
        try:
            async with asyncio.timeout(timeout.total_seconds() if timeout is not None else None):
                await self._message()
                answer = await handler(req)
                await self._message()
        except TimeoutError as e:
            raise _error(RPCStatusCode.DEADLINE_EXCEEDED, "Timeout expired") from e
        if not isinstance(answer, resp_type):
            raise NotSimulated(f"{rpc} answered {type(answer).__name__}")
        return answer

    async def _message(self) -> None:
        await asyncio.sleep(self._server.conditions.delay())
        if self.down:
            raise _error(RPCStatusCode.UNAVAILABLE, "the server does not answer")

    # --------------------------------------------------------------------------------------------------- starts, ends

    def _start(self, req: Any) -> tuple[Run, bool]:
        unsupported = req.cron_schedule or req.HasField("retry_policy")
        if unsupported:
            raise _error(RPCStatusCode.UNIMPLEMENTED, f"{req.workflow_id}: cron and retries of workflows")
        init = InitializeWorkflow(
            workflow_type=req.workflow_type.name,
            workflow_id=req.workflow_id,
            arguments=req.input.payloads,
            headers=req.header.fields,
            memo=req.memo,
            search_attributes=req.search_attributes,
            identity=req.identity,
        )
        if req.HasField("workflow_execution_timeout"):
            init.workflow_execution_timeout.CopyFrom(req.workflow_execution_timeout)
        if req.HasField("workflow_run_timeout"):
            init.workflow_run_timeout.CopyFrom(req.workflow_run_timeout)
        before = self._server.find(req.workflow_id)
        try:
            run = self._server.start(
                init,
                req.task_queue.name,
                reuse=req.workflow_id_reuse_policy,
                conflict=req.workflow_id_conflict_policy,
                request_id=req.request_id,
                wait_s=req.workflow_start_delay.ToTimedelta().total_seconds(),
            )
        except AlreadyStarted as e:
            detail = WorkflowExecutionAlreadyStartedFailure(start_request_id=req.request_id, run_id=e.run.run_id)
            status = GrpcStatus(code=RPCStatusCode.ALREADY_EXISTS, message="Workflow execution already started")
            status.details.add().Pack(detail)
            raise RPCError(status.message, RPCStatusCode.ALREADY_EXISTS, status.SerializeToString()) from e
        return run, run is not before

    async def start_workflow_execution(self, req: api.StartWorkflowExecutionRequest) -> Message:
        run, fresh = self._start(req)
        return api.StartWorkflowExecutionResponse(run_id=run.run_id, started=fresh)

    async def signal_with_start_workflow_execution(self, req: api.SignalWithStartWorkflowExecutionRequest) -> Message:
        running = self._server.find(req.workflow_id)
        run, fresh = (running, False) if running is not None and running.open else self._start(req)
        self._server.signal(run, req.signal_name, req.signal_input.payloads)
        return api.SignalWithStartWorkflowExecutionResponse(run_id=run.run_id, started=fresh)

    async def signal_workflow_execution(self, req: api.SignalWorkflowExecutionRequest) -> Message:
        run = self._open(req.workflow_execution)
        self._server.signal(run, req.signal_name, req.input.payloads)
        return api.SignalWorkflowExecutionResponse()

    async def request_cancel_workflow_execution(self, req: api.RequestCancelWorkflowExecutionRequest) -> Message:
        self._open(req.workflow_execution).request_cancel(cause=req.reason)
        return api.RequestCancelWorkflowExecutionResponse()

    async def terminate_workflow_execution(self, req: api.TerminateWorkflowExecutionRequest) -> Message:
        self._open(req.workflow_execution).terminate(req.reason or TERMINATED)
        return api.TerminateWorkflowExecutionResponse()

    def _found(self, execution: Any) -> Run:
        run = self._server.find(execution.workflow_id, execution.run_id)
        if run is None:
            raise _error(RPCStatusCode.NOT_FOUND, f"workflow not found for ID: {execution.workflow_id}")
        return run

    def _open(self, execution: Any) -> Run:
        run = self._found(execution)
        if not run.open:
            raise _error(RPCStatusCode.NOT_FOUND, "workflow execution already completed")
        return run

    # ---------------------------------------------------------------------------------------------------------- looks

    async def describe_workflow_execution(self, req: api.DescribeWorkflowExecutionRequest) -> Message:
        run = self._found(req.execution)
        answer = api.DescribeWorkflowExecutionResponse()
        info = answer.workflow_execution_info
        info.execution.CopyFrom(run.execution)
        info.type.name, info.task_queue, info.status = run.kind, run.queue, run.status
        info.history_length, info.history_size_bytes = len(run.history.events), run.history.size
        info.start_time.FromNanoseconds(round(run.started_at * 1e6) * 1000)
        info.execution_time.CopyFrom(info.start_time)
        if not run.open:
            info.close_time.FromNanoseconds(round(run.closed_at * 1e6) * 1000)
        info.memo.CopyFrom(run.memo)
        info.search_attributes.CopyFrom(run.attributes)
        if run.parent is not None:
            info.parent_execution.CopyFrom(run.parent.run.execution)
        for activity in run.activities.values():
            pending = answer.pending_activities.add()
            pending.activity_id, pending.attempt = activity.asked.activity_id, activity.attempts
            pending.activity_type.name = activity.asked.activity_type
        return answer

    async def get_workflow_execution_history(self, req: api.GetWorkflowExecutionHistoryRequest) -> Message:
        run = self._found(req.execution)
        if req.wait_new_event and run.open:
            try:
                async with asyncio.timeout(LONG_POLL_S):
                    await run.ended.wait()
            except TimeoutError:
                return api.GetWorkflowExecutionHistoryResponse(next_page_token=b"again")
        events = run.history.events
        if req.history_event_filter_type == HistoryEventFilterType.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT:
            events = events[-1:]
        answer = api.GetWorkflowExecutionHistoryResponse()
        answer.history.events.extend(events)
        return answer

    async def query_workflow(self, req: api.QueryWorkflowRequest) -> Message:
        run = self._found(req.execution)
        while not run.recorded or run.task or (host := self._server.worker(run.queue)) is None:  # noqa: ASYNC110  nobody tells
            await asyncio.sleep(POLL_AGAIN_S)
        asked = QueryWorkflow(
            query_id="query",
            query_type=req.query.query_type,
            arguments=req.query.query_args.payloads,
            headers=req.query.header.fields,
        )
        response = await self._query(run, host, WorkflowActivationJob(query_workflow=asked))
        if response.HasField("failed"):
            raise _error(RPCStatusCode.INVALID_ARGUMENT, response.failed.message)
        payload = response.succeeded.response
        return api.QueryWorkflowResponse(query_result=Payloads(payloads=[payload]))

    async def _query(self, run: Run, host: Host, job: WorkflowActivationJob) -> Any:
        answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        async def ask() -> None:
            if not answered.done():
                answered.set_result(self._server.interpreter.query(run, host.life, job))

        host.spawn(ask())
        return await answered

    # -------------------------------------------------------------------------------------------------------- updates

    async def update_workflow_execution(self, req: api.UpdateWorkflowExecutionRequest) -> Message:
        execution = req.workflow_execution
        run = self._found(execution)
        update = run.updates.get(req.request.meta.update_id)
        if update is None:
            run = self._open(execution)
            update = Update(req.request)
            run.add_update(update)
        stage = await self._reached(execution, update, req.wait_policy.lifecycle_stage)
        ref = UpdateRef(workflow_execution=run.execution, update_id=update.id)
        return api.UpdateWorkflowExecutionResponse(update_ref=ref, outcome=update.outcome, stage=stage)

    async def poll_workflow_execution_update(self, req: api.PollWorkflowExecutionUpdateRequest) -> Message:
        run = self._found(req.update_ref.workflow_execution)
        update = run.updates.get(req.update_ref.update_id)
        if update is None:
            raise _error(RPCStatusCode.NOT_FOUND, f"update {req.update_ref.update_id} not found")
        stage = await self._reached(run.execution, update, req.wait_policy.lifecycle_stage)
        return api.PollWorkflowExecutionUpdateResponse(outcome=update.outcome, stage=stage, update_ref=req.update_ref)

    async def _reached(self, execution: Any, update: Update, wanted: STAGE.ValueType) -> STAGE.ValueType:
        """Wait for the stage, at most as long as the server holds a call."""
        try:
            async with asyncio.timeout(LONG_POLL_S):
                while True:
                    if update.outcome is not None:
                        return STAGE.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED
                    accepted = STAGE.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_ACCEPTED
                    if update.accepted and wanted <= accepted:
                        return accepted
                    run = self._server.find(execution.workflow_id)
                    if run is None or not run.open:
                        raise _error(RPCStatusCode.NOT_FOUND, "workflow execution already completed")
                    await update.stage.wait()
        except TimeoutError:
            if update.accepted:
                return STAGE.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_ACCEPTED
            return STAGE.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_ADMITTED


def _error(status: RPCStatusCode, text: str) -> RPCError:
    details = GrpcStatus(code=status, message=text)
    return RPCError(text, status, details.SerializeToString())
