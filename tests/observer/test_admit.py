"""Admission in operation, on the memory ledger: what is recorded, what is repeated, who waits for whom."""

import pytest

from services.observer.adapters.memory_ledger import MemoryLedger
from services.observer.adapters.memory_verdicts import MemoryVerdicts
from services.observer.domain.activities import Request
from services.observer.domain.admission import Blocked, Granted, Yielding
from services.observer.operations.admit import Admission, Admitted
from services.observer.operations.people import ByHand
from shared.domain.activity import ActivityKind as K
from shared.domain.activity import ActivityOutcome, HolderAsk
from shared.domain.errors import Conflict, InvalidInput, NotFound, Refused, StaleLease
from shared.domain.names import ActivityId, FencingToken, RequestId
from shared.domain.scope import SYSTEM, Scope
from tests.observer.requests import LIMITS, LONE, TOPOLOGY, A, B, P, healthy
from tests.observer.store_clock import CountedIds, HandClock, admission_over


class Desk:
    """Admission with a clock of its own."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.ledger = MemoryLedger(self.clock.seconds, LIMITS.call_deadline_s_max)
        self.verdicts = MemoryVerdicts()
        ids = CountedIds()
        self.admission: Admission = admission_over(self.ledger, self.verdicts, ids)
        self.by_hand = ByHand(self.admission, self.ledger, ids)

    async def ask(
        self, kind: K, name: str, scope: Scope = A, **more: object
    ) -> Admitted | Blocked | Yielding | Granted:
        more = {"signal_age_s": 1.0, "ttl_s": 60.0} | more
        return await self.admission.begin(Request(RequestId(name), kind, scope, f"holder of {name}", **more))  # type: ignore[arg-type]

    async def granted(self, kind: K, name: str, scope: Scope = A, **more: object) -> Admitted:
        answer = await self.ask(kind, name, scope, **more)
        assert isinstance(answer, Admitted), answer
        return answer

    async def beat(self, of: Admitted, *, parked: bool = False, before_step: bool = False) -> HolderAsk:
        a = of.activity
        return (await self.admission.heartbeat(a.id, a.token, parked=parked, before_step=before_step)).asked.ask


@pytest.fixture
async def desk() -> Desk:
    made = Desk()
    await made.ledger.keep_topology(TOPOLOGY)
    await made.verdicts.write(list(healthy().values()))
    return made


async def test_growth_beside_a_deployment(desk: Desk) -> None:
    """The deployment parks at its next heartbeat, growth goes, the deployment resumes in its place."""
    deploy = await desk.granted(K.DEPLOY, "d")
    assert isinstance(await desk.ask(K.SCALE_OUT, "s"), Yielding)
    assert await desk.beat(deploy) is HolderAsk.PARK
    assert isinstance(await desk.ask(K.SCALE_OUT, "s"), Yielding)  # not parked yet
    assert await desk.beat(deploy, parked=True) is HolderAsk.PARK
    growth = await desk.granted(K.SCALE_OUT, "s")
    assert isinstance(await desk.ask(K.SCALE_IN, "i"), Blocked)  # the parked one keeps its place
    assert await desk.beat(deploy, parked=True) is HolderAsk.PARK
    await desk.admission.end(growth.activity.id, growth.activity.token, ActivityOutcome.DONE, "")
    assert await desk.beat(deploy, parked=True) is HolderAsk.GO_ON


async def test_growth_waits_30_s_for_a_holder_that_does_not_park(desk: Desk) -> None:
    deploy = await desk.granted(K.DEPLOY, "d")
    assert isinstance(await desk.ask(K.SCALE_OUT, "s"), Yielding)
    desk.clock.at += 15
    await desk.beat(deploy)
    assert isinstance(await desk.ask(K.SCALE_OUT, "s"), Yielding)
    desk.clock.at += 15
    await desk.granted(K.SCALE_OUT, "s")


async def test_a_request_that_goes_away_frees_the_holder(desk: Desk) -> None:
    deploy = await desk.granted(K.DEPLOY, "d")
    await desk.ask(K.SCALE_OUT, "s")
    assert await desk.beat(deploy, parked=True) is HolderAsk.PARK
    desk.clock.at += 31
    assert await desk.beat(deploy, parked=True) is HolderAsk.GO_ON


async def test_rollback_takes_the_deployment_over(desk: Desk) -> None:
    deploy = await desk.granted(K.DEPLOY, "d", quiets=("capacity",))
    await desk.verdicts.remove(list(healthy()), 99)  # blind: a rollback needs no verdict
    await desk.granted(K.ROLLBACK, "r", takes_over=deploy.activity.id)
    assert await desk.beat(deploy) is HolderAsk.STOP
    (ended,) = [a for a in await desk.ledger.activities(A, include_ended=True, limit=9) if a.kind is K.DEPLOY]
    assert ended.outcome is ActivityOutcome.TAKEN_OVER
    _, windows = await desk.ledger.windows()
    assert windows[0].closed_at == desk.clock.at


async def test_the_newest_waiting_deployment_supersedes_older_waiting_ones(desk: Desk) -> None:
    first = await desk.granted(K.DEPLOY, "v1")
    assert isinstance(await desk.ask(K.DEPLOY, "v2"), Blocked)
    assert isinstance(await desk.ask(K.DEPLOY, "v3"), Blocked)
    older = await desk.ask(K.DEPLOY, "v2")
    assert isinstance(older, Blocked)
    assert [r.code for r in older.reasons] == ["Superseded"]
    assert "holder of v3" in older.reasons[0].text
    assert await desk.beat(first, before_step=True) is HolderAsk.GO_ON  # what touches machines is not cancelled
    await desk.admission.end(first.activity.id, first.activity.token, ActivityOutcome.DONE, "")
    older = await desk.ask(K.DEPLOY, "v2")
    assert isinstance(older, Blocked)
    await desk.granted(K.DEPLOY, "v3")


async def test_same_request_same_answer_with_what_is_left(desk: Desk) -> None:
    first = await desk.granted(K.DEPLOY, "d")
    desk.clock.at += 20
    again = await desk.granted(K.DEPLOY, "d")
    assert again.activity.token == first.activity.token
    assert again.lease_left_s == pytest.approx(40)
    desk.clock.at += 60
    late = await desk.granted(K.DEPLOY, "d")
    assert late.lease_left_s == 0
    assert late.notes[0].code == "AlreadyEnded"
    with pytest.raises(Conflict, match="one request id per intention"):
        await desk.ask(K.DEPLOY, "d", B)


async def test_a_lease_lapses_and_is_waited_out(desk: Desk) -> None:
    deploy = await desk.granted(K.DEPLOY, "d")
    desk.clock.at += 60
    assert await desk.beat(deploy) is HolderAsk.STOP
    waits = await desk.ask(K.DEPLOY, "next", override_reason="verdicts are old in this story")
    assert isinstance(waits, Blocked)
    assert [r.code for r in waits.reasons] == ["LapsedLeaseQuarantine"]
    assert waits.retry_after_s == pytest.approx(LIMITS.call_deadline_s_max)
    desk.clock.at += LIMITS.call_deadline_s_max
    await desk.granted(K.DEPLOY, "next", override_reason="verdicts are old in this story")


async def test_an_end_that_comes_late_lifts_the_quarantine(desk: Desk) -> None:
    """Its holder says itself that nothing more will land."""
    growth = await desk.granted(K.SCALE_OUT, "s")
    desk.clock.at += 61
    await desk.admission.end(growth.activity.id, growth.activity.token, ActivityOutcome.FAILED, "worker was down")
    await desk.granted(K.SCALE_OUT, "s2")


async def test_sweep_ends_what_lapsed_once(desk: Desk) -> None:
    await desk.granted(K.SCALE_OUT, "s", quiets=("lag_warn",))
    assert await desk.admission.sweep() == []
    desk.clock.at += 61
    (ended,) = await desk.admission.sweep()
    assert (ended.outcome, ended.ended_at) == (ActivityOutcome.EXPIRED, desk.clock.at)
    assert await desk.admission.sweep() == []
    _, windows = await desk.ledger.windows()
    assert windows[0].over_at == ended.expires_at + 60


async def test_dry_run_changes_nothing(desk: Desk) -> None:
    request = Request(RequestId("x"), K.DEPLOY, A, "me", 60.0)
    assert await desk.admission.begin(request, dry_run=True) == Granted()
    assert await desk.ledger.activities(None, include_ended=True, limit=9) == []
    await desk.granted(K.DEPLOY, "d")
    blocked = await desk.admission.begin(request, dry_run=True)
    assert isinstance(blocked, Blocked)
    assert blocked.reasons[0].code == "DeployRunning"


async def test_redis_loss_closes_and_never_opens(desk: Desk) -> None:
    desk.verdicts.down = True
    blocked = await desk.ask(K.DEPLOY, "d")
    assert isinstance(blocked, Blocked)
    assert {r.code for r in blocked.reasons} == {"VerdictUnknown"}
    await desk.granted(K.SCALE_OUT, "s")


async def test_freeze_by_hand_holds_and_is_lifted(desk: Desk) -> None:
    ramp = await desk.granted(K.RAMP, "r", P)
    freeze = await desk.by_hand.freeze(SYSTEM, 7 * 86_400, "ann", "year end", RequestId("f"))
    assert await desk.by_hand.freeze(SYSTEM, 7 * 86_400, "ann", "year end", RequestId("f")) == freeze
    assert await desk.beat(ramp, before_step=True) is HolderAsk.PARK
    assert isinstance(await desk.ask(K.SCALE_IN, "i", LONE), Blocked)
    await desk.by_hand.lift(SYSTEM, "ann")
    assert await desk.beat(ramp, before_step=True) is HolderAsk.GO_ON
    with pytest.raises(NotFound, match="is not frozen"):
        await desk.by_hand.lift(SYSTEM, "ann")
    with pytest.raises(InvalidInput, match="seconds"):
        await desk.by_hand.freeze(A, 0, "ann", "", RequestId("f2"))


async def test_quiet_by_hand_has_an_end_a_scope_and_a_budget(desk: Desk) -> None:
    window = await desk.by_hand.quiet(A, ("lag_warn",), 3600, "ann", "", RequestId("q"))
    assert await desk.by_hand.quiet(A, ("lag_warn",), 3600, "ann", "", RequestId("q")) == window
    for scope, classes, seconds, code in (
        (A, ("lag_warn",), 0, "EndRequired"),
        (SYSTEM, ("lag_warn",), 60, "ScopeTooWide"),
        (A, ("lag_warn",), 90_000, "WindowTooLong"),
        (A, ("loss",), 60, "ClassNotQuietable"),
    ):
        with pytest.raises(InvalidInput, match=code):
            await desk.by_hand.quiet(scope, classes, seconds, "ann", "", RequestId(code))
    desk.clock.at += 3601
    with pytest.raises(Refused, match="QuietBudgetExhausted"):
        await desk.by_hand.quiet(A, ("lag_warn",), 60, "ann", "", RequestId("q3"))
    noted = await desk.granted(K.SCALE_OUT, "s", quiets=("lag_warn", "loss"))
    assert [n.code for n in noted.notes] == ["QuietClassNotAllowed", "QuietBudgetExhausted"]
    assert noted.windows == ()


async def test_bad_requests_name_the_field(desk: Desk) -> None:
    with pytest.raises(InvalidInput, match="of the whole system"):
        await desk.ask(K.DEPLOY, "d", SYSTEM)
    with pytest.raises(NotFound, match="does not exist"):
        await desk.admission.heartbeat(ActivityId("act-99"), FencingToken(1), parked=False, before_step=False)
    deploy = await desk.granted(K.DEPLOY, "d")
    with pytest.raises(StaleLease):
        await desk.admission.end(deploy.activity.id, FencingToken(99), ActivityOutcome.DONE, "")
