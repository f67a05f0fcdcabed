"""Whoever does something to a scope: asks, holds a lease, works step by step, parks, stops, ends.

The protocol is that of `workflows/lease.py`. An intention survives crashes of its process, as a workflow's history does:
its request id, the steps done, and how it ended.
"""

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from shared.clients.observer import ObserverClient
from shared.contracts.admission import BeginAnswer, BeginInput, EndInput, HeartbeatInput
from shared.domain.activity import ActivityKind, ActivityOutcome, HolderAsk
from shared.domain.errors import Conflict, HeadraceError, NotFound, StaleLease, Unavailable
from shared.domain.scope import Scope
from tests.sim.invariants.base import Write
from tests.sim.kernel.clock import SimClock
from tests.sim.kernel.record import Record
from workflows.lease import ASK_S_MAX, ASK_S_MIN, MARGIN_S, PATIENCE, REGAIN_MAX
from workflows.policies import BEAT_S, LEASE_TTL_S

WAIT_S_MAX: Mapping[str, float] = {"SCALE_OUT": 45.0, "SCALE_IN": 0.0}
WAIT_S_MAX_DEFAULT = 600.0
CALL_S_MAX = 15.0  # how long a call to the cloud may be on its way; admission waits out twice that
INSTANT_S = 1e-6  # less does not move a clock that counts in floats
HELD_S_MAX = 900.0  # parked for longer, an intention gives up
GONE = (StaleLease, NotFound, Conflict)
UnlessCancelled = Callable[[], bool]


class Lost(Exception):
    """The lease is gone for good: touch nothing more."""


@dataclass
class Intention:
    """Durable. `outcome` is empty while it is under way."""

    number: int
    kind: str
    scope: str
    holder: str
    steps: int
    step_s: float
    given: Mapping[str, Any]
    done: int = 0
    in_flight_until_s: float = 0.0  # by then the last call has landed, whoever made it and whatever became of them
    regained: int = 0
    outcome: str = ""
    request_ids: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.holder} ({self.kind} of {self.scope}, {self.done} of {self.steps} steps)"


@dataclass
class Outside:
    """What a holder acts on and tells of."""

    writes: Callable[[Write], None]
    heard: Callable[[str, str, BeginAnswer], None]
    record: Record
    fail: Callable[[BaseException], None]


