"""DestroyObject: takes a pipeline, a server group or an environment away, admitted where machines are touched."""

from collections.abc import Awaitable, Callable
from typing import assert_never

from temporalio import workflow
from temporalio.exceptions import FailureError

from shared.contracts import queues
from shared.contracts.activities import NamedEnvironment, NamedPipeline
from shared.contracts.progress import Progress
from shared.contracts.provisioning import DestroyInput, GroupStackInput, OperationResult, SetRampInput
from shared.domain.activity import ActivityKind
from workflows import stubs
from workflows.admitted import Admitted, begin_input, failed, text_of
from workflows.board import Board
from workflows.undo import UNDOABLE, shielded

ADMISSION_WAIT_S_MAX = 1800.0


@workflow.defn(name="DestroyObject")
class DestroyObject:
    """One run destroys one object; what is gone already is done. There is no undo: each step only takes away."""

    @workflow.init
    def __init__(self, destroy: DestroyInput) -> None:
        self._destroy = destroy
        self._board = Board(f"{destroy.kind}/{destroy.name}")

    @workflow.query
    def progress(self) -> Progress:
        """Where it stands."""
        return self._board.shown

    @workflow.run
    async def run(self, destroy: DestroyInput) -> OperationResult:
        """Done, refused or failed."""
        match destroy.kind:
            case "environment":
                return await self._environment()
            case "pipeline":
                return await self._admitted(f"pipeline/{destroy.name}", self._pipeline)
            case "server-group":
                return await self._admitted(f"group/{destroy.name}", self._group)
            case _:
                assert_never(destroy.kind)

    async def _environment(self) -> OperationResult:
        try:
            await stubs.remove_environment(NamedEnvironment(environment=self._destroy.name))
        except UNDOABLE as failure:
            self._board.say("ended", text_of(failure))
            return failed(failure, [])
        return OperationResult(outcome="done", text=f"environment {self._destroy.name} is gone")

    async def _pipeline(self, admitted: Admitted) -> OperationResult:
        name = self._destroy.name
        self._board.say("running", f"closing the edge of {name}")
        await stubs.set_ramp(SetRampInput(pipeline=name, percent=0, lease=admitted.lease))
        self._board.say("running", f"removing pipeline {name}")
        await shielded(self._remove_pipeline(name))
        return OperationResult(outcome="done", text=f"pipeline {name} is gone")

    @staticmethod
    async def _remove_pipeline(name: str) -> None:
        """With its ramp, which may still wait to be admitted, and would wait for a pipeline that is gone."""
        await stubs.remove_pipeline(NamedPipeline(pipeline=name))
        try:
            await workflow.get_external_workflow_handle(queues.ramp_id(name)).signal("gone")
        except FailureError:
            workflow.logger.info("%s does not run", queues.ramp_id(name))

    async def _group(self, admitted: Admitted) -> OperationResult:
        name = self._destroy.name
        self._board.say("running", f"removing the stack of {name}")
        made = await stubs.remove_group(GroupStackInput(group=name, lease=admitted.lease))
        return OperationResult(outcome="done", text=f"server group {name} is gone: {made.deleted} resources deleted")

    async def _admitted(self, scope: str, work: Callable[[Admitted], Awaitable[OperationResult]]) -> OperationResult:
        # `creates`: what goes serves nothing afterwards, so its own bad verdict is no reason to keep it.
        request = begin_input(ActivityKind.PROVISION, scope, self._destroy.request_id, reason="destroy", creates=True)
        admitted = Admitted(request, self._board)
        return await admitted.run(lambda: work(admitted), wait_s_max=ADMISSION_WAIT_S_MAX)
