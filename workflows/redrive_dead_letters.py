"""RedriveDeadLetters: events that a stage gave up go to it again, at a bounded rate; what has gone does not go twice."""

from temporalio import workflow

from shared.contracts.dead_letters import RedriveInput
from shared.contracts.progress import Progress
from shared.contracts.provisioning import OperationResult
from workflows import stubs
from workflows.admitted import failed, text_of
from workflows.board import Board
from workflows.undo import UNDOABLE


@workflow.defn(name="RedriveDeadLetters")
class RedriveDeadLetters:
    """Needs no admission: it touches no machine, and its rate is bounded. There is nothing to undo."""

    @workflow.init
    def __init__(self, redrive: RedriveInput) -> None:
        self._board = Board(f"stage/{redrive.pipeline}/{redrive.stage}")

    @workflow.query
    def progress(self) -> Progress:
        """Where it stands."""
        return self._board.shown

    @workflow.run
    async def run(self, redrive: RedriveInput) -> OperationResult:
        """Done with how many went; cancelled, those that went stay gone."""
        where = f"stage {redrive.stage} of pipeline {redrive.pipeline}"
        self._board.say("running", f"sending dead letters to {where}, {redrive.request.rate:g}/s at most")
        try:
            report = await stubs.redrive_dead_letters(redrive)
        except UNDOABLE as failure:
            self._board.say("ended", text_of(failure))
            return failed(failure, [])
        text = f"{report.redriven} dead letters went to {where} again"
        self._board.say("ended", text)
        return OperationResult(
            outcome="done", text=text, details={"redriven": str(report.redriven), "already": str(report.already)}
        )
