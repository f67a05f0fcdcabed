"""Nothing is written without a good lease, and a long act stops when its lease does."""

import asyncio

import pytest

from services.provisioner.adapters.memory import MemoryFences
from services.provisioner.operations.lease_guard import WATCH_S, LeaseGuard
from shared.contracts.admission import LeaseModel
from shared.domain.activity import ActivityKind
from shared.domain.errors import StaleLease, Unavailable
from tests.provisioner.clocks import StillClock


class Ledger:
    """The other side of `Leases`: activities with the seconds they have, or what is wrong with asking."""

    def __init__(self, **live: float) -> None:
        self.live: dict[str, float] = live
        self.away = False

    async def renew(self, activity: str, token: int) -> float:
        if self.away:
            raise Unavailable("observer: away")
        if activity not in self.live:
            raise StaleLease(f"activity {activity}: lapsed")
        return self.live[activity]


def lease(clock: StillClock, *, seconds: float = 30.0, token: int = 1, scope: str = "group/delays") -> LeaseModel:
    deadline = clock.now().timestamp() + seconds
    return LeaseModel(activity_id="a", token=token, kind=ActivityKind.DEPLOY, scope=scope, deadline_s=deadline)


async def test_a_good_lease_is_let_through_and_an_older_token_never_after_it() -> None:
    clock = StillClock()
    guard = LeaseGuard(MemoryFences(), None, clock)
    await guard.admit(lease(clock, token=2), "group/delays")
    await guard.admit(lease(clock, token=2), "group/delays")
    with pytest.raises(StaleLease, match="superseded by 2"):
        await guard.admit(lease(clock, token=1), "group/delays")


async def test_a_lease_of_another_scope_writes_nothing() -> None:
    clock = StillClock()
    with pytest.raises(StaleLease, match="group/fraud"):
        await LeaseGuard(MemoryFences(), None, clock).admit(lease(clock, scope="group/fraud"), "group/delays")


async def test_a_lapsed_lease_without_anybody_to_ask_is_refused() -> None:
    clock = StillClock()
    held = lease(clock, seconds=10)
    clock.pass_s(11)
    with pytest.raises(StaleLease, match="lapsed"):
        await LeaseGuard(MemoryFences(), None, clock).admit(held, "group/delays")


async def test_a_copy_that_ran_out_is_good_when_the_observer_says_that_its_holder_renewed_it() -> None:
    clock = StillClock()
    held = lease(clock, seconds=10)
    clock.pass_s(11)
    await LeaseGuard(MemoryFences(), Ledger(a=25.0), clock).admit(held, "group/delays")
    with pytest.raises(StaleLease):
        await LeaseGuard(MemoryFences(), Ledger(), clock).admit(held, "group/delays")


async def test_long_work_is_cancelled_when_the_lease_ends() -> None:
    clock, ledger = StillClock(), Ledger(a=30.0)
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    running = asyncio.ensure_future(LeaseGuard(MemoryFences(), ledger, clock).watched(lease(clock), work()))
    await clock.slept(1)
    clock.pass_s(WATCH_S)
    await clock.slept(2)
    assert not running.done()
    ledger.live.clear()
    clock.pass_s(WATCH_S)
    with pytest.raises(StaleLease):
        await running
    assert ended.is_set()


async def test_long_work_is_not_begun_when_the_lease_ended_after_it_was_let_through() -> None:
    clock, ledger = StillClock(), Ledger(a=30.0)
    began = asyncio.Event()

    async def work() -> None:
        began.set()

    guard, held = LeaseGuard(MemoryFences(), ledger, clock), lease(clock)
    await guard.admit(held, "group/delays")
    ledger.live.clear()
    with pytest.raises(StaleLease):
        await guard.watched(held, work())
    assert not began.is_set()


async def test_long_work_goes_on_while_the_observer_is_away() -> None:
    clock, ledger = StillClock(), Ledger(a=30.0)
    ledger.away = True
    go = asyncio.Event()

    async def work() -> str:
        await go.wait()
        return "done"

    running = asyncio.ensure_future(LeaseGuard(MemoryFences(), ledger, clock).watched(lease(clock), work()))
    await clock.slept(1)
    clock.pass_s(WATCH_S)
    await clock.slept(2)
    go.set()
    assert await running == "done"
