"""BuildEnvironment: resolve, fetch, verify, build, publish what code runs in; content-addressed: nothing to undo."""

from temporalio import workflow

from shared.contracts.progress import Progress
from shared.contracts.provisioning import BuildEnvironmentInput, OperationResult
from workflows import stubs
from workflows.admitted import failed, text_of
from workflows.board import Board
from workflows.undo import UNDOABLE


@workflow.defn(name="BuildEnvironment")
class BuildEnvironment:
    """Needs no admission: it touches no machine. The same requirements give the same digest, built once."""

    @workflow.init
    def __init__(self, build: BuildEnvironmentInput) -> None:
        self._board = Board(f"environment/{build.spec.name}")

    @workflow.query
    def progress(self) -> Progress:
        """Where it stands."""
        return self._board.shown

    @workflow.run
    async def run(self, build: BuildEnvironmentInput) -> OperationResult:
        """Done with the digest, or failed with what the resolver said."""
        self._board.say("running", f"building {build.spec.name}")
        try:
            made = await stubs.build_environment(build)
        except UNDOABLE as failure:
            self._board.say("ended", text_of(failure))
            return failed(failure, [])
        ready = made.phase == "READY"
        text = f"{build.spec.name} is ready" if ready else f"{build.spec.name}: {made.detail or made.phase}"
        self._board.say("ended", text)
        return OperationResult(outcome="done" if ready else "failed", text=text, details={"digest": made.digest})
