"""RateGroup and what clears up after it, in virtual time; its fault tests are those of every workflow (`test_faults`, trials)."""

from typing import Any

from shared.contracts import queues
from shared.contracts.activities import SweepReport
from shared.contracts.progress import Progress
from shared.contracts.provisioning import MembersState, OperationResult
from shared.contracts.rating import RateInput
from tests.sim.temporal.playing import Play
from tests.workflows.answers import blocked
from tests.workflows.test_other_workflows import GROUP
from tests.workflows.virtual_time import in_play
from tests.workflows.world import World

GIVEN = RateInput(group="delays", request_id="op-1")
NAME = queues.rate_id("delays")


async def standing(**more: Any) -> World:
    world = World(**more)
    await world.given_group(GROUP, 3)
    return world


def copy_left() -> MembersState:
    return MembersState(fleet="rating-delays-r1", desired=1, in_service=1, pending=0, satisfied=True)


async def swept(play: Play, number: int) -> SweepReport:
    handle = await play.server.client().start_workflow(
        "Sweep", id=f"sweep-{number}", task_queue=queues.WORKFLOWS, result_type=SweepReport
    )
    report: SweepReport = await handle.result()
    return report


@in_play
async def test_steps_are_driven_on_a_copy_what_was_found_is_recorded_and_nothing_is_left(play: Play) -> None:
    world = await standing()
    result = await play.run(world, "RateGroup", GIVEN)
    assert result.outcome == "done", result
    assert result.text == "one m6a.large of delays on revision 1 sustains 300 messages/s [280, 320]"
    assert (result.details["rate"], result.details["low"], result.details["high"]) == ("300.0", "280.0", "320.0")
    kept = world.ratings["op-1"]
    assert [(s.wanted, s.held) for s in kept.steps] == [(100, True), (200, True), (400, False)]
    assert [world.copy, world.serving, world.open_leases] == [None, {"delays-r1": 100}, []]
    assert world.trace.index("autoscaler.record_rating") < world.trace.index("provisioner.remove_group")


@in_play
async def test_what_the_copy_calls_is_waited_for_told_kept_with_the_rating_and_gone(play: Play) -> None:
    world, shown = await standing(called_nodes=2), list[str]()
    handle = await play.start(world, "RateGroup", GIVEN)

    async def on_call(name: str, _: int) -> None:
        if name == "provisioner.wait_members":
            shown.append((await handle.query("progress", result_type=Progress)).text)
        if name == "provisioner.drive_step":
            assert world.behind is not None

    world.on_call = on_call
    result = await handle.result()
    assert "waiting for 2 nodes of called-by-rating-delays-r4" in shown[0]
    assert "on revision 1, calling 2 of risk on revision 4, sustains 300 messages/s" in result.text
    kept = world.ratings["op-1"].called
    assert kept is not None
    assert (kept.group, kept.nodes, kept.revision) == ("risk", 2, 4)
    assert [world.copy, world.behind, world.problems, world.open_leases] == [None, None, [], []]


@in_play
async def test_one_whose_called_nodes_do_not_all_come_names_them_and_removes_both(play: Play) -> None:
    world = await standing(called_nodes=2, nodes_come=False)
    result = await play.run(world, "RateGroup", GIVEN)
    assert (result.outcome, "copy called-by-rating-delays-r4: 2 nodes did not enter" in result.text) == ("failed", True)
    assert [world.copy, world.behind, world.ratings] == [None, None, {}]


@in_play
async def test_one_that_is_not_admitted_touches_nothing_and_says_why(play: Play) -> None:
    world = await standing(blocked=[blocked("DeployRunning")])
    result = await play.run(world, "RateGroup", GIVEN)
    assert (result.outcome, [r.code for r in result.reasons]) == ("refused", ["DeployRunning"])
    assert world.trace == ["observer.begin"]


@in_play
async def test_one_that_may_wait_is_admitted_later(play: Play) -> None:
    world = await standing(blocked=[blocked("DeployRunning")] * 3)
    result = await play.run(world, "RateGroup", GIVEN.model_copy(update={"wait_s_max": 600.0}))
    assert (result.outcome, world.counts["observer.begin"]) == ("done", 4)


@in_play
async def test_one_whose_node_does_not_come_says_so_and_removes_the_copy(play: Play) -> None:
    world = await standing(nodes_come=False)
    result = await play.run(world, "RateGroup", GIVEN)
    assert (result.outcome, result.details["code"]) == ("failed", "CapacityUnavailable")
    assert "rating-delays-r1" in result.text
    assert [world.copy, world.ratings, world.open_leases] == [None, {}, []]


@in_play
async def test_a_cancel_while_load_is_driven_removes_the_copy(play: Play) -> None:
    world = await standing()
    handle = await play.start(world, "RateGroup", GIVEN)

    async def on_call(name: str, nth: int) -> None:
        if (name, nth) == ("provisioner.drive_step", 2):
            await handle.cancel()

    world.on_call = on_call
    result = await handle.result()
    assert (result.outcome, result.text) == ("cancelled", "nothing was rated, and rating-delays is gone")
    assert [world.copy, world.ratings, world.open_leases] == [None, {}, []]


@in_play
async def test_a_sweep_leaves_a_copy_that_is_rated(play: Play) -> None:
    world, reports = await standing(), list[SweepReport]()

    async def on_call(name: str, nth: int) -> None:
        if (name, nth) == ("provisioner.drive_step", 1):
            reports.append(await swept(play, 1))

    world.on_call = on_call
    assert (await play.run(world, "RateGroup", GIVEN, NAME)).outcome == "done"
    assert [report.notes for report in reports] == [("nothing to sweep",)]


@in_play
async def test_a_sweep_clears_a_copy_that_nobody_rates(play: Play) -> None:
    world = await standing()
    play.stage.world, world.copy = world, copy_left()
    world.behind = copy_left().model_copy(update={"fleet": "called-by-rating-delays-r4"})
    assert (await swept(play, 1)).notes[-1] == "group delays: the copy that a rating left behind is being removed"
    cleared = play.server.client().get_workflow_handle(NAME, result_type=OperationResult)
    assert (await cleared.result()).text == "rating-delays is gone"
    assert [world.copy, world.behind, world.problems, world.open_leases] == [None, None, [], []]
