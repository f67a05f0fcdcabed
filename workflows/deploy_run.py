"""Carrying a deployment's plan out: each step recorded before and after, each change asked for anew.

A share step sizes the fleets, waits until the new nodes serve, and only then moves traffic. From the first traffic on
the new fleet is judged at every chance: while it bakes, while a person pauses, while admission holds. What the judge
advises is done; a deployment that cannot be judged holds for a person, for a bounded time.
"""

from typing import assert_never

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

from shared.contracts.deployment import (
    AddFleetStep,
    BakeStep,
    DeployPlan,
    JudgeInput,
    Judgement,
    JudgeStep,
    RecordStepInput,
    RemoveFleetStep,
    ShareStep,
    Step,
)
from shared.contracts.provisioning import AddFleetInput, GroupModel, RemoveFleetInput, SetWeightsInput, WaitMembersInput
from shared.contracts.scaling import ReserveAnswer, ReserveInput
from shared.temporal.errors import error_text
from workflows import stubs
from workflows.board import Board, because, step_text
from workflows.lease import LeaseKeeper, until
from workflows.orders import Orders
from workflows.undo import shielded

MEMBERS_WAIT_S_MAX = 900.0
MEMBERS_REST_S = 5.0  # between two askings: the answer may come at once when waiting is hopeless
RESERVE_TTL_S = 120.0  # floors outlive a dead workflow by so long
RENEW_S = RESERVE_TTL_S / 4
LOOK_S_MIN, LOOK_S_MAX = 2.0, 30.0
LOOKS_PER_BAKE = 5
HOLD_JUDGE_S = 15.0  # between two judgements while nothing can be concluded
UNDECIDED_S_MAX = 600.0  # without a conclusion for so long, a person is asked
PAUSE_S_MAX = 4 * 3600.0
PERCENT = 100
JUDGED_BAD = "JudgedBad"
ABORTED = "Aborted"


