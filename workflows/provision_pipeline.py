"""ProvisionPipeline: topics and stages on groups that exist already, no traffic yet; then a ramp takes over.

A pipeline that is not there yet, whatever its generation, starts at 0 % and is handed to `RampTraffic`, which runs on by itself. An
update of a pipeline that serves keeps its traffic; one whose ramp never came to its end is ramped on.
"""

from temporalio import workflow
from temporalio.exceptions import ActivityError, WorkflowAlreadyStartedError

from shared.contracts import queues
from shared.contracts.activities import NamedPipeline
from shared.contracts.progress import Progress
from shared.contracts.provisioning import (
    OperationResult,
    PipelineInput,
    ProvisionPipelineInput,
    RampInput,
    SetRampInput,
)
from shared.domain.activity import ActivityKind
from shared.temporal.errors import error_type
from workflows import stubs
from workflows.admitted import Admitted, begin_input, failed, text_of
from workflows.board import Board
from workflows.undo import UNDOABLE, shielded

ADMISSION_WAIT_S_MAX = 1800.0
ALL_PERCENT = 100


@workflow.defn(name="ProvisionPipeline")
class ProvisionPipeline:
    """One run brings one pipeline to one generation."""

    @workflow.init
    def __init__(self, wanted: ProvisionPipelineInput) -> None:
        self._wanted = wanted
        self._name = wanted.spec.name
        self._board = Board(f"pipeline/{wanted.spec.name}")
        self._ramps = False

    @workflow.query
    def progress(self) -> Progress:
        """Where it stands."""
        return self._board.shown

    @workflow.run
    async def run(self, wanted: ProvisionPipelineInput) -> OperationResult:
        """Done once it is registered and its ramp, if it needs one, has begun."""
        try:
            creates = not await self._is_there()
        except UNDOABLE as failure:
            self._board.say("ended", text_of(failure))
            return failed(failure, [])
        request = begin_input(
            ActivityKind.PROVISION,
            f"pipeline/{self._name}",
            wanted.request_id,
            reason="create" if creates else f"update to generation {wanted.generation}",
            creates=creates,
        )
        admitted = Admitted(request, self._board)
        result = await admitted.run(lambda: self._register(admitted, creates=creates), wait_s_max=ADMISSION_WAIT_S_MAX)
        if result.outcome != "done" or not self._ramps:
            return result
        return await shielded(self._hand_to_ramp(result))  # registered: a cancel now would leave it without a ramp

    async def _is_there(self) -> bool:
        try:
            await stubs.get_pipeline(NamedPipeline(pipeline=self._name))
        except ActivityError as failure:
            if error_type(failure) != "NotFound":
                raise
            return False
        return True

    async def _register(self, admitted: Admitted, *, creates: bool) -> OperationResult:
        spec = self._wanted.spec
        if creates:
            admitted.undo.push("remove the pipeline", lambda: stubs.remove_pipeline(NamedPipeline(pipeline=self._name)))
        self._board.say("running", f"making topics and assigning {len(spec.stages)} stages")
        made = await stubs.register_pipeline(PipelineInput(spec=spec, generation=self._wanted.generation))
        self._ramps = creates or made.ramp_percent < ALL_PERCENT
        if creates:
            await stubs.set_ramp(SetRampInput(pipeline=self._name, percent=0, lease=admitted.lease))
        return OperationResult(outcome="done", text=f"{self._name}: {len(spec.stages)} stages assigned")

    async def _hand_to_ramp(self, result: OperationResult) -> OperationResult:
        ramp, ramp_id = self._wanted.spec.ramp, queues.ramp_id(self._name)
        given = RampInput(
            pipeline=self._name, percents=ramp.percents, bake_s=ramp.bake_s, request_id=self._wanted.request_id
        )
        try:
            await workflow.start_child_workflow(
                "RampTraffic",
                given,
                id=ramp_id,
                task_queue=queues.WORKFLOWS,
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            )
        except WorkflowAlreadyStartedError:
            workflow.logger.info("%s runs already and goes on", ramp_id)
        text = f"{result.text}; traffic ramps as {ramp_id}"
        self._board.say("ended", text)
        return result.model_copy(update={"text": text, "details": {"ramp": ramp_id}})
