"""DeployGroup: moves a group to a new revision: admit, plan, carry the plan out step by step, or roll back.

The plan is the Deployer's, frozen at the start; `workflows.deploy_run` carries the steps out. One deployment of a group
runs at a time; a newer request (signal `newer`) replaces this one while it waits for admission, and follows it once it
touches machines. Whatever ends a deployment that has begun to change machines, short of success, is undone by
`RollBack`, which takes its lease over.
"""

import asyncio
from dataclasses import dataclass

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

from shared.contracts import queues
from shared.contracts.activities import NamedEnvironment, NamedGroup
from shared.contracts.base import ReasonModel
from shared.contracts.deployment import (
    CloseDeploymentInput,
    DeployInput,
    DeployPlan,
    OpenDeploymentInput,
    RollBackInput,
)
from shared.contracts.progress import Progress
from shared.contracts.provisioning import Artifact, OperationResult
from shared.contracts.scaling import ReleaseInput
from shared.domain.activity import ActivityKind, ActivityOutcome
from shared.temporal.errors import error_reasons, error_text, error_type
from workflows import stubs
from workflows.admitted import OUTCOMES, begin_input, failed, text_of
from workflows.board import Board, because
from workflows.closing import close_later, closed
from workflows.deploy_run import ABORTED, JUDGED_BAD, DeployRun
from workflows.lease import LeaseKeeper
from workflows.orders import Orders
from workflows.undo import UNDOABLE, shielded

TAKEN_OVER = "TakenOver"
QUIETED = ("capacity", "instance_churn", "lag_warn")  # what a rollout does to its own group and nobody is woken for


@dataclass(frozen=True, slots=True)
class Ended:
    """How the deployment is closed."""

    phase: str
    result: OperationResult


