"""RateGroup: how much one node of a group sustains, found on a copy of it; RemoveCopy: clears up after a rating that is gone.

The copy is a group of its own, one node on the revision that serves, known to no route and to no stage: nothing of the
live group changes. Where its nodes call a transform group, a second copy stands behind it, for it to call. Both are pushed
to the undo before they are made, and go whatever happens; what a terminated workflow leaves is found by `Sweep`, which
starts `RemoveCopy`. Which rate comes next, and when enough was seen, follows from the
steps so far; the activity that drives a step decides it, so a history holds each step once.
"""

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from shared.contracts.progress import Progress
from shared.contracts.provisioning import GroupStackInput, OperationResult, WaitMembersInput
from shared.contracts.rating import (
    AddCopyInput,
    CopyModel,
    DriveInput,
    RateInput,
    RatingFound,
    RatingModel,
    RatingStep,
    RemoveCopyInput,
)
from shared.domain.activity import ActivityKind
from shared.domain.names import GroupName, called_copy, rating_copy
from workflows import stubs
from workflows.admitted import Admitted, begin_input
from workflows.board import Board
from workflows.undo import shielded

MEMBERS_WAIT_S_MAX = 600.0
STEPS_MAX = 40  # the search itself ends after 24
CLEAR_WAIT_S_MAX = 60.0
LATE_FACTOR = 5.0  # of the promised latency: so long are late answers waited for at the end of a step


@workflow.defn(name="RateGroup")
class RateGroup:
    """One run makes one rating."""

    @workflow.init
    def __init__(self, given: RateInput) -> None:
        self._given = given
        self._copy = rating_copy(GroupName(given.group))
        self._board = Board(f"group/{given.group}")

    @workflow.query
    def progress(self) -> Progress:
        """Where it stands: the rate of the step, and what was seen."""
        return self._board.shown

    @workflow.run
    async def run(self, given: RateInput) -> OperationResult:
        """Done with the rating, refused, failed or cancelled; the copy is gone in any case."""
        request = begin_input(
            ActivityKind.PROVISION, f"group/{given.group}", given.request_id, reason=given.reason or "traffic rating"
        )
        admitted = Admitted(request, self._board)
        result = await admitted.run(lambda: self._rate(admitted), wait_s_max=given.wait_s_max)
        if result.outcome == "cancelled":
            return result.model_copy(update={"text": f"nothing was rated, and {self._copy} is gone"})
        return result

    async def _rate(self, admitted: Admitted) -> OperationResult:
        self._board.say("running", f"making one node beside {self._given.group}")
        admitted.undo.push(f"remove {self._copy}", lambda: self._remove(admitted))
        copied = await stubs.add_copy(
            AddCopyInput(
                group=self._given.group,
                sample=self._given.sample,
                loading=self._given.loading,
                lease=admitted.lease,
            )
        )
        await self._wait(copied)
        steps, found = await self._drive(admitted, copied)
        rating = await stubs.record_rating(self._rating(copied, steps, found))
        self._board.say("running", f"removing {self._copy}; {told(rating)}")
        await shielded(self._remove(admitted))
        return OperationResult(
            outcome="done",
            text=told(rating) + (f"; {rating.change}" if rating.change else ""),
            details={
                "rating": rating.id,
                "revision": str(rating.revision),
                "node_type": rating.node_type,
                "rate": f"{found.rate:.1f}",
                "low": f"{found.low:.1f}",
                "high": f"{found.high:.1f}",
                "note": found.note,
                "change": rating.change,
                "steps": str(len(steps)),
            },
        )

    async def _wait(self, copied: CopyModel) -> None:
        if copied.called:
            called = copied.called
            await self._wait_for(called.copy_group, called.fleet, called.nodes)
        await self._wait_for(copied.copy_group, copied.fleet, 1)

    async def _wait_for(self, group: str, fleet: str, nodes: int) -> None:
        what = "the node" if nodes == 1 else f"{nodes} nodes"
        self._board.say("running", f"waiting for {what} of {fleet}")
        members = await stubs.wait_members(
            WaitMembersInput(group=group, fleet=fleet, count=nodes, timeout_s=MEMBERS_WAIT_S_MAX),
            wait_s=MEMBERS_WAIT_S_MAX,
        )
        if not members.satisfied:
            text = (
                f"copy {fleet}: {what} did not enter service within {MEMBERS_WAIT_S_MAX:.0f} s: "
                f"{members.detail or 'no failure was named'}"
            )
            raise ApplicationError(text, type="CapacityUnavailable", non_retryable=True)

    async def _drive(self, admitted: Admitted, copied: CopyModel) -> tuple[tuple[RatingStep, ...], RatingFound]:
        steps: tuple[RatingStep, ...] = ()
        wait_s = copied.call.step_s + LATE_FACTOR * copied.promise.latency_p95_s
        for number in range(1, STEPS_MAX + 1):
            await admitted.before_step()
            self._board.say("running", _about(number, steps, copied), step=number)
            answer = await stubs.drive_step(DriveInput(copied=copied, steps=steps), wait_s=wait_s)
            if answer.found is not None:
                return steps, answer.found
            if answer.step is not None:
                steps = (*steps, answer.step)
        raise ApplicationError(f"no rate was found in {STEPS_MAX} steps", type="Refused", non_retryable=True)

    def _rating(self, copied: CopyModel, steps: tuple[RatingStep, ...], found: RatingFound) -> RatingModel:
        return RatingModel(
            id=self._given.request_id,
            group=self._given.group,
            revision=copied.revision,
            node_type=copied.node_type,
            rated_at=workflow.time(),
            found=found,
            promise=copied.promise,
            call=copied.call,
            steps=steps,
            sample=copied.sample.sha256,
            requested_by=self._given.requested_by,
            called=copied.called,
        )

    async def _remove(self, admitted: Admitted) -> None:
        await remove_copies(self._given.group, admitted)


