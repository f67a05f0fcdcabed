"""RollBack: puts the old fleet back, sized to the group's need and in traffic before the bad one leaves.

It takes the deployment's lease over (or the group's, when a person asks), needs no verdict, and never shifts traffic
faster than the restored fleet is there to take it. It is tried once: what cannot be restored is left as it is, closed
as FAILED, and logged as a page.
"""

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

from shared.contracts.activities import NamedGroup
from shared.contracts.deployment import CloseDeploymentInput, RollBackInput
from shared.contracts.progress import Progress
from shared.contracts.provisioning import (
    FleetModel,
    GroupModel,
    OperationResult,
    RemoveFleetInput,
    SetWeightsInput,
    WaitMembersInput,
)
from shared.contracts.scaling import ReleaseInput, ReserveInput
from shared.domain.activity import ActivityKind
from shared.temporal.errors import error_text
from workflows import stubs
from workflows.admitted import Admitted, begin_input
from workflows.board import Board
from workflows.closing import close_later, closed
from workflows.undo import shielded

ADMISSION_WAIT_S_MAX = 1800.0
MEMBERS_WAIT_S_MAX = 600.0
RESERVE_TTL_S = MEMBERS_WAIT_S_MAX + 120.0
ENOUGH = 0.5  # of the need: with fewer nodes than that the old fleet gets no more traffic than it has
WEIGHT_ALL = 100
QUIETED = ("capacity", "instance_churn", "lag_warn")
STEPS = 4


@workflow.defn(name="RollBack")
class RollBack:
    """One run, one attempt; each of its steps is retried within limits and bears repetition."""

    @workflow.init
    def __init__(self, wanted: RollBackInput) -> None:
        self._wanted = wanted
        self._board = Board(f"group/{wanted.group}")
        self._board.steps = STEPS
        self._unclosed: CloseDeploymentInput | None = None  # what the Deployer was not there to record

    @workflow.query
    def progress(self) -> Progress:
        """Where it stands."""
        return self._board.shown

    @workflow.run
    async def run(self, wanted: RollBackInput) -> OperationResult:
        """Done when the old fleet has all the traffic and the bad one is gone; else failed, and paged."""
        request = begin_input(
            ActivityKind.ROLLBACK,
            f"group/{wanted.group}",
            wanted.request_id,
            reason="; ".join(r.text for r in wanted.reasons)[:500],
            quiets=QUIETED,
            takes_over=wanted.takes_over.activity_id if wanted.takes_over is not None else "",
        )
        admitted = Admitted(request, self._board)
        result = await admitted.run(lambda: self._back(admitted), wait_s_max=ADMISSION_WAIT_S_MAX)
        if result.outcome != "done":
            workflow.logger.error("PAGE: rollback of group %s failed: %s", wanted.group, result.text)
            await shielded(self._close("FAILED", result))
        if self._unclosed is not None:
            await shielded(close_later(self._unclosed, self._board))
        return result

    async def _back(self, admitted: Admitted) -> OperationResult:
        group = await stubs.get_group(NamedGroup(group=self._wanted.group))
        good, bad = _fleet(group, self._wanted.good_fleet), _fleet(group, self._wanted.bad_fleet)
        if good is None:
            text = f"there is no way back: fleet {self._wanted.good_fleet} does not exist any more"
            raise ApplicationError(text, type="NotFound", non_retryable=True)
        in_service = await self._restore(admitted, good, bad)
        if bad is not None:
            self._board.say("running", f"removing {bad.fleet}", step=4)
            given = RemoveFleetInput(group=self._wanted.group, fleet=bad.fleet, lease=admitted.lease)
            await stubs.remove_fleet(given)
        result = OperationResult(
            outcome="done",
            text=f"{good.fleet} has all the traffic with {in_service} nodes; {self._wanted.bad_fleet} is gone",
            details={"deployment_id": self._wanted.deployment_id, "fleet": good.fleet},
        )
        await shielded(self._close(self._wanted.phase, result))
        await shielded(self._release(admitted))
        return result

    async def _restore(self, admitted: Admitted, good: FleetModel, bad: FleetModel | None) -> int:
        """Size, wait, traffic: in this order."""
        name = self._wanted.group
        self._board.say("running", f"sizing {good.fleet} to the group's need", step=1)
        answer = await stubs.reserve(
            ReserveInput(
                group=name,
                fleet=good.fleet,
                floor=max(good.desired, bad.desired if bad is not None else 0),
                share=1.0,
                other_floor=bad.desired if bad is not None else 0,  # it serves until the traffic has moved
                ttl_s=RESERVE_TTL_S,
                lease=admitted.lease,
            )
        )
        need = answer.desired.get(good.fleet, good.desired)
        self._board.say("running", f"waiting for {need} nodes of {good.fleet}", step=2)
        members = await stubs.wait_members(
            WaitMembersInput(group=name, fleet=good.fleet, count=need, timeout_s=MEMBERS_WAIT_S_MAX),
            wait_s=MEMBERS_WAIT_S_MAX,
        )
        if members.in_service >= max(1, need * ENOUGH) or members.satisfied:
            self._board.say("running", f"all traffic to {good.fleet}", step=3)
            weights = {good.fleet: WEIGHT_ALL} | ({bad.fleet: 0} if bad is not None else {})
            await stubs.set_weights(SetWeightsInput(group=name, weights=weights, lease=admitted.lease))
        if not members.satisfied:
            text = (
                f"{good.fleet} has {members.in_service} of the {need} nodes it needs: "
                f"{members.detail or 'no failure was named'}; {self._wanted.bad_fleet} is kept"
            )
            raise ApplicationError(text, type="CapacityUnavailable", non_retryable=True)
        return members.in_service

    async def _close(self, phase: str, result: OperationResult) -> None:
        if not self._wanted.deployment_id:
            return
        given = CloseDeploymentInput.model_validate(
            {
                "deployment_id": self._wanted.deployment_id,
                "phase": phase,
                "reasons": self._wanted.reasons + result.reasons,
                "mark_bad": self._wanted.mark_bad,
            }
        )
        self._unclosed = None if await closed(given) else given

    async def _release(self, admitted: Admitted) -> None:
        try:
            lease = admitted.lease
            await stubs.release(
                ReleaseInput(group=self._wanted.group, activity_id=lease.activity_id, token=lease.token)
            )
        except FailureError as e:
            workflow.logger.error("floors were not given back; they end by themselves: %s", error_text(e))


def _fleet(group: GroupModel, name: str) -> FleetModel | None:
    return next((f for f in group.fleets if f.fleet == name), None)
