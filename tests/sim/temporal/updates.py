"""An update of a workflow: asked for, accepted or rejected, completed; outcomes are futures that callers wait for."""

import asyncio

from temporalio.api.common.v1 import Payloads
from temporalio.api.failure.v1 import Failure
from temporalio.api.update.v1 import Outcome, Request
from temporalio.bridge.proto.workflow_activation import DoUpdate, WorkflowActivationJob


class Update:
    """`stage` is set at each change; `outcome` once it is known."""

    def __init__(self, request: Request) -> None:
        self.id, self.request = request.meta.update_id, request
        self.accepted_event_id = 0
        self.outcome: Outcome | None = None
        self.stage = asyncio.Event()

    @property
    def accepted(self) -> bool:
        return self.accepted_event_id > 0

    def job(self) -> WorkflowActivationJob:
        """For the worker that sees it first."""
        given = self.request.input
        return WorkflowActivationJob(
            do_update=DoUpdate(
                id=self.id,
                protocol_instance_id=self.id,
                name=given.name,
                input=given.args.payloads,
                headers=given.header.fields,
                meta={"update_id": self.id, "identity": self.request.meta.identity},  # type: ignore[arg-type]
                run_validator=True,
            )
        )

    def changed(self) -> None:
        self.stage.set()
        self.stage = asyncio.Event()

    def accept(self, event_id: int) -> None:
        self.accepted_event_id = event_id
        self.changed()

    def end(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.changed()

    def reject(self, failure: Failure) -> None:
        self.end(Outcome(failure=failure))

    def complete(self, result: Payloads) -> None:
        self.end(Outcome(success=result))

    def run_closed(self) -> None:
        """The run ended before the update did."""
        if self.outcome is None and self.accepted:
            failure = Failure(
                message="Workflow Update failed because the Workflow completed before the Update completed."
            )
            failure.source = "Server"
            failure.application_failure_info.type = "AcceptedUpdateCompletedWorkflow"
            failure.application_failure_info.non_retryable = True
            self.reject(failure)
        self.changed()
