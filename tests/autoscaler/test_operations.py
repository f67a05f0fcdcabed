"""Scale, wait, record, tick and sweep, over memory adapters."""

from dataclasses import replace

import pytest

from services.autoscaler.domain.decision import HOLD, codes
from services.autoscaler.domain.records import Intent
from services.autoscaler.domain.signals import FAILED
from services.autoscaler.operations.lease import CALL_DEADLINE_S
from shared.contracts.scaling import ScaleResult, SetDesiredInput, WaitInServiceInput
from shared.domain.errors import InvalidInput, NotFound, StaleLease, Throttled
from shared.domain.names import ActivityId, FencingToken, FleetId
from tests.autoscaler.groups import GROUP, fleet, signals, snapshot
from tests.autoscaler.requests import TWO, ask, scale
from tests.autoscaler.world import world


class TestSetDesired:
    async def test_out_and_again(self) -> None:
        w = world()
        for _ in range(2):
            made = await w.service.scaling.set_desired(SetDesiredInput(scale=scale("out", 4, 6), lease=w.lease()))
            assert made.outcome == "set"
        assert w.cloud.writes == [("default-delays-r1", 6)]

    async def test_out_never_lowers_what_grew_since(self) -> None:
        w = world(snapshot(9))
        await w.service.scaling.set_desired(SetDesiredInput(scale=scale("out", 4, 6), lease=w.lease()))
        assert w.cloud.writes == []

    async def test_in(self) -> None:
        w = world()
        await w.service.scaling.set_desired(SetDesiredInput(scale=scale("in", 4, 3), lease=w.lease()))
        assert w.cloud.sizes() == {"delays-r1": 3}

    async def test_in_is_refused_when_the_size_changed_since(self) -> None:
        w = world(snapshot(7))
        made = await w.service.scaling.set_desired(SetDesiredInput(scale=scale("in", 4, 3), lease=w.lease()))
        assert (made.outcome, made.reasons[0].code) == ("refused", "SizeChanged")
        assert w.cloud.writes == []

    async def test_in_is_refused_when_the_decision_is_old(self) -> None:
        w = world()
        old = scale("in", 4, 3).model_copy(update={"decided_at_s": w.clock.now_s - 31.0})
        made = await w.service.scaling.set_desired(SetDesiredInput(scale=old, lease=w.lease()))
        assert (made.outcome, made.reasons[0].code) == ("refused", "DecisionOld")
        out = scale("out", 4, 6).model_copy(update={"decided_at_s": w.clock.now_s - 31.0})
        made = await w.service.scaling.set_desired(SetDesiredInput(scale=out, lease=w.lease()))
        assert made.outcome == "set", "growth is never too late"

    async def test_in_is_written_while_the_decision_is_young_or_not_at_all(self) -> None:
        w = world()
        young = scale("in", 4, 3).model_copy(update={"decided_at_s": w.clock.now_s - 10.0})
        await w.service.scaling.set_desired(SetDesiredInput(scale=young, lease=w.lease()))
        assert w.cloud.over_by_s == pytest.approx(w.clock.now_s + 20.0 + CALL_DEADLINE_S)

    async def test_in_is_refused_once_a_deployment_began(self) -> None:
        w = world(TWO)
        await w.service.reservations.reserve(ask(w, 0.25, floor=1))
        made = await w.service.scaling.set_desired(SetDesiredInput(scale=scale("in", 4, 3), lease=w.lease(8)))
        assert (made.outcome, made.reasons[0].code) == ("refused", "RolloutInFlight")

    async def test_scaling_does_not_lock_a_parked_deployment_out(self) -> None:
        w = world(TWO)
        await w.service.reservations.reserve(ask(w, 0.25, floor=1, token=7))
        await w.service.scaling.set_desired(
            SetDesiredInput(scale=scale("out", 4, 6), lease=w.lease(8, activity="act-2"))
        )
        await w.service.reservations.reserve(ask(w, 0.5, token=7))

    async def test_a_superseded_scaling_writes_nothing(self) -> None:
        w = world()
        await w.service.scaling.set_desired(SetDesiredInput(scale=scale("out", 4, 5), lease=w.lease(9)))
        with pytest.raises(StaleLease):
            await w.service.scaling.set_desired(SetDesiredInput(scale=scale("out", 4, 9), lease=w.lease(8)))
        assert w.cloud.sizes() == {"delays-r1": 5}

    async def test_a_refused_write_is_settled_as_failed(self) -> None:
        w = world()
        w.cloud.failing = Throttled("SetDesiredCapacity: ScalingActivityInProgress")
        with pytest.raises(Throttled):
            await w.service.scaling.set_desired(SetDesiredInput(scale=scale("out", 4, 5), lease=w.lease()))
        assert await w.store.unsettled(0.0) == ()


class TestWait:
    async def test_until_they_serve(self) -> None:
        w = world(snapshot(fleets=(fleet(6, in_service=4),)))
        w.cloud.boots_per_look = 1
        beats: list[str] = []
        waiting = WaitInServiceInput(scale=scale("out", 4, 6), timeout_s=60)
        made = await w.service.scaling.wait_in_service(waiting, beats.append)
        assert (made.outcome, made.in_service) == ("in_service", {"delays-r1": 6})
        assert beats

    @pytest.mark.parametrize(("failure", "within_s"), [("", 601), ("no m6a.large: InsufficientInstanceCapacity", 40)])
    async def test_gives_up_with_what_aws_says_and_keeps_the_size(self, failure: str, within_s: float) -> None:
        w = world(snapshot(fleets=(fleet(6, in_service=4),)))
        w.cloud.failed_activity = failure
        began = w.clock.now_s
        waiting = WaitInServiceInput(scale=scale("out", 4, 6), timeout_s=600)
        made = await w.service.scaling.wait_in_service(waiting, lambda _: None)
        assert made.outcome == "gave_up"
        assert failure in made.text
        assert w.clock.now_s - began <= within_s
        assert w.cloud.writes == []