@workflow.defn(name="RemoveCopy")
class RemoveCopy:
    """Removes the copy of a rating whose workflow is gone, when nothing else is under way on the group."""

    @workflow.init
    def __init__(self, given: RemoveCopyInput) -> None:
        self._board = Board(f"group/{given.group}")

    @workflow.query
    def progress(self) -> Progress:
        """Where it stands."""
        return self._board.shown

    @workflow.run
    async def run(self, given: RemoveCopyInput) -> OperationResult:
        """Done, or refused: the next sweep starts another."""
        copied = rating_copy(GroupName(given.group))
        request = begin_input(
            ActivityKind.PROVISION,
            f"group/{given.group}",
            given.request_id,
            reason=f"remove {copied}, which a rating left behind",
            creates=True,  # nothing that serves is touched: the group's own verdict does not matter
        )
        admitted = Admitted(request, self._board)

        async def remove() -> OperationResult:
            self._board.say("running", f"removing {copied}")
            await remove_copies(given.group, admitted)
            return OperationResult(outcome="done", text=f"{copied} is gone")

        return await admitted.run(remove, wait_s_max=CLEAR_WAIT_S_MAX)


async def remove_copies(group: str, admitted: Admitted) -> None:
    """The copy of a group, then what it called; one that was never made is done at once."""
    for copied in (rating_copy(GroupName(group)), called_copy(GroupName(group))):
        await stubs.remove_group(GroupStackInput(group=copied, lease=admitted.lease))


def told(rating: RatingModel) -> str:
    """The rating as a sentence."""
    found = rating.found
    note = f" ({found.note})" if found.note else ""
    called = rating.called
    behind = f", calling {called.nodes} of {called.group} on revision {called.revision}," if called else ""
    return (
        f"one {rating.node_type} of {rating.group} on revision {rating.revision}{behind} "
        f"sustains {found.rate:.0f} messages/s [{found.low:.0f}, {found.high:.0f}]{note}"
    )


def _about(number: int, steps: tuple[RatingStep, ...], copied: CopyModel) -> str:
    text = f"step {number} of {copied.call.step_s:g} s"
    if not steps:
        return f"{text}, the first at {copied.call.first:g} messages/s"
    last = steps[-1]
    held = "held" if last.held else "broke"
    called = copied.called.group if copied.called else ""
    busy = f"; {called} {last.called_busy:.0%} busy, {last.called_refusals:.1%} turned away" if called else ""
    return (
        f"{text}; before it {last.wanted:.0f} messages/s {held}: {last.answered:.0f} answered, "
        f"p95 {last.latency_p95_s * 1000:.0f} ms, {last.errors:.1%} failed{busy}"
    )