class Hold:
    """One intention being carried out in one life of its process."""

    def __init__(
        self, intention: Intention, client: ObserverClient, clock: SimClock, chance: random.Random, outside: Outside
    ) -> None:
        self._i, self._client, self._clock, self._chance, self._outside = intention, client, clock, chance, outside
        self._activity, self._token, self._deadline_s = "", 0, 0.0
        self._ask, self._codes = HolderAsk.GO_ON, frozenset[str]()
        self._parked = False
        self._over = False

    # ------------------------------------------------------------------------------------------------------ the work

    async def carry_out(self) -> None:
        """From Begin to End; whatever happens, the intention gets an outcome."""
        beats: asyncio.Task[None] | None = None
        try:
            if not await self._begin():
                self._finished("refused")
                return
            if self._i.kind == "FREEZE":
                self._finished("done")  # a window that nobody renews: it ends by itself, or is lifted
                return
            beats = asyncio.ensure_future(self._beat())
            while self._i.done < self._i.steps:
                if self._i.done == self._i.given.get("fails_after"):
                    await self._stop(ActivityOutcome.FAILED, "a step failed")
                await self._settled()
                await self._before_step()
                self._write()
                await self._work(self._i.step_s)
                self._i.done += 1
            await self._settled()
            await self._end(ActivityOutcome.DONE)
            self._finished("done")
        except Lost as lost:
            self._finished(str(lost))
        finally:
            self._over = True
            if beats is not None:
                beats.cancel()

    def _finished(self, outcome: str) -> None:
        self._i.outcome = outcome
        self._outside.record.say(self._i.holder, outcome, self._i.scope)
        self._outside.record.reach(f"intention {self._i.kind} {outcome.partition(':')[0]}")

    async def _work(self, seconds: float) -> None:
        """A step takes its time; at its safe points the holder obeys."""
        until_s = self._clock.monotonic() + seconds
        while (left_s := until_s - self._clock.monotonic()) > INSTANT_S:
            await self._clock.sleep(min(left_s, 5.0))
            if self._ask is HolderAsk.STOP:
                await self._regain()

    async def _settled(self) -> None:
        """Wait for the last call's deadline, also that of an attempt which a crash cut off: Temporal does so too."""
        await asyncio.sleep(max(0.0, self._i.in_flight_until_s - self._outside.record.now()))

    def _write(self) -> None:
        """A call that changes the cloud, made only under a lease that outlives it."""
        if self._remaining_s() < MARGIN_S:
            return
        self._i.in_flight_until_s = self._outside.record.now() + CALL_S_MAX
        kind, scope = self._i.kind, Scope.parse(self._i.scope)
        self._outside.writes(Write(self._i.holder, self._activity, self._token, kind, scope))

    # ------------------------------------------------------------------------------------------------ begin and end

    @property
    def _request_id(self) -> str:
        again = f"/again-{self._i.regained}" if self._i.regained else ""
        return f"{self._i.holder}/{self._i.number}{again}"

    async def _begin(self) -> bool:
        """Ask until granted; False when it was not within its time."""
        began_s = self._clock.monotonic()
        wait_s_max = WAIT_S_MAX.get(self._i.kind, WAIT_S_MAX_DEFAULT)
        given = BeginInput(
            kind=ActivityKind(self._i.kind),
            scope=self._i.scope,
            ttl_s=float(self._i.given.get("ttl_s", LEASE_TTL_S)),
            request_id=self._request_id,
            holder=self._i.holder,
            reason="as planned",
            quiets=tuple(self._i.given.get("quiets", ())),
            override_reason=str(self._i.given.get("override", "")),
            creates=bool(self._i.given.get("creates", False)),
            security=bool(self._i.given.get("security", False)),
            signal_age_s=self._i.given.get("signal_age_s"),
            takes_over=str(self._i.given.get("takes_over", "")),
        )
        while True:
            asked_s = self._clock.monotonic()
            answer = await self._tried(lambda: self._client.begin(given))
            waited_s = self._clock.monotonic() - began_s
            if answer is not None:
                self._outside.heard(str(self._i), given.request_id, answer)
                if answer.lease is not None:
                    self._activity, self._token = answer.lease.activity_id, answer.lease.token
                    self._deadline_s = asked_s + (answer.lease_ttl_s or given.ttl_s)
                    self._ask, self._codes, self._parked = HolderAsk.GO_ON, frozenset(), False
                    return True
                if any(r.code == "Superseded" for r in answer.reasons):
                    raise Lost("superseded")
                if answer.outcome == "blocked" and waited_s >= wait_s_max:
                    return False
            if waited_s >= max(wait_s_max, 45.0):
                return False
            retry_s = answer.retry_after_s if answer is not None else ASK_S_MIN
            await self._clock.sleep(min(ASK_S_MAX, max(ASK_S_MIN, retry_s, waited_s / PATIENCE)))

    async def _tried(self, call: Callable[[], Any], tries: int = 8) -> Any:
        """The answer; None when nobody gave one after some tries."""
        for attempt in range(tries):
            try:
                return await call()
            except HeadraceError as e:
                if isinstance(e, GONE):
                    raise Lost(f"gone: {e.code}") from e
                if not isinstance(e, Unavailable):
                    self._outside.fail(e)
                    raise
            await self._clock.sleep(self._chance.uniform(0.3, 1.0) * min(2**attempt, 5))
        return None

    async def _stop(self, outcome: ActivityOutcome, why: str) -> NoReturn:
        """Once the last call has landed nothing more is touched."""
        await self._settled()
        await self._end(outcome)
        raise Lost(why)

    async def _end(self, outcome: ActivityOutcome) -> None:
        given = EndInput(activity_id=self._activity, token=self._token, outcome=outcome, note="as planned")
        await self._tried(lambda: self._client.end(given))

    # -------------------------------------------------------------------------------------------------- the lease

    def _remaining_s(self) -> float:
        return self._deadline_s - self._clock.monotonic()

    async def _beat(self) -> None:
        while not self._over:
            await self._clock.sleep(BEAT_S)
            if not self._over:
                await self._renew()

    async def _renew(self, *, before_step: bool = False) -> Any:
        """One heartbeat; None when nobody answered."""
        asked_s, activity = self._clock.monotonic(), self._activity
        given = HeartbeatInput(activity_id=activity, token=self._token, parked=self._parked, before_step=before_step)
        try:
            answer = await self._client.heartbeat(given)
        except GONE as e:
            self._ask, self._codes = HolderAsk.STOP, frozenset({e.code})
            return None
        except Unavailable:
            return None
        except HeadraceError as e:
            self._outside.fail(e)
            raise
        if activity != self._activity:
            return None
        self._ask, self._codes = answer.ask, frozenset(r.code for r in answer.reasons)
        self._outside.record.reach(f"heartbeat {answer.ask.value}")
        if answer.ask is not HolderAsk.STOP:
            self._deadline_s = max(self._deadline_s, asked_s + (answer.lease_ttl_s or LEASE_TTL_S))
        return answer

    async def _before_step(self) -> None:
        """Ask again before touching anything; stand while told to park."""
        began_s = self._clock.monotonic()
        while True:
            answer = await self._renew(before_step=True)
            if self._ask is HolderAsk.STOP or self._remaining_s() < MARGIN_S:
                await self._regain()
                continue
            if answer is not None and answer.ask is HolderAsk.GO_ON:
                self._parked = False
                return
            self._parked = True
            if self._clock.monotonic() - began_s > float(self._i.given.get("patience_s", HELD_S_MAX)):
                await self._stop(ActivityOutcome(self._i.given.get("gives_up", "failed")), "held too long")
            pause_s = answer.retry_after_s if answer is not None else ASK_S_MIN
            await self._clock.sleep(min(ASK_S_MAX, max(ASK_S_MIN, pause_s)))

    async def _regain(self) -> None:
        """A lease that merely lapsed is asked for again; any other stop is final."""
        lapsed = not self._codes or "LeaseLapsed" in self._codes
        if not lapsed or self._i.regained >= REGAIN_MAX:
            raise Lost("lost: " + ", ".join(sorted(self._codes)))
        self._i.regained += 1
        if not await self._begin():
            raise Lost("not regained")
