"""Reserving sizes for a deployment, over memory adapters: growth first, fences, leases, a process that stands still."""

from dataclasses import dataclass, replace
from typing import Any

import pytest

from services.autoscaler.__main__ import build
from services.autoscaler.adapters.memory import MemoryStore
from services.autoscaler.domain.decision import SHRINK_AGE_S_MAX
from services.autoscaler.domain.records import Intent
from services.autoscaler.settings import AutoscalerSettings
from shared.contracts.scaling import ReleaseInput
from shared.domain.errors import InvalidInput, NotFound, StaleLease, Unavailable
from shared.domain.names import ActivityId
from tests.autoscaler.groups import GROUP, fleet, snapshot
from tests.autoscaler.requests import TWO, ask
from tests.autoscaler.world import HandClock, World, world


class TestReserve:
    async def test_a_rolling_deployment_grows_before_it_shrinks(self) -> None:
        w = world(TWO)
        await w.service.tick.tick()
        first = await w.service.reservations.reserve(ask(w, 0.25, floor=1))
        assert (first.total, first.desired) == (4, {"delays-r1": 4, "delays-r2": 1})
        assert [r.code for r in first.reasons] == ["GrowthBeforeRemoval"]
        weighted = (replace(w.cloud.group_state.fleets[1], weight=25, in_service=1),)
        w.cloud.group_state = replace(w.cloud.group_state, fleets=(w.cloud.group_state.fleets[0], *weighted))
        assert (await w.service.reservations.reserve(ask(w, 1.0, floor=4))).desired == {"delays-r1": 3, "delays-r2": 4}
        w.cloud.boots_per_look = 9
        assert (await w.service.reservations.reserve(ask(w, 1.0, floor=4))).desired == {"delays-r1": 0, "delays-r2": 4}

    async def test_a_total_that_was_decided_long_ago_takes_nothing_from_what_serves(self) -> None:
        clock = HandClock()
        w = world(TWO, at=clock)
        await w.service.tick.tick()
        new = replace(w.cloud.group_state.fleets[1], weight=25, desired=4, in_service=4)
        w.cloud.group_state = replace(w.cloud.group_state, fleets=(w.cloud.group_state.fleets[0], new))
        clock.now_s += SHRINK_AGE_S_MAX + 1
        old = await w.service.reservations.reserve(ask(w, 1.0))
        assert old.desired == {"delays-r1": 4, "delays-r2": 4}
        assert "DecisionOld" in [r.code for r in old.reasons]
        clock.now_s -= 2
        fresh = await w.service.reservations.reserve(ask(w, 1.0))
        assert fresh.desired == {"delays-r1": 0, "delays-r2": 4}
        assert "DecisionOld" not in [r.code for r in fresh.reasons]

    async def test_growth_is_written_before_removal(self) -> None:
        w = world(snapshot(fleets=(fleet(6), fleet(2, 2, weight=50))))
        await w.service.reservations.reserve(ask(w, 0.5))
        assert w.cloud.writes == [("default-delays-r2", 4), ("default-delays-r1", 6)][: len(w.cloud.writes)]
        assert w.cloud.writes[0] == ("default-delays-r2", 4)

    async def test_repeating_it_writes_nothing_more(self) -> None:
        w = world(TWO)
        first = await w.service.reservations.reserve(ask(w, 0.5))
        written = list(w.cloud.writes)
        assert await w.service.reservations.reserve(ask(w, 0.5)) == first
        assert w.cloud.writes == written

    async def test_an_older_token_is_fenced_off(self) -> None:
        w = world(TWO)
        await w.service.reservations.reserve(ask(w, 0.5, token=9, activity="act-2"))
        written = list(w.cloud.writes)
        with pytest.raises(StaleLease, match="older than 9"):
            await w.service.reservations.reserve(ask(w, 1.0, token=7))
        assert w.cloud.writes == written

    async def test_a_take_over_ends_what_the_older_activity_held(self) -> None:
        w = world(TWO)
        await w.service.reservations.reserve(ask(w, 0.5, token=7))
        await w.service.reservations.reserve(ask(w, 0.25, token=9, activity="act-2"))
        assert [r.activity for r in await w.store.reservations(GROUP)] == ["act-2"]

    async def test_a_lease_about_to_lapse_writes_nothing(self) -> None:
        w = world(TWO)
        short = ask(w, 0.5).model_copy(update={"lease": w.lease(left_s=5)})
        with pytest.raises(StaleLease, match=r"5\.0 s left"):
            await w.service.reservations.reserve(short)
        assert w.cloud.writes == []

    async def test_a_lease_that_was_renewed_since_is_good(self) -> None:
        w = world(TWO)
        short = ask(w, 0.5).model_copy(update={"lease": w.lease(left_s=-60)})
        w.around.alive = {ActivityId("act-1"): w.clock.now_s + 20}
        assert (await w.service.reservations.reserve(short)).desired["delays-r2"] == 2

    async def test_whoever_cannot_learn_whether_it_was_renewed_tries_again(self) -> None:
        w = world(TWO)
        short = ask(w, 0.5).model_copy(update={"lease": w.lease(left_s=5)})
        w.around.alive = None
        with pytest.raises(Unavailable, match="does not say whether it was renewed"):
            await w.service.reservations.reserve(short)
        assert w.cloud.writes == []

    async def test_another_scope_s_lease_and_an_unknown_fleet(self) -> None:
        w = world(TWO)
        lease = w.lease().model_copy(update={"scope": "group/other"})
        foreign = ask(w, 0.5).model_copy(update={"lease": lease})
        with pytest.raises(InvalidInput, match="not for group/delays"):
            await w.service.reservations.reserve(foreign)
        unknown = ask(w, 0.5).model_copy(update={"fleet": "delays-r9"})
        with pytest.raises(NotFound, match="delays-r9"):
            await w.service.reservations.reserve(unknown)

    async def test_max_size_bounds_and_is_said(self) -> None:
        w = world(snapshot(fleets=(fleet(4), fleet(0, 2, weight=0, nodes_max=2))))
        answer = await w.service.reservations.reserve(ask(w, 1.0, floor=4))
        assert answer.desired == {"delays-r1": 4, "delays-r2": 2}
        assert "BoundedByMaxSize" in [r.code for r in answer.reasons]

    async def test_a_reservation_lives_as_long_as_its_activity(self) -> None:
        w = world(TWO)
        await w.service.reservations.reserve(ask(w, 0.5))
        w.around.alive = {ActivityId("act-1"): w.clock.now_s + 600}
        for _ in range(8):
            w.clock.now_s += 15
            await w.service.tick.tick()
        assert len(await w.store.reservations(GROUP)) == 1
        w.around.alive = {}
        w.clock.now_s += 61
        assert await w.store.reservations(GROUP) == ()

    async def test_release_twice(self) -> None:
        w = world(TWO)
        await w.service.reservations.reserve(ask(w, 0.5))
        for _ in range(2):
            await w.service.reservations.release(ReleaseInput(group=GROUP, activity_id="act-1", token=7))
        assert await w.store.reservations(GROUP) == ()


