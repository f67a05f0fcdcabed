"""Safety properties of admission, over random histories: each has a name and a sentence.

The histories run through the operations on the memory ledger, which a differential test holds to PostgreSQL's.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from services.observer.adapters.memory_ledger import MemoryLedger
from services.observer.adapters.memory_verdicts import MemoryVerdicts
from services.observer.domain.activities import Activity, Request
from services.observer.domain.admission import Blocked, Yielding
from services.observer.domain.matrix import Cell, cell
from services.observer.operations.admit import Admitted
from shared.domain.activity import ActivityKind as K
from shared.domain.activity import ActivityOutcome, HolderAsk
from shared.domain.health import VerdictState as V
from shared.domain.names import RequestId
from shared.domain.scope import Scope
from tests.observer.requests import LIMITS, LONE, SCOPES, TOPOLOGY, A, B, C, P, verdict
from tests.observer.store_clock import HandClock, admission_over

WHERE = st.sampled_from([A, B, C, LONE, P])
KINDS = st.sampled_from(list(K))
NEED_VERDICTS = frozenset({K.DEPLOY, K.RAMP, K.SCALE_IN})


@dataclass
class Told:
    """What one holder knows."""

    activity: Activity
    request: Request
    parked: bool = False
    stopped: bool = False
    went_ahead_after: float = field(default=0.0)


class Histories(RuleBasedStateMachine):
    """Requests, heartbeats, ends, sweeps, lost verdicts and passing time, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = HandClock()
        self.ledger = MemoryLedger(self.clock.seconds, LIMITS.call_deadline_s_max)
        self.verdicts = MemoryVerdicts()
        self.admission = admission_over(self.ledger, self.verdicts)
        self.told: dict[str, Told] = {}
        self.tokens: list[int] = []
        self.blind = False
        self.epoch = 0

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        self.loop.close()

    @initialize()
    def begin_healthy(self) -> None:
        self.do(self.ledger.keep_topology(TOPOLOGY))
        self.judge(V.HEALTHY)

    def judge(self, state: V) -> None:
        self.epoch += 1
        seen = [replace(verdict(s, state), as_of=self.clock.at, ttl_s=1e9, epoch=self.epoch, seq=1) for s in SCOPES]
        self.do(self.verdicts.write(seen))

    @precondition(lambda self: not self.verdicts.down)
    @rule(state=st.sampled_from([V.HEALTHY, V.HEALTHY, V.IDLE, V.UNKNOWN, V.UNHEALTHY]))
    def verdicts_change(self, state: V) -> None:
        self.blind = state is V.UNKNOWN
        self.judge(state)

    @rule(down=st.booleans())
    def verdict_store_is_lost(self, down: bool) -> None:
        self.verdicts.down = down
        self.verdicts.lose()
        self.blind = True

    @rule(seconds=st.sampled_from([0.1, 1.0, 10.0, 29.0, 31.0, 70.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.at += seconds

    @rule(kind=KINDS, scope=WHERE, number=st.integers(0, 40), override=st.booleans())
    def somebody_asks(self, kind: K, scope: Scope, number: int, override: bool) -> None:
        name = f"{kind}-{scope}-{number}"
        request = Request(
            RequestId(name), kind, scope, f"holder-{name}", 60.0,
            override_reason="a reason" if override else "", signal_age_s=1.0, quiets=("capacity",),
        )  # fmt: skip
        before = self.told.get(name)
        answer = self.do(self.admission.begin(request))
        match answer:
            case Admitted(activity=a):
                if before is not None:  # SameAnswer: one request id is granted once, always alike
                    assert (a.id, a.token) == (before.activity.id, before.activity.token)
                    return
                self.told[name] = Told(a, request)
                assert all(a.token > t for t in self.tokens)  # TokenGrows
                self.tokens.append(a.token)
                if self.blind and not override:
                    assert kind not in NEED_VERDICTS  # UnknownHolds, RedisLossCloses
                if self.blind and kind is K.SCALE_IN:
                    raise AssertionError("UnknownHolds: scaled in blindly")
            case Blocked(reasons=reasons, retry_after_s=retry):
                assert before is None  # SameAnswer
                assert reasons  # Explained
                assert all(r.code and r.text and r.scope for r in reasons)
                assert retry > 0 or reasons[0].code == "Superseded"
            case Yielding(asks=asks, reasons=reasons):
                assert asks
                assert reasons
            case _:
                raise AssertionError(answer)

    @precondition(lambda self: self.told)
    @rule(data=st.data(), parked=st.booleans(), before_step=st.booleans())
    def somebody_beats(self, data: st.DataObject, parked: bool, before_step: bool) -> None:
        told = data.draw(st.sampled_from(sorted(self.told.values(), key=lambda t: t.activity.token)))
        a = told.activity
        held = self.do(self.admission.heartbeat(a.id, a.token, parked=parked, before_step=before_step))
        told.parked = parked and held.asked.ask is HolderAsk.PARK
        if told.stopped:  # LeaseLapses: once told to stop, for ever
            assert held.asked.ask is HolderAsk.STOP
        told.stopped = held.asked.ask is HolderAsk.STOP
        if before_step and self.blind and not told.request.override_reason and a.kind in NEED_VERDICTS:
            assert held.asked.ask is not HolderAsk.GO_ON  # UnknownHolds
        if held.asked.ask is not HolderAsk.GO_ON:
            assert held.asked.reasons  # Explained

    @precondition(lambda self: self.told)
    @rule(data=st.data())
    def somebody_ends(self, data: st.DataObject) -> None:
        told = data.draw(st.sampled_from(sorted(self.told.values(), key=lambda t: t.activity.token)))
        self.do(self.admission.end(told.activity.id, told.activity.token, ActivityOutcome.DONE, ""))
        told.stopped = True

    @rule()
    def sweep(self) -> None:
        self.do(self.admission.sweep())

    def live(self) -> list[Activity]:
        return list(self.do(self.ledger.activities(None, include_ended=False, limit=1000)))

    @invariant()
    def one_holder(self) -> None:
        """OneHolder: no two live activities that meet must each wait for the other."""
        live = self.live()
        for one in live:
            for other in live:
                if one.token < other.token and TOPOLOGY.meet(one.scope, other.scope):
                    admitted = cell(other.kind, one.kind, overridden=bool(other.override_reason))
                    assert admitted in (Cell.OK, Cell.YIELD), (one, other)

    @invariant()
    def one_change_per_pipeline(self) -> None:
        """AttributionOne: at most one of DEPLOY, RAMP, PROVISION in a pipeline, but for a ramp that made way."""
        live = self.live()
        mends = [a for a in live if a.kind is K.DEPLOY and a.override_reason]
        changing = [
            a
            for a in live
            if a.kind in (K.DEPLOY, K.PROVISION)
            or (a.kind is K.RAMP and not any(TOPOLOGY.meet(a.scope, m.scope) and a.token < m.token for m in mends))
        ]
        for pipeline in TOPOLOGY.pipelines:
            assert sum(pipeline in TOPOLOGY.pipelines_of(a.scope) for a in changing) <= 1

    @invariant()
    def concurrency_cap(self) -> None:
        """ConcurrencyCap: no more deployments than may run."""
        assert sum(a.kind is K.DEPLOY for a in self.live()) <= LIMITS.deployments_max(len(TOPOLOGY.groups))

    @invariant()
    def quiet_ends(self) -> None:
        """QuietEnds: no window outlives its holder by more than its tail, once it was swept."""
        self.do(self.admission.sweep())
        live = {a.id for a in self.live()}
        _, windows = self.do(self.ledger.windows())
        for window in windows:
            assert window.activity in live or window.over_at <= self.clock.at + window.tail_s


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