class DeployRun:
    """One plan being carried out."""

    def __init__(self, plan: DeployPlan, group: GroupModel, keeper: LeaseKeeper, board: Board, orders: Orders) -> None:
        self._plan, self._group, self._keeper = plan, group, keeper
        self._board, self._orders = board, orders
        self._number = 0
        self._shared_at: float | None = None  # when the new fleet got its present share of traffic
        self._share: ReserveInput | None = None
        self._renewed_at = 0.0
        self._old_floor = plan.nodes  # nodes that the old fleet keeps now
        self._promoted = False
        self.touched = False
        self.past_return = False
        board.steps = len(plan.steps)

    async def steps(self) -> None:
        """Every step in order. ApplicationError of type JudgedBad or Aborted, or the failure of a step."""
        for number, step in enumerate(self._plan.steps, start=1):
            self._number = number
            await self._safe_point()
            if not isinstance(step, BakeStep | JudgeStep):
                await self._keeper.before_step(self._watch)
                self._check_abort()
            self._say(step_text(step))
            await self._record("started", step_text(step))
            note = await self._act(step)
            if self.past_return:
                await shielded(self._record_if_possible("done", note))
            else:
                await self._record("done", note)

    async def record_failure(self, why: str) -> None:
        """Note at which step it ended."""
        await self._record_if_possible("failed", why)

    async def _record_if_possible(self, state: str, note: str) -> None:
        """A Deployer that is away holds up neither the way back nor the end."""
        try:
            await self._record(state, note)
        except FailureError as e:
            workflow.logger.error("step %d is %s, and that was not recorded: %s", self._number, state, error_text(e))

    async def _act(self, step: Step) -> str:
        match step:
            case AddFleetStep():
                return await self._add_fleet(step)
            case ShareStep():
                return await self._give_share(step)
            case BakeStep():
                return await self._bake(step)
            case JudgeStep():
                return await self._judge_step()
            case RemoveFleetStep():
                return await self._remove_fleet(step)
            case _:
                assert_never(step)

    # ---------------------------------------------------------------------------------------------------------- steps

    async def _add_fleet(self, step: AddFleetStep) -> str:
        self.touched = True
        made = await stubs.add_fleet(
            AddFleetInput(
                group=self._plan.group,
                revision=self._plan.revision,
                desired_initial=step.nodes,
                weight=0,
                lease=self._keeper.lease,
            )
        )
        return f"{made.created} resources in {made.seconds:.1f} s"

    async def _give_share(self, step: ShareStep) -> str:
        self.touched = True
        self._promoted = False
        given = ReserveInput(
            group=self._plan.group,
            fleet=step.fleet,
            floor=step.floor,
            share=step.percent / PERCENT,
            other_floor=max(step.old_floor, self._old_floor),  # nothing goes before the traffic has moved
            ttl_s=RESERVE_TTL_S,
            lease=self._keeper.lease,
        )
        answer = await self._reserve(given)
        wanted = max(step.floor, answer.desired.get(step.fleet, 0))
        self._say(f"waiting for {wanted} nodes of {step.fleet}")
        await self._members(step.fleet, wanted)
        await self._keeper.before_step(self._watch)
        self._check_abort()
        rest = PERCENT - step.percent
        weights = {step.fleet: step.percent} | ({self._plan.old_fleet: rest} if self._plan.old_fleet else {})
        await stubs.set_weights(SetWeightsInput(group=self._plan.group, weights=weights, lease=self._keeper.lease))
        self._shared_at = workflow.time()
        self._old_floor = step.old_floor
        await self._reserve(given.model_copy(update={"other_floor": step.old_floor, "lease": self._keeper.lease}))
        return f"{step.fleet} takes {step.percent} % with {wanted} nodes in service"

    async def _reserve(self, given: ReserveInput) -> ReserveAnswer:
        answer = await stubs.reserve(given)
        self._share, self._renewed_at = given, workflow.time()
        return answer

    async def _members(self, fleet: str, count: int) -> None:
        """Until so many serve; asked in parts, so that floors are renewed and a person is heard meanwhile."""
        began = workflow.time()
        while True:
            waited = workflow.time() - began
            part = min(RENEW_S, MEMBERS_WAIT_S_MAX - waited)
            members = await stubs.wait_members(
                WaitMembersInput(group=self._plan.group, fleet=fleet, count=count, timeout_s=part), wait_s=part
            )
            if members.satisfied:
                return
            self._check_abort()
            if workflow.time() - began >= MEMBERS_WAIT_S_MAX:
                text = (
                    f"fleet {fleet}: {members.in_service} of {count} nodes entered service within "
                    f"{MEMBERS_WAIT_S_MAX:.0f} s: {members.detail or 'no failure was named'}"
                )
                raise ApplicationError(text, type="CapacityUnavailable", non_retryable=True)
            self._say(f"waiting for {count} nodes of {fleet}, {members.in_service} serve: {members.detail}")
            await until(lambda: bool(self._orders.aborted_by), MEMBERS_REST_S)
            await self._renew_share()

    async def _bake(self, step: BakeStep) -> str:
        """Its time counts only while nobody holds it; the judge looks in, and only its Fail has a say."""
        baked = 0.0
        slice_s = max(LOOK_S_MIN, min(LOOK_S_MAX, step.seconds / LOOKS_PER_BAKE))
        while baked < step.seconds:
            await self._safe_point()
            if self._promoted:
                return f"promoted by {self._orders.last_by or 'a person'}"
            before = workflow.time()
            await until(self._called, min(slice_s, step.seconds - baked))
            baked += workflow.time() - before
            if baked < step.seconds:
                await self._watch()
            self._say(step_text(step))
        return f"baked for {baked:.0f} s"

    async def _judge_step(self) -> str:
        began = workflow.time()
        while not self._promoted:
            judgement = await self._judge()
            if judgement.advice == "go_on":
                return f"{judgement.outcome}: {because(judgement.reasons)}"
            why = f"the judge holds ({judgement.outcome}): {because(judgement.reasons)}"
            if workflow.time() - began > UNDECIDED_S_MAX and not self._orders.paused_by:
                self._orders.paused_by = "the judge"
                why += "; promote or abort it"
            self._board.say("holding", why, judgement.reasons)
            await self._record("waiting", why)
            await until(self._called, HOLD_JUDGE_S if self._shared_for() > HOLD_JUDGE_S else LOOK_S_MIN)
            await self._safe_point()
        return f"promoted by {self._orders.last_by or 'a person'}"

    async def _remove_fleet(self, step: RemoveFleetStep) -> str:
        self.past_return = True
        given = RemoveFleetInput(group=self._plan.group, fleet=step.fleet, lease=self._keeper.lease)
        made = await shielded(stubs.remove_fleet(given))  # too late for a way back: a cancel does not stop it half way
        return f"{made.deleted} resources gone in {made.seconds:.1f} s"

    # ----------------------------------------------------------------------------------------------------- in between

    async def _judge(self) -> Judgement:
        """Over the time since the last share; Fail ends the deployment."""
        slo = self._group.spec.slo
        judgement = await stubs.judge(
            JudgeInput(
                deployment_id=self._plan.deployment_id,
                group=self._plan.group,
                new_fleet=self._plan.new_fleet,
                old_fleet=self._plan.old_fleet,
                since_s=self._shared_at if self._shared_at is not None else workflow.time(),
                until_s=workflow.time(),
                error_ratio_max=1 - slo.availability / PERCENT,
                lag_p95_s_max=slo.lag_p95_s,
            )
        )
        if judgement.advice == "roll_back":
            details = {"reasons": [r.model_dump(mode="json") for r in judgement.reasons]}
            raise ApplicationError(
                f"judged bad: {because(judgement.reasons)}", details, type=JUDGED_BAD, non_retryable=True
            )
        return judgement

    async def _watch(self) -> None:
        """While it stands: keep floors, hear an abort, and do not let a bad fleet go on serving."""
        self._check_abort()
        await self._renew_share()
        if self._shared_at is not None and self._shared_for() >= LOOK_S_MIN:
            await self._judge()

    async def _safe_point(self) -> None:
        """Stand while told to park or paused; leave when aborted."""
        self._check_abort()
        await self._keeper.safe_point(self._watch)
        began = workflow.time()
        while self._orders.paused_by:
            self._board.say("paused", f"by {self._orders.paused_by}, before step {self._number}", step=self._number)
            await until(lambda: not self._orders.paused_by or bool(self._orders.aborted_by), HOLD_JUDGE_S)
            await self._keeper.safe_point(self._watch)
            await self._watch()
            if workflow.time() - began > PAUSE_S_MAX:
                raise ApplicationError(
                    f"paused for more than {PAUSE_S_MAX / 3600:.0f} hours", type="HeldTooLong", non_retryable=True
                )
        self._promoted = self._orders.take_promotion() or self._promoted
        await self._renew_share()

    async def _renew_share(self) -> None:
        due = self._share is not None and workflow.time() - self._renewed_at >= RENEW_S
        if due and self._share is not None and self._keeper.usable:
            await self._reserve(self._share.model_copy(update={"lease": self._keeper.lease}))

    def _called(self) -> bool:
        return bool(self._orders.aborted_by or self._orders.paused_by or self._orders.promotions)

    def _check_abort(self) -> None:
        if self._orders.aborted_by:
            raise ApplicationError(f"aborted by {self._orders.aborted_by}", type=ABORTED, non_retryable=True)

    def _shared_for(self) -> float:
        return workflow.time() - self._shared_at if self._shared_at is not None else 0.0

    async def _record(self, state: str, note: str) -> None:
        given = {
            "deployment_id": self._plan.deployment_id,
            "step": self._number,
            "state": state,
            "note": note[:500],
        }
        await stubs.record_step(RecordStepInput.model_validate(given))

    def _say(self, text: str) -> None:
        self._board.say("running", text, step=self._number)