class TestTick:
    async def test_decides_records_and_starts(self) -> None:
        w = world()
        w.around.measured = signals(400)
        await w.service.tick.tick()
        assert [(d.action, d.wanted) for d in w.around.started] == [("out", 5)]
        assert await w.store.decisions(GROUP, 9) == ((w.around.started[0], ""),)

    async def test_an_unchanged_decision_is_one_row(self) -> None:
        w = world()
        for _ in range(10):
            w.clock.now_s += 15
            await w.service.tick.tick()
        rows = await w.store.decisions(GROUP, 50)
        assert len(rows) == 1
        w.clock.now_s += 300
        await w.service.tick.tick()
        assert len(await w.store.decisions(GROUP, 50)) == 2

    async def test_a_try_after_a_refusal_waits_and_is_a_decision_of_its_own(self) -> None:
        w = world()
        w.around.measured = signals(400)
        await w.service.tick.tick()
        first = w.around.started[0]
        refused = ScaleResult(decision_id=first.id, outcome="refused", text="not admitted: a rollback runs")
        await w.service.scaling.record_outcome(refused)
        w.clock.now_s += 15
        await w.service.tick.tick()
        assert len(w.around.started) == 1
        held = await w.service.questions.explain(GROUP)
        assert "RecentlyRefused" in codes(held.decision)
        w.clock.now_s += 16
        await w.service.tick.tick()
        assert len(w.around.started) == 2
        assert w.around.started[1].id != first.id

    async def test_while_a_scaling_runs_the_decision_stands(self) -> None:
        w = world()
        w.around.measured, w.around.running = signals(400), True
        for _ in range(3):
            w.clock.now_s += 15
            await w.service.tick.tick()
        assert len(await w.store.decisions(GROUP, 50)) == 1

    async def test_a_restarted_process_goes_on_with_what_was_kept(self) -> None:
        w = world(snapshot(8))
        w.around.measured = signals(600)
        for _ in range(70):
            w.clock.now_s += 15
            await w.service.tick.tick()
        again = world(snapshot(8), w.store, w.clock)
        again.around.measured = signals(80)
        w.clock.now_s += 61  # the old leader's time
        await again.service.tick.tick()
        assert "ScaleInWindow" in codes((await again.service.questions.explain(GROUP)).decision)

    async def test_only_one_process_ticks(self) -> None:
        w = world()
        assert await w.store.lead("another", 60)
        await w.service.tick.tick()
        assert await w.store.load() == {}
        w.clock.now_s += 61
        await w.service.tick.tick()
        assert GROUP in await w.store.load()

    async def test_what_cannot_be_read_holds(self) -> None:
        w = world(snapshot(8))
        w.around.measured = replace(signals(80), arrival=FAILED, backlog=FAILED)
        await w.service.tick.tick()
        found = await w.service.questions.explain(GROUP)
        assert (found.decision.action, found.decision.current) == (HOLD, 8)


class TestQuestions:
    async def test_nothing_decided_yet(self) -> None:
        with pytest.raises(NotFound, match="no scaling decision"):
            await world().service.questions.explain(GROUP)

    async def test_what_if_changes_nothing(self) -> None:
        w = world()
        decision = await w.service.questions.recommend(GROUP, 1500, 0, None)
        assert (decision.action, decision.wanted) == ("out", 8)
        assert (await w.service.questions.recommend(GROUP, 40, 0, None)).action == "in"
        assert await w.store.load() == {}
        assert w.around.started == []

    @pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
    async def test_what_if_on_no_number(self, value: float) -> None:
        with pytest.raises(InvalidInput, match="arrival_rate"):
            await world().service.questions.recommend(GROUP, value, 0, None)


class TestSweep:
    async def test_unfinished_writes_are_read_back(self) -> None:
        w = world()
        base = Intent(GROUP, FleetId("delays-r1"), "a", ActivityId("act-1"), FencingToken(7), 3, 4, w.clock.now_s)
        for intent in (base, replace(base, wanted=9), replace(base, fleet=FleetId("delays-r7"))):
            await w.store.intend(intent)
        w.clock.now_s += 60
        report = await w.service.activities._sweeping.sweep()
        assert [n.partition("act-1: ")[2] for n in report.notes] == [
            "set: read back",
            "lost or superseded: the fleet has 4 nodes",
            "gone: the fleet is not there any more",
        ]
        assert await w.store.unsettled(0.0) == ()

    async def test_lapsed_reservations_are_ended(self) -> None:
        w = world(TWO)
        await w.service.reservations.reserve(ask(w, 0.5))
        w.clock.now_s += 100
        report = await w.service.activities._sweeping.sweep()
        assert report.ended == ("reservation delays/delays-r2 of act-1",)


async def test_while_waiting_an_inventory_that_does_not_answer_is_no_news() -> None:
    w = world(snapshot(fleets=(fleet(6, in_service=6),)))
    w.cloud.silent_looks = 3
    waiting = WaitInServiceInput(scale=scale("out", 4, 6), timeout_s=60)
    beats: list[str] = []
    assert (await w.service.scaling.wait_in_service(waiting, beats.append)).outcome == "in_service"
    assert beats[0] == "the inventory does not answer"