@workflow.defn(name="DeployGroup")
class DeployGroup:
    """One run carries out one deployment; a newer request that came meanwhile runs next."""

    @workflow.init
    def __init__(self, request: DeployInput) -> None:
        self._request = request
        self._board = Board(f"group/{request.group}")
        self._orders = Orders()
        self._next: DeployInput | None = None
        self._admitted = False
        self._keeper = LeaseKeeper(
            begin_input(
                ActivityKind.DEPLOY,
                f"group/{request.group}",
                request.request_id,
                reason=request.reason,
                quiets=QUIETED,
                override_reason=request.override_reason,
            ),
            self._board,
        )

    # ------------------------------------------------------------------------------------------------------- messages

    @workflow.signal
    def pause(self, by: str = "") -> None:
        """Stand at the next safe point until resumed."""
        self._orders.paused_by = by or "a person"

    @workflow.signal
    def resume(self, by: str = "") -> None:
        """Go on."""
        self._orders.resume(by)

    @workflow.signal
    def promote(self, by: str = "") -> None:
        """Do not bake or judge the present share any longer."""
        self._orders.promote(by)

    @workflow.signal
    def abort(self, by: str = "") -> None:
        """Stop, and put the old revision back."""
        self._orders.abort(by or "a person")

    @workflow.signal
    def newer(self, request: DeployInput) -> None:
        """A newer request for the same group; the newest one counts."""
        if request.request_id != self._request.request_id:
            self._next = request

    @workflow.query
    def progress(self) -> Progress:
        """Where it stands, and what it waits for."""
        return self._board.shown

    # ------------------------------------------------------------------------------------------------------------ run

    @workflow.run
    async def run(self, request: DeployInput) -> OperationResult:
        """Done, refused, rolled back, superseded, cancelled or failed."""
        workflow.upsert_memo({"group": request.group, "request": request.request_id})
        try:
            result = await self._deploy()
        except UNDOABLE as failure:  # before anything was planned
            result = await shielded(self._end(failed(failure, [])))
        self._board.say("ended", result.text, result.reasons)
        if self._next is not None and not stubs.cancel_is_pending():
            workflow.continue_as_new(self._next)
        return result

    async def _deploy(self) -> OperationResult:
        request = self._request
        environment = await self._environment()
        self._board.say("waiting", "for admission")
        blocked = await self._keeper.begin(
            wait=request.wait,
            wait_s_max=request.wait_s_max,
            give_up=lambda: self._next is not None or bool(self._orders.aborted_by),
        )
        if blocked:
            return self._not_admitted(blocked)
        self._admitted = True
        group = await stubs.get_group(NamedGroup(group=request.group))
        given = OpenDeploymentInput(request=request, group=group, environment=environment)
        try:
            opened = await shielded(stubs.open_deployment(given))
        except UNDOABLE as failure:  # it may have been opened, and nobody heard
            return await shielded(self._end_unheard(failed(failure, [])))
        if opened.plan is None:
            text = f"refused: {because(opened.reasons)}"
            return await shielded(self._end(OperationResult(outcome="refused", text=text, reasons=opened.reasons)))
        run = DeployRun(opened.plan, group, self._keeper, self._board, self._orders)
        return await self._carry_out(run, opened.plan)

    async def _environment(self) -> Artifact | None:
        name = self._request.environment
        if name is None:
            return None
        made = await stubs.get_environment(NamedEnvironment(environment=name))
        if made.artifact is None:
            raise _refused(f"environment {name} is {made.phase}, not READY: {made.detail or 'build it first'}")
        return made.artifact

    def _not_admitted(self, blocked: tuple[ReasonModel, ...]) -> OperationResult:
        if self._orders.aborted_by:
            return OperationResult(outcome="cancelled", text=f"aborted by {self._orders.aborted_by} before it began")
        superseded = self._keeper.superseded or self._next is not None
        text = "superseded by a newer request" if superseded else f"not admitted: {because(blocked)}"
        return OperationResult(outcome="superseded" if superseded else "refused", text=text, reasons=blocked)

    async def _carry_out(self, run: DeployRun, plan: DeployPlan) -> OperationResult:
        try:
            if stubs.cancel_is_pending():
                raise asyncio.CancelledError
            await run.steps()
        except UNDOABLE as failure:
            return await shielded(self._undo(run, plan, failure))
        text = f"{plan.group} runs revision {plan.revision.number} on {plan.new_fleet}"
        result = OperationResult(outcome="done", text=text, details=_details(plan))
        return await shielded(self._close(plan, Ended("FINISHED", result)))

    # ----------------------------------------------------------------------------------------------------------- ends

    async def _undo(self, run: DeployRun, plan: DeployPlan, failure: BaseException) -> OperationResult:
        """By how far it went: nothing to undo, back to the old fleet, or too late for a way back."""
        reasons = error_reasons(failure)
        text, kind = text_of(failure), error_type(failure)
        if any(r.code == TAKEN_OVER for r in reasons):
            text = f"a rollback of {plan.group} took it over: {text}"
            return OperationResult(outcome="rolled_back", text=text, reasons=reasons, details=_details(plan))
        await run.record_failure(text)
        if not run.touched or run.past_return:
            wanted = isinstance(failure, asyncio.CancelledError) or kind == ABORTED
            if run.past_return:
                text = f"{plan.new_fleet} has all the traffic; {plan.old_fleet} could not be removed: {text}"
                wanted = False
            result = OperationResult(
                outcome="cancelled" if wanted else "failed", text=text, reasons=reasons, details=_details(plan)
            )
            return await self._close(plan, Ended("CANCELLED" if wanted else "FAILED", result))
        self._board.say("undoing", f"rolling back: {text}", reasons)
        given = RollBackInput(
            group=plan.group,
            deployment_id=plan.deployment_id,
            good_fleet=plan.old_fleet,
            bad_fleet=plan.new_fleet,
            request_id=plan.deployment_id,
            takes_over=self._keeper.hand_over(),
            reasons=reasons or (ReasonModel(code=kind, scope=f"group/{plan.group}", text=text),),
            mark_bad=kind == JUDGED_BAD,
            phase="CANCELLED" if kind in {ABORTED, "CancelledError"} else "ROLLED_BACK",
        )
        return await self._roll_back(plan, given, text)

    async def _roll_back(self, plan: DeployPlan, given: RollBackInput, text: str) -> OperationResult:
        try:
            done = await workflow.execute_child_workflow(
                "RollBack",
                given,
                id=queues.rollback_id(plan.group),
                task_queue=queues.WORKFLOWS,
                result_type=OperationResult,
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            )
        except FailureError as e:
            done = OperationResult(outcome="failed", text=error_text(e), reasons=error_reasons(e))
        details = _details(plan) | {"rollback": queues.rollback_id(plan.group)}
        if done.outcome != "done":
            return OperationResult(
                outcome="failed", text=f"{text}; rollback: {done.text}", reasons=done.reasons, details=details
            )
        outcome = "cancelled" if given.phase == "CANCELLED" else "rolled_back"
        return OperationResult.model_validate(
            {"outcome": outcome, "text": f"{text}; {done.text}", "reasons": given.reasons, "details": details}
        )

    async def _close(self, plan: DeployPlan, ended: Ended) -> OperationResult:
        """Record how it ended, give floors back, end the activity; what the Deployer is not there to record comes last."""
        given = CloseDeploymentInput.model_validate(
            {"deployment_id": plan.deployment_id, "phase": ended.phase, "reasons": ended.result.reasons}
        )
        return await self._record_end(given, ended.result)

    async def _end_unheard(self, result: OperationResult) -> OperationResult:
        phase = "CANCELLED" if result.outcome == "cancelled" else "FAILED"
        given = {"request_id": self._request.request_id, "phase": phase, "reasons": result.reasons}
        return await self._record_end(CloseDeploymentInput.model_validate(given), result)

    async def _record_end(self, given: CloseDeploymentInput, result: OperationResult) -> OperationResult:
        is_closed = await closed(given)
        if self._keeper.held:
            await self._release()
        await self._end(result)
        if not is_closed:
            await close_later(given, self._board)
        return result

    async def _release(self) -> None:
        lease = self._keeper.lease
        given = ReleaseInput(group=self._request.group, activity_id=lease.activity_id, token=lease.token)
        try:
            await stubs.release(given)
        except FailureError as e:
            workflow.logger.error("floors were not given back; they end by themselves: %s", error_text(e))

    async def _end(self, result: OperationResult) -> OperationResult:
        try:
            await self._keeper.end(OUTCOMES.get(result.outcome, ActivityOutcome.FAILED), result.text)
        except FailureError as e:
            workflow.logger.error("the end was not recorded; the lease ends by itself: %s", error_text(e))
        return result


def _details(plan: DeployPlan) -> dict[str, str]:
    return {"deployment_id": plan.deployment_id, "fleet": plan.new_fleet, "revision": str(plan.revision.number)}


def _refused(text: str) -> FailureError:
    return ApplicationError(text, type="Refused", non_retryable=True)
