"""A workflow's hold on a scope: admission with bounded waiting, heartbeats, parking, and the end.

The Observer grants a lease and a fencing token; this keeps it alive every third of its time and counts it down from
before each asking. What an answer asks for is obeyed at safe points: park means stand still and keep the place, stop
means touch nothing more. A lease that merely lapsed (a worker was down too long) is asked for again, as an intention of
its own; one that was taken over or superseded is gone.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NoReturn

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

from shared.contracts.admission import BeginAnswer, BeginInput, EndInput, HeartbeatAnswer, HeartbeatInput, LeaseModel
from shared.contracts.base import ReasonModel
from shared.domain.activity import ActivityOutcome, HolderAsk
from shared.temporal.errors import error_text, error_type
from workflows import stubs
from workflows.board import Board, because
from workflows.policies import BEAT_S, LEASE_TTL_S
from workflows.undo import shielded

ASK_S_MIN, ASK_S_MAX = 1.0, 15.0  # between two requests while blocked
PATIENCE = 10  # while blocked, the pause between requests grows to this part of what has been waited
MARGIN_S = 3.0  # of a lease that is too short to act on: a call may take so long, and clocks differ
HELD_S_MAX = 4 * 3600.0  # a holder that is told to park for longer gives up
REGAIN_MAX = 5  # lapsed leases asked for again by one workflow
_GONE = frozenset({"StaleLease", "NotFound", "Conflict"})
_LAPSED = "LeaseLapsed"
_SUPERSEDED = "Superseded"

Watch = Callable[[], Awaitable[None]]


def lease_lost(reasons: tuple[ReasonModel, ...], text: str = "") -> ApplicationError:
    """The failure of a workflow that may touch nothing more."""
    details = {"reasons": [r.model_dump(mode="json") for r in reasons]}
    return ApplicationError(text or because(reasons), details, type="StaleLease", non_retryable=True)


class LeaseKeeper:
    """One activity of the Observer, from Begin to End."""

    def __init__(self, request: BeginInput, board: Board) -> None:
        """`request.request_id` names the intention; asking again for a lapsed lease adds to it."""
        self._request, self._board = request, board
        self._lease: LeaseModel | None = None
        self._ask = HolderAsk.GO_ON
        self._reasons: tuple[ReasonModel, ...] = ()
        self._parked = False
        self._regained = 0
        self._beats: asyncio.Task[None] | None = None
        self.superseded = False

    # ------------------------------------------------------------------------------------------------- begin and end

    async def begin(
        self,
        *,
        wait: bool = True,
        wait_s_max: float,
        give_up: Callable[[], bool] = lambda: False,
        watch: Watch | None = None,
    ) -> tuple[ReasonModel, ...]:
        """Ask until granted: empty. Else why not: blocked and not willing to wait (any longer), or superseded.

        `watch` runs after each refusal.
        """
        began = workflow.time()
        while True:
            asked_at = workflow.time()
            answer = await shielded(stubs.begin(self._request))
            if answer.outcome == "granted" and answer.lease is not None:
                self._hold(answer, answer.lease, asked_at)
            if stubs.cancel_is_pending():
                raise asyncio.CancelledError
            if self._lease is not None:
                return ()
            self.superseded = any(r.code == _SUPERSEDED for r in answer.reasons)
            waited = workflow.time() - began
            patient = wait or answer.outcome == "yielding"
            if self.superseded or give_up() or not patient or waited >= wait_s_max:
                return answer.reasons
            self._board.say("waiting", f"for admission: {because(answer.reasons)}", answer.reasons)
            if watch is not None:
                await watch()
            pause = min(ASK_S_MAX, max(ASK_S_MIN, answer.retry_after_s, waited / PATIENCE))
            await until(give_up, min(pause, wait_s_max - waited))

    def _hold(self, answer: BeginAnswer, lease: LeaseModel, asked_at: float) -> None:
        ttl_s = answer.lease_ttl_s or self._request.ttl_s
        self._lease = lease.model_copy(update={"deadline_s": asked_at + ttl_s})
        self._ask, self._reasons, self._parked = HolderAsk.GO_ON, (), False
        if self._beats is None:
            self._beats = asyncio.create_task(self._beat())

    @property
    def held(self) -> bool:
        """Whether a lease was granted and neither ended nor handed over."""
        return self._lease is not None

    @property
    def lease(self) -> LeaseModel:
        """What to show with a write; StaleLease once it may no longer be shown."""
        if self._lease is None or not self.usable:
            raise lease_lost(self._reasons, "" if self._reasons else f"the lease on {self._request.scope} has lapsed")
        return self._lease

    @property
    def usable(self) -> bool:
        """Whether a write may show the lease now."""
        return self._lease is not None and self._ask is not HolderAsk.STOP and self._remaining_s() >= MARGIN_S

    async def end(self, outcome: ActivityOutcome, note: str = "") -> None:
        """Say how it ended; nothing to say when there was no lease or it is handed over."""
        lease = self._let_go()
        if lease is not None:
            await stubs.end(
                EndInput(activity_id=lease.activity_id, token=lease.token, outcome=outcome, note=note[:500])
            )

    def hand_over(self) -> LeaseModel | None:
        """Stop renewing without ending: another activity takes it over."""
        return self._let_go()

    def _let_go(self) -> LeaseModel | None:
        lease, self._lease = self._lease, None
        return lease

    # ---------------------------------------------------------------------------------------------------- safe points

    async def before_step(self, watch: Watch | None = None) -> None:
        """Ask again before touching anything; stands while told to park. `watch` runs at each asking meanwhile."""
        began = workflow.time()
        while True:
            answer = await self._renew(before_step=True)
            if self._ask is HolderAsk.STOP or self._remaining_s() < MARGIN_S:
                await self._regain(watch)
                continue
            if answer is not None and answer.ask is HolderAsk.GO_ON:
                self._parked = False
                return
            self._parked = True
            self._give_up_after(began)
            reasons = answer.reasons if answer is not None else ()
            why = because(reasons) if answer is not None else "the Observer does not answer"
            self._board.say("holding", f"before the next step: {why}", reasons)
            if watch is not None:
                await watch()
            pause = answer.retry_after_s if answer is not None else ASK_S_MIN
            await until(lambda: self._ask is HolderAsk.STOP, min(ASK_S_MAX, max(ASK_S_MIN, pause)))

    async def safe_point(self, watch: Watch | None = None) -> None:
        """Obey what the last heartbeat asked: stand while told to park, leave when told to stop."""
        began = workflow.time()
        while self._ask is not HolderAsk.GO_ON or self._remaining_s() < MARGIN_S:
            if self._ask is HolderAsk.PARK:
                self._parked = True
                self._give_up_after(began)
                self._board.say("holding", f"parked: {because(self._reasons)}", self._reasons)
                if watch is not None:
                    await watch()
                await until(lambda: self._ask is not HolderAsk.PARK, ASK_S_MAX / 3)
                await self._renew()
            else:
                await self._regain(watch)
        self._parked = False

    def _give_up_after(self, began: float) -> None:
        if workflow.time() - began > HELD_S_MAX:
            text = f"held for {HELD_S_MAX / 3600:.0f} hours: {because(self._reasons)}"
            raise ApplicationError(text, type="HeldTooLong", non_retryable=True)

    async def _regain(self, watch: Watch | None) -> None:
        """A lapsed lease is asked for again; any other stop is final.

        What is half way done goes on meanwhile: it may itself be what the refusals are about, and only `watch` sees that.
        """
        lapsed = not self._reasons or any(r.code == _LAPSED for r in self._reasons)
        if not lapsed or self._regained >= REGAIN_MAX or self._lease is None:
            self._lost()
        self._regained += 1
        self._let_go()
        base = self._request.request_id.partition("/again-")[0]
        self._request = self._request.model_copy(update={"request_id": f"{base}/again-{self._regained}"})
        reasons = await self.begin(wait_s_max=HELD_S_MAX, watch=watch)
        if reasons:
            self._reasons = reasons
            self._lost()

    def _lost(self) -> NoReturn:
        self._let_go()
        raise lease_lost(self._reasons, "" if self._reasons else f"the lease on {self._request.scope} has lapsed")

    # ------------------------------------------------------------------------------------------------------ heartbeats

    def _remaining_s(self) -> float:
        return self._lease.deadline_s - workflow.time() if self._lease is not None else 0.0

    async def _beat(self) -> None:
        while self._lease is not None:
            await workflow.sleep(BEAT_S)  # not cut short at the end: a workflow may complete with a timer left
            if self._lease is not None:
                await self._renew()
        self._beats = None

    async def _renew(self, *, before_step: bool = False) -> HeartbeatAnswer | None:
        """One heartbeat; None when nobody answered, which changes nothing but the time that is left."""
        lease = self._lease
        if lease is None:
            return None
        asked_at = workflow.time()
        given = HeartbeatInput(
            activity_id=lease.activity_id, token=lease.token, parked=self._parked, before_step=before_step
        )
        try:
            answer = await stubs.heartbeat(given)
        except ActivityError as e:
            if error_type(e) in _GONE:
                self._ask = HolderAsk.STOP
                self._reasons = (ReasonModel(code=error_type(e), scope=lease.scope, text=error_text(e)),)
            return None
        if self._lease is None or self._lease.activity_id != lease.activity_id:
            return answer
        self._ask, self._reasons = answer.ask, answer.reasons
        if answer.ask is not HolderAsk.STOP:
            deadline = asked_at + (answer.lease_ttl_s or LEASE_TTL_S)
            self._lease = lease.model_copy(update={"deadline_s": max(deadline, self._lease.deadline_s)})
        return answer


async def until(condition: Callable[[], bool], wait_s: float) -> bool:
    """Wait for a condition at most so long; whether it came."""
    if wait_s <= 0:
        return condition()
    try:
        await workflow.wait_condition(condition, timeout=wait_s)
    except TimeoutError:
        return False
    return True