@dataclass
class SlowToIntend:
    """A store whose process stands still for so long while it writes an intent down."""

    inner: MemoryStore
    clock: HandClock
    stall_s: float
    set_back_s: float

    def __getattr__(self, verb: str) -> object:
        return getattr(self.inner, verb)

    async def intend(self, intent: Intent) -> int:
        self.clock.now_s += self.stall_s
        self.clock.wall_off_s -= self.set_back_s
        return await self.inner.intend(intent)


def stalling(stall_s: float, set_back_s: float = 0.0) -> World:
    """A process that stands still between the check of its lease and the write."""
    w = world(TWO)
    store: Any = SlowToIntend(w.store, w.clock, stall_s, set_back_s)
    adapters = replace(w.adapters, store=store)
    return replace(w, adapters=adapters, service=build(AutoscalerSettings(), adapters))


class TestLastLook:
    """Between the check of a lease and the write a process may stand still."""

    async def test_a_lease_that_lapsed_meanwhile_writes_nothing_and_says_so(self) -> None:
        w = stalling(26.0)
        with pytest.raises(StaleLease, match=r"4\.0 s left"):
            await w.service.reservations.reserve(ask(w, 0.5))
        assert w.cloud.writes == []
        [(intent, result)] = w.store._intents.values()
        assert (intent.wanted, (result or "")[:55]) == (2, "refused: lease act-1 on group/delays has 4.0 s left and")

    async def test_one_that_was_renewed_meanwhile_writes(self) -> None:
        w = stalling(26.0)
        w.around.alive = {ActivityId("act-1"): w.clock.now_s + 56.0}
        await w.service.reservations.reserve(ask(w, 0.5))
        assert w.cloud.writes == [("default-delays-r2", 2)]

    async def test_a_wall_clock_that_is_set_back_meanwhile_lends_no_time(self) -> None:
        w = stalling(26.0, set_back_s=20.0)
        w.around.alive = {}
        with pytest.raises(StaleLease):
            await w.service.reservations.reserve(ask(w, 0.5))
        assert w.cloud.writes == []

    async def test_a_short_stall_asks_nobody(self) -> None:
        w = stalling(10.0)
        w.around.alive = None
        await w.service.reservations.reserve(ask(w, 0.5))
        assert w.cloud.writes == [("default-delays-r2", 2)]
