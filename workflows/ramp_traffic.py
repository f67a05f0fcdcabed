"""RampTraffic: moves traffic onto a new pipeline in phases, asking before each and watching during each.

Holds while told to park, while the verdict is unknown (blind is not bad) or degraded, and while a person holds it.
Steps back to the phase before when the pipeline's verdict turns bad while a phase bakes and no other activity is named
as the cause, and tries again after a rest, a few times.
"""

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from shared.contracts.activities import ScopeInput
from shared.contracts.admission import VerdictModel
from shared.contracts.progress import Progress
from shared.contracts.provisioning import OperationResult, RampInput, SetRampInput
from shared.domain.activity import ActivityKind
from shared.domain.health import GOOD, VerdictState
from workflows import stubs
from workflows.admitted import Admitted, begin_input
from workflows.board import Board, because
from workflows.lease import LeaseKeeper, until

ADMISSION_WAIT_S_MAX = 24 * 3600.0
LOOKS_PER_BAKE = 10  # how often the verdict is read while a phase bakes
LOOK_S_MIN, LOOK_S_MAX = 1.0, 15.0
BACK_MAX = 3  # times that a ramp steps back before it gives up
REST_S_MIN = 5.0  # after stepping back, and at least a bake
HELD_S_MAX = 4 * 3600.0
BAD = frozenset({VerdictState.UNHEALTHY, VerdictState.FAILED})


@workflow.defn(name="RampTraffic")
class RampTraffic:
    """One run ramps one pipeline to its last percent."""

    @workflow.init
    def __init__(self, ramp: RampInput) -> None:
        self._ramp = ramp
        self._scope = f"pipeline/{ramp.pipeline}"
        self._board = Board(self._scope)
        self._board.steps = len(ramp.percents)
        self._held_by = ""
        self._back_asked = False
        self._gone = False
        self._percent = 0
        self._steps_back = 0
        self._seen: VerdictModel | None = None

    @workflow.signal
    def hold(self, by: str = "") -> None:
        """Stand at the present percent until resumed."""
        self._held_by = by or "a person"

    @workflow.signal
    def resume(self, by: str = "") -> None:
        """Go on."""
        self._held_by = ""
        self._board.say("running", f"resumed by {by or 'a person'} at {self._percent} %")

    @workflow.signal
    def back(self, by: str = "") -> None:
        """Step back to the phase before, and hold there."""
        self._back_asked = True
        self._held_by = by or "a person"

    @workflow.signal
    def gone(self) -> None:
        """The pipeline was destroyed: do not wait for admission any longer."""
        self._gone = True

    @workflow.query
    def progress(self) -> Progress:
        """Where it stands; `text` names the percent."""
        return self._board.shown

    @workflow.run
    async def run(self, ramp: RampInput) -> OperationResult:
        """Done at the last percent; failed when it stepped back too often, at the percent that was good."""
        request = begin_input(ActivityKind.RAMP, self._scope, ramp.request_id, reason="ramp of traffic")
        admitted = Admitted(request, self._board)
        return await admitted.run(
            lambda: self._climb(admitted), wait_s_max=ADMISSION_WAIT_S_MAX, give_up=lambda: self._gone
        )

    async def _climb(self, admitted: Admitted) -> OperationResult:
        keeper = admitted.keeper
        if keeper is None:
            raise AssertionError
        phase = 0
        while phase < len(self._ramp.percents):
            percent = self._ramp.percents[phase]
            await self._held(keeper)
            await keeper.before_step()
            await self._set(keeper, percent, phase + 1)
            if await self._bake(keeper, percent):
                phase += 1
                continue
            phase = max(0, phase - 1)
            lower = self._ramp.percents[phase] if percent != self._ramp.percents[phase] else 0
            await self._step_back(keeper, percent, lower)
        return OperationResult(outcome="done", text=f"{self._scope} takes {self._percent} % of its traffic")

    async def _set(self, keeper: LeaseKeeper, percent: int, step: int) -> None:
        await stubs.set_ramp(SetRampInput(pipeline=self._ramp.pipeline, percent=percent, lease=keeper.lease))
        self._percent = percent
        self._board.say("running", f"{percent} % of the traffic, baking for {self._ramp.bake_s:.0f} s", step=step)

    async def _bake(self, keeper: LeaseKeeper, percent: int) -> bool:
        """Until it has been good for the whole bake; False when it turned bad. Time held or blind does not count."""
        baked, began = 0.0, workflow.time()
        slice_s = max(LOOK_S_MIN, min(LOOK_S_MAX, self._ramp.bake_s / LOOKS_PER_BAKE))
        while baked < self._ramp.bake_s:
            if self._back_asked:
                return False
            await self._held(keeper)
            await keeper.safe_point()
            before = workflow.time()
            await until(lambda: self._back_asked or bool(self._held_by), min(slice_s, self._ramp.bake_s - baked))
            self._seen = await stubs.verdict(ScopeInput(scope=self._scope))
            state = VerdictState.read(self._seen.effective)
            if state in BAD and self._seen.cause in {"", keeper.lease.activity_id}:
                return False
            if state not in GOOD:
                why = f"at {percent} %: {self._scope} is {state}: {because(self._seen.reasons)}"
                self._board.say("holding", why, self._seen.reasons)
            else:
                baked += workflow.time() - before
                self._board.say("running", f"{percent} % of the traffic, baking for {self._ramp.bake_s:.0f} s")
            if workflow.time() - began > HELD_S_MAX + self._ramp.bake_s:
                text = f"{self._scope} stayed at {percent} % for more than {HELD_S_MAX / 3600:.0f} hours"
                raise ApplicationError(text, type="HeldTooLong", non_retryable=True)
        return not self._back_asked

    async def _step_back(self, keeper: LeaseKeeper, percent: int, lower: int) -> None:
        reasons = self._seen.reasons if self._seen is not None else ()
        asked, self._back_asked = self._back_asked, False
        why = f"{self._held_by} asked for it" if asked else because(reasons)
        await stubs.set_ramp(SetRampInput(pipeline=self._ramp.pipeline, percent=lower, lease=keeper.lease))
        self._percent = lower
        self._board.say("holding", f"back from {percent} % to {lower} %: {why}", reasons)
        if asked:
            return
        self._steps_back += 1
        if self._steps_back > BACK_MAX:
            text = f"{self._scope} turned bad {self._steps_back} times and stays at {lower} %: {why}"
            raise ApplicationError(text, type="Refused", non_retryable=True)
        await until(lambda: bool(self._held_by), max(REST_S_MIN, self._ramp.bake_s))

    async def _held(self, keeper: LeaseKeeper) -> None:
        """Stand while a person holds it; the lease is kept, parked when asked."""
        began = workflow.time()
        while self._held_by and not self._back_asked:
            self._board.say("paused", f"at {self._percent} %, held by {self._held_by}")
            await until(lambda: not self._held_by or self._back_asked, LOOK_S_MAX)
            await keeper.safe_point()
            if workflow.time() - began > HELD_S_MAX:
                text = f"{self._scope} was held at {self._percent} % for more than {HELD_S_MAX / 3600:.0f} hours"
                raise ApplicationError(text, type="HeldTooLong", non_retryable=True)
