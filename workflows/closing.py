"""How the end of a deployment is recorded, also by a Deployer that is away for longer than one activity is tried.

What has ended must read as ended: otherwise the deployment stands in a phase that nothing works on any more.
"""

from temporalio import workflow
from temporalio.exceptions import FailureError

from shared.contracts.deployment import CloseDeploymentInput
from shared.temporal.errors import error_text, error_type
from workflows import stubs
from workflows.board import Board

AGAIN_FIRST_S, AGAIN_S_MAX = 1.0, 60.0  # the wait doubles
AGAIN_MAX = 48  # each is tried for five minutes: four hours
FOR_GOOD = frozenset({"NotFound", "Conflict"})  # there is none, or it has ended already, and otherwise


async def closed(given: CloseDeploymentInput) -> bool:
    """Whether there is nothing left to record; if there is, that is logged, and `close_later` is for when the lease has ended."""
    try:
        await stubs.close_deployment(given)
    except FailureError as e:
        workflow.logger.error("deployment %s: its end is not recorded: %s", _name(given), error_text(e))
        return error_type(e) in FOR_GOOD
    return True


async def close_later(given: CloseDeploymentInput, board: Board) -> None:
    """Again and again, while nothing is held any more; then somebody is woken."""
    board.say("running", f"waiting for the Deployer to record how deployment {_name(given)} ended")
    for nth in range(AGAIN_MAX):
        await workflow.sleep(min(AGAIN_S_MAX, AGAIN_FIRST_S * 2**nth))
        if await closed(given):
            return
    workflow.logger.error("PAGE: deployment %s: its end was never recorded", _name(given))


def _name(given: CloseDeploymentInput) -> str:
    return given.deployment_id or f"of request {given.request_id}"
