"""Carrying a scaling out: set the sizes under a lease, wait until the nodes serve, record what came of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from services.autoscaler.domain.decision import IN, SHRINK_AGE_S_MAX, decision_old
from services.autoscaler.domain.group import GroupSnapshot
from services.autoscaler.domain.ports import Inventory, Sizes, Store
from services.autoscaler.domain.records import Lane, Outcome
from services.autoscaler.domain.split import floors_of
from services.autoscaler.operations.lease import CALL_DEADLINE_S, LeaseCheck
from services.autoscaler.operations.resize import Resizer
from shared.contracts.base import ReasonModel
from shared.contracts.scaling import ScaleInput, ScaleResult, SetDesiredInput, WaitInServiceInput
from shared.domain.clock import Clock
from shared.domain.errors import HeadraceError
from shared.domain.names import FleetId, GroupName
from shared.domain.reason import Reason

POLL_S = 0.5
FAILURE_LOOK_S = 5.0  # how often the scaling activities are read while waiting
HOPELESS_AFTER_S = 30.0  # with a failed scaling activity and nothing new in service for so long, waiting is over
CLOCK_MARGIN_S = 5.0  # AWS stamps scaling activities by its own clock
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Standing:
    """What is in service of what was ordered."""

    in_service: Mapping[str, int]
    reached: bool

    @property
    def text(self) -> str:
        """For a heartbeat."""
        return ", ".join(f"{f}: {n} in service" for f, n in self.in_service.items())


class Scaling:
    """The activities of `ScaleGroup`."""

    def __init__(  # noqa: PLR0913  the ports of the workflow's activities
        self, *, inventory: Inventory, store: Store, sizes: Sizes, resizer: Resizer, leases: LeaseCheck, clock: Clock
    ) -> None:
        """All ports."""
        self._inventory, self._store, self._sizes = inventory, store, sizes
        self._resizer, self._leases, self._clock = resizer, leases, clock

    async def set_desired(self, request: SetDesiredInput) -> ScaleResult:
        """Set the decided sizes; refused when the world has moved since the decision. Repeating it changes nothing.

        A scale-out never lowers a fleet and respects floors that were reserved since; a scale-in is refused once
        anything is reserved, when a fleet no longer has the size the decision saw, or when the decision is old.
        """
        scale = request.scale
        snapshot = await self._inventory.group(GroupName(scale.group))
        leave = await self._leases.check(request.lease, snapshot.group)
        await self._resizer.fenced(snapshot, Lane.SIZE, request.lease)
        reservations = await self._store.reservations(snapshot.group)
        floors = floors_of(snapshot.fleets, reservations)
        wanted: dict[FleetId, int] = {}
        for f in snapshot.fleets:
            asked = scale.desired.get(f.fleet, f.desired)
            floor = max(floors[f.fleet], f.nodes_min)
            wanted[f.fleet] = asked if scale.direction == IN else min(f.nodes_max, max(asked, f.desired, floor))
        if scale.direction == IN:
            age_s = self._age_s(scale)
            reason = _moved(snapshot, scale, reserved=bool(reservations)) or decision_old(snapshot.scope, age_s)
            if reason:
                return _result(scale, "refused", reason.text, (reason,))
            leave = replace(leave, not_after_s=self._clock.monotonic() + SHRINK_AGE_S_MAX - age_s + CALL_DEADLINE_S)
        await self._resizer.resize(snapshot, wanted, leave)
        text = ", ".join(f"{f}: {n}" for f, n in wanted.items())
        return ScaleResult(decision_id=scale.decision_id, outcome="set", text=text)

    async def wait_in_service(self, request: WaitInServiceInput, progress: Progress) -> ScaleResult:
        """Until every fleet has what was asked, in service; gives up after the timeout or when it is hopeless.

        Desired capacity is never lowered because nodes do not come: AWS would take healthy ones.
        """
        scale, began_s = request.scale, self._now_s()
        looked_s = moved_s = began_s
        last: Standing | None = None
        failure = ""
        while True:
            now_s = self._now_s()
            standing = await self._standing(scale)
            progress(standing.text if standing else "the inventory does not answer")
            if standing and standing.reached:
                return ScaleResult(
                    decision_id=scale.decision_id,
                    outcome="in_service",
                    in_service=dict(standing.in_service),
                    text=f"after {now_s - began_s:.1f} s",
                )
            if standing and (last is None or standing.in_service != last.in_service):
                last, moved_s = standing, now_s
            late = now_s - began_s >= request.timeout_s
            if late or now_s - looked_s >= FAILURE_LOOK_S:
                looked_s, failure = now_s, await self._failure(scale, began_s)
            if late or (failure and now_s - moved_s >= HOPELESS_AFTER_S):
                return self._gave_up(scale, last, failure, now_s - began_s)
            await self._clock.sleep(POLL_S)

    async def record_outcome(self, result: ScaleResult) -> None:
        """Remember how it ended: refusals and missing capacity hold the next try back; ticks measure the gain."""
        waits = [r.retry_after_s for r in result.reasons if r.retry_after_s is not None]
        reasons = "; ".join(r.text for r in result.reasons)
        await self._store.end(
            Outcome(
                decision_id=result.decision_id,
                outcome=result.outcome,
                text=(result.text or reasons)[:500],
                at_s=self._now_s(),
                retry_after_s=max(waits, default=None),
            )
        )

    async def _standing(self, scale: ScaleInput) -> Standing | None:
        """None while the inventory does not answer: that is no news."""
        try:
            snapshot = await self._inventory.group(GroupName(scale.group))
        except HeadraceError as e:
            if not e.retryable:
                raise
            return None
        by = {str(f.fleet): f for f in snapshot.fleets}
        asked = {f: n for f, n in scale.desired.items() if f in by}
        if scale.direction == IN:
            reached = all(by[f].in_service <= n for f, n in asked.items())
        else:
            reached = all(by[f].in_service >= n for f, n in asked.items()) and len(asked) == len(scale.desired)
        return Standing({f: by[f].in_service for f in asked}, reached)

    async def _failure(self, scale: ScaleInput, since_s: float) -> str:
        snapshot = await self._inventory.group(GroupName(scale.group))
        for fleet in snapshot.fleets:
            text = await self._sizes.failure(fleet.asg, since_s - CLOCK_MARGIN_S)
            if text:
                return text
        return ""

    def _gave_up(self, scale: ScaleInput, last: Standing | None, failure: str, after_s: float) -> ScaleResult:
        here = dict(last.in_service) if last else {}
        text = failure or f"nodes did not enter service within {after_s:.0f} s and AWS names no failure"
        reason = Reason("NodesDidNotCome", f"group/{scale.group}", f"{text} (in service: {here})")
        return ScaleResult(
            decision_id=scale.decision_id,
            outcome="gave_up",
            in_service=here,
            text=text[:500],
            reasons=(ReasonModel.of(reason),),
        )

    def _now_s(self) -> float:
        return self._clock.now().timestamp()

    def _age_s(self, scale: ScaleInput) -> float:
        """Of the decision, by this process' wall clock."""
        return 0.0 if scale.decided_at_s is None else self._now_s() - scale.decided_at_s


def _moved(snapshot: GroupSnapshot, scale: ScaleInput, *, reserved: bool) -> Reason | None:
    """Why a scale-in that was right when it was decided is not right any more."""
    if reserved or len(snapshot.fleets) > 1:
        return Reason("RolloutInFlight", snapshot.scope, "a deployment began since the decision: nothing is taken away")
    for f in snapshot.fleets:
        before, asked = scale.previous.get(f.fleet), scale.desired.get(f.fleet)
        if f.desired not in {before, asked}:
            text = f"fleet {f.fleet} has {f.desired} nodes; the decision saw {before}"
            return Reason("SizeChanged", snapshot.scope, text)
    return None


def _result(scale: ScaleInput, outcome: str, text: str, reasons: tuple[Reason, ...]) -> ScaleResult:
    return ScaleResult.model_validate(
        {
            "decision_id": scale.decision_id,
            "outcome": outcome,
            "text": text,
            "reasons": [ReasonModel.of(r) for r in reasons],
        }
    )
