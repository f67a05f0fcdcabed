"""ScaleGroup: carries out one decision of the Autoscaler: admission, absolute sizes, wait, record what came of it."""

from temporalio import workflow

from shared.contracts.progress import Progress
from shared.contracts.provisioning import OperationResult
from shared.contracts.scaling import ScaleInput, ScaleResult, SetDesiredInput, WaitInServiceInput
from shared.domain.activity import ActivityKind
from workflows import stubs
from workflows.admitted import Admitted, begin_input, text_of
from workflows.board import Board
from workflows.undo import UNDOABLE, shielded

OUT_WAIT_S_MAX = 45.0  # holders get 30 s to park; after that the next tick decides anew
IN_WAIT_S_MAX = 0.0  # asked once: cost can wait, and a decision to shrink gets old
SERVICE_WAIT_S_MAX = 600.0


@workflow.defn(name="ScaleGroup")
class ScaleGroup:
    """One run carries out one decision; a repeated one finds the sizes set."""

    @workflow.init
    def __init__(self, scale: ScaleInput) -> None:
        self._scale = scale
        self._board = Board(f"group/{scale.group}")

    @workflow.query
    def progress(self) -> Progress:
        """Where it stands."""
        return self._board.shown

    @workflow.run
    async def run(self, scale: ScaleInput) -> OperationResult:
        """Done, refused or failed; whichever it is, the Autoscaler learns it."""
        out = scale.direction == "out"
        request = begin_input(
            ActivityKind.SCALE_OUT if out else ActivityKind.SCALE_IN,
            f"group/{scale.group}",
            scale.decision_id,
            reason=", ".join(f"{f}: {scale.previous.get(f, 0)} -> {n}" for f, n in scale.desired.items()),
            signal_age_s=scale.signal_age_s if out else None,
        )
        admitted = Admitted(request, self._board)
        result = await admitted.run(lambda: self._resize(admitted), wait_s_max=OUT_WAIT_S_MAX if out else IN_WAIT_S_MAX)
        if result.outcome != "done":
            await shielded(self._record_failure(result))
        return result

    async def _resize(self, admitted: Admitted) -> OperationResult:
        scale = self._scale
        self._board.say("running", f"setting {scale.desired}")
        made = await stubs.set_desired(SetDesiredInput(scale=scale, lease=admitted.lease))
        if made.outcome == "set":
            self._board.say("running", f"waiting until {made.text or scale.desired} is in service")
            made = await stubs.wait_in_service(
                WaitInServiceInput(scale=scale, timeout_s=SERVICE_WAIT_S_MAX), wait_s=SERVICE_WAIT_S_MAX
            )
        if made.outcome in {"refused", "failed"}:
            outcome = "refused" if made.outcome == "refused" else "failed"
            given = {"outcome": outcome, "text": made.text, "reasons": made.reasons}
            return OperationResult.model_validate(given)
        await stubs.record_outcome(made)
        text = f"{made.outcome.replace('_', ' ')}: {made.text}"
        return OperationResult(outcome="done", text=text, reasons=made.reasons)

    async def _record_failure(self, result: OperationResult) -> None:
        outcome = "refused" if result.outcome in {"refused", "superseded"} else "failed"
        given = ScaleResult.model_validate(
            {
                "decision_id": self._scale.decision_id,
                "outcome": outcome,
                "text": result.text,
                "reasons": result.reasons,
            }
        )
        try:
            await stubs.record_outcome(given)
        except UNDOABLE as failure:
            workflow.logger.error("the outcome was not recorded: %s", text_of(failure))
