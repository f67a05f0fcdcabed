"""DeployGroup with RollBack: the way through, and what ends it."""

from typing import Any

from services.deployer.domain.lifecycle import Phase
from shared.contracts.deployment import DeployInput, RollBackInput
from shared.contracts.objects import Autoscaling, Rolling, ServerGroup, Slo
from shared.contracts.progress import Progress
from shared.domain.names import GroupName
from tests.sim.temporal.playing import Play
from tests.workflows.answers import blocked, park, stop
from tests.workflows.conftest import Theatre
from tests.workflows.virtual_time import in_play
from tests.workflows.world import World
from tests.workflows.world_state import code

GROUP = ServerGroup(
    name="delays",
    kind="transform",
    environment="flights-env",
    scaling=Autoscaling(min_nodes=1, max_nodes=10),
    rollout=Rolling(percents=(25, 100), bake_s=4),
    slo=Slo(availability=99.9),
)
NODES = 4
STEPS = ["add_fleet", "share", "bake", "judge", "share", "bake", "judge", "remove_fleet"]


def wish(number: int = 2, **more: Any) -> DeployInput:
    return DeployInput.model_validate(
        {"group": "delays", "request_id": f"request-{number}", "code": code(f"code-{number}"), **more}
    )


async def world_of(**more: Any) -> World:
    world = World(**more)
    await world.given_group(GROUP, NODES)
    return world


async def phase_of(world: World) -> Phase:
    found = await world.store.deployments(GroupName("delays"), 1)
    return found[0].phase


async def test_a_good_revision_is_rolled_out_fleet_by_fleet(replaying: Theatre) -> None:
    world = await world_of()
    handle = await replaying.start(world, "DeployGroup", wish(), "deploy/delays")
    result = await handle.result()
    assert result.outcome == "done", result
    assert world.problems == []
    assert world.serving == {"delays-r2": 100}
    assert world.open_leases == []
    assert await phase_of(world) is Phase.FINISHED
    deployment = (await world.store.deployments(GroupName("delays"), 1))[0]
    assert [s.kind for s in deployment.plan.steps] == STEPS
    steps = await world.store.steps(deployment.id)
    assert {s.step for s in steps if s.state == "done"} == set(range(1, len(STEPS) + 1))
    progress = await handle.query("progress", result_type=Progress)
    assert progress.phase == "ended"
    await replaying.replay(handle)


async def test_a_bad_revision_is_rolled_back_by_itself_and_marked(replaying: Theatre) -> None:
    world = await world_of(bad_revisions=frozenset({2}))
    handle = await replaying.start(world, "DeployGroup", wish(), "deploy/delays")
    result = await handle.result()
    assert result.outcome == "rolled_back", result
    assert "MoreFailures" in {r.code for r in result.reasons}
    assert world.problems == []
    assert world.serving == {"delays-r1": 100}
    assert world.fleets["delays-r1"].in_service == NODES
    assert world.open_leases == []
    assert [h.request.kind for h in world.held.values()] == ["DEPLOY", "ROLLBACK"]
    assert await phase_of(world) is Phase.ROLLED_BACK
    assert [r.bad for r in await world.store.revisions(GroupName("delays"))] == [True, False]
    await replaying.replay(handle)

    again = await replaying.run(world, "DeployGroup", wish(3, code=code("code-2")), "deploy/delays")
    assert again.outcome == "refused"
    assert [r.code for r in again.reasons] == ["RevisionMarkedBad"]
    assert world.open_leases == []


async def test_it_is_not_baked_to_the_end_when_it_is_bad(theatre: Theatre) -> None:
    """The judge looks in while it bakes: the harm ends with the first look that is sure."""
    world = await world_of(bad_revisions=frozenset({2}))
    await theatre.run(world, "DeployGroup", wish(), "deploy/delays")
    deployment = (await world.store.deployments(GroupName("delays"), 1))[0]
    judged = await world.store.analyses(deployment.id)
    assert [a.judged.outcome for a in judged] == ["fail"]
    assert max(s.step for s in await world.store.steps(deployment.id)) == STEPS.index("bake") + 1


async def test_blocked_and_not_willing_to_wait_is_refused_with_every_reason(theatre: Theatre) -> None:
    world = await world_of(blocked=[blocked("ScaleOutRuns")])
    result = await theatre.run(world, "DeployGroup", wish(wait=False), "deploy/delays")
    assert result.outcome == "refused"
    assert [r.code for r in result.reasons] == ["ScaleOutRuns"]
    assert world.trace == ["observer.begin"]


async def test_blocked_for_longer_than_it_waits_is_refused(theatre: Theatre) -> None:
    world = await world_of(blocked=[blocked() for _ in range(1000)])
    result = await theatre.run(world, "DeployGroup", wish(wait_s_max=120), "deploy/delays")
    assert result.outcome == "refused"
    assert 5 < len(world.trace) < 40


async def test_it_waits_for_admission_and_then_deploys(theatre: Theatre) -> None:
    world = await world_of(blocked=[blocked() for _ in range(5)])
    result = await theatre.run(world, "DeployGroup", wish(), "deploy/delays")
    assert result.outcome == "done"
    assert world.trace.count("observer.begin") == 6


async def test_superseded_while_waiting(theatre: Theatre) -> None:
    world = await world_of(blocked=[blocked(), blocked("Superseded")])
    result = await theatre.run(world, "DeployGroup", wish(), "deploy/delays")
    assert result.outcome == "superseded"


@in_play
async def test_a_newer_request_replaces_a_waiting_one_and_runs(play: Play) -> None:
    world = await world_of(blocked=[blocked() for _ in range(3)])
    handle = await play.start(world, "DeployGroup", wish(2), "deploy/delays")
    await handle.signal("newer", wish(3))
    result = await handle.result()
    assert result.outcome == "done"
    assert world.serving == {"delays-r2": 100}
    assert world.revisions[2].code == code("code-3")


@in_play
async def test_a_newer_request_follows_one_that_touches_machines(play: Play) -> None:
    world = await world_of()
    handle = await play.start(world, "DeployGroup", wish(2), "deploy/delays")

    async def on_call(name: str, nth: int) -> None:
        if (name, nth) == ("provisioner.add_fleet", 1):
            await handle.signal("newer", wish(3))

    world.on_call = on_call
    result = await handle.result()
    assert result.outcome == "done"
    assert world.serving == {"delays-r3": 100}
    phases = [d.phase for d in await world.store.deployments(GroupName("delays"), 5)]
    assert phases == [Phase.FINISHED, Phase.FINISHED]
    assert world.problems == []


@in_play
async def test_it_holds_before_a_step_while_told_to_park_and_goes_on(play: Play) -> None:
    world = await world_of(asks={n: park("Frozen") for n in range(1, 6)})
    result = await play.run(world, "DeployGroup", wish(), "deploy/delays")
    assert result.outcome == "done"
    beats = [given for name, given in world.calls if name == "observer.heartbeat"]
    assert [b.parked for b in beats[:5]] == [False, True, True, True, True]
    assert world.trace.index("provisioner.add_fleet") > 0


@in_play
async def test_a_lapsed_lease_is_asked_for_again_and_the_deployment_goes_on(play: Play) -> None:
    world = await world_of(asks={2: stop("LeaseLapsed")})
    result = await play.run(world, "DeployGroup", wish(), "deploy/delays")
    assert result.outcome == "done"
    assert world.serving == {"delays-r2": 100}
    assert [h.request.request_id.endswith("/again-1") for h in world.held.values()] == [False, True]
    assert world.problems == []


@in_play
async def test_a_half_done_one_that_may_not_have_its_lease_back_still_hears_an_abort(play: Play) -> None:
    """Its own bad fleet may be why it is refused; it must not wait for hours beside it."""
    world = await world_of(asks={3: stop("LeaseLapsed")})
    handle = await play.start(world, "DeployGroup", wish(), "deploy/delays")

    async def on_call(name: str, nth: int) -> None:
        if (name, nth) == ("observer.heartbeat", 3):
            world.blocked = [blocked("VerdictUnhealthy") for _ in range(3)]
        if (name, nth) == ("observer.begin", 2):
            await handle.signal("abort", "ada")

    world.on_call = on_call
    result = await handle.result()
    assert (result.outcome, world.serving) == ("cancelled", {"delays-r1": 100})
    assert [h.request.kind for h in world.held.values()] == ["DEPLOY", "ROLLBACK"]
    assert world.problems == []


async def test_taken_over_it_touches_nothing_more(theatre: Theatre) -> None:
    world = await world_of(asks={2: stop("TakenOver")})
    result = await theatre.run(world, "DeployGroup", wish(), "deploy/delays")
    assert result.outcome == "rolled_back"
    assert "RollBack" not in {h.request.kind for h in world.held.values()}
    assert world.problems == []


@in_play
async def test_abort_puts_the_old_fleet_back_without_marking_the_version(play: Play) -> None:
    world = await world_of()
    handle = await play.start(world, "DeployGroup", wish(), "deploy/delays")

    async def on_call(name: str, nth: int) -> None:
        if (name, nth) == ("provisioner.set_weights", 1):
            await handle.signal("abort", "ada")

    world.on_call = on_call
    result = await handle.result()
    assert result.outcome == "cancelled"
    assert "ada" in result.text
    assert world.serving == {"delays-r1": 100}
    assert await phase_of(world) is Phase.CANCELLED
    assert not any(r.bad for r in await world.store.revisions(GroupName("delays")))
    assert world.problems == []


@in_play
async def test_pause_holds_and_promote_skips_the_bake(play: Play) -> None:
    world = await world_of()
    handle = await play.start(world, "DeployGroup", wish(), "deploy/delays")
    seen: list[str] = []

    async def on_call(name: str, nth: int) -> None:
        if (name, nth) == ("provisioner.set_weights", 1):
            await handle.signal("pause", "ada")
        if name == "autoscaler.reserve" and nth > 2 and not seen:
            seen.append((await handle.query("progress", result_type=Progress)).phase)
            await handle.signal("promote", "ada")

    world.on_call = on_call
    result = await handle.result()
    assert result.outcome == "done"
    assert seen == ["paused"]
    deployment = (await world.store.deployments(GroupName("delays"), 1))[0]
    notes = {s.step: s.note for s in await world.store.steps(deployment.id) if s.state == "done"}
    assert notes[3] == notes[4] == "promoted by ada"


@in_play
async def test_measurements_that_cannot_be_read_hold_it_and_never_roll_it_back(play: Play) -> None:
    world = await world_of(unreadable=12)
    result = await play.run(world, "DeployGroup", wish(), "deploy/delays")
    assert result.outcome == "done"
    assert "deployer.judge" in world.trace


@in_play
async def test_undecided_for_long_a_person_is_asked(play: Play) -> None:
    world = await world_of(unreadable=10_000)
    handle = await play.start(world, "DeployGroup", wish(), "deploy/delays")
    seen: list[Progress] = []

    async def on_call(name: str, nth: int) -> None:
        if name == "autoscaler.reserve" and not seen:
            progress = await handle.query("progress", result_type=Progress)
            if progress.phase == "paused":
                seen.append(progress)
                await handle.signal("abort", "ada")

    world.on_call = on_call
    result = await handle.result()
    assert result.outcome == "cancelled"
    assert "the judge" in seen[0].text


@in_play
async def test_nodes_that_do_not_come_roll_it_back_unmarked(play: Play) -> None:
    world = await world_of(nodes_come=False)
    result = await play.run(world, "DeployGroup", wish(), "deploy/delays")
    assert result.outcome == "rolled_back"
    assert "InsufficientInstanceCapacity" in result.text
    assert world.serving == {"delays-r1": 100}
    assert not any(r.bad for r in await world.store.revisions(GroupName("delays")))
    assert world.problems == []


async def test_a_rollback_without_a_way_back_fails_and_changes_nothing(theatre: Theatre) -> None:
    world = await world_of()
    given = RollBackInput(
        group="delays", deployment_id="", good_fleet="delays-r0", bad_fleet="delays-r1", request_id="r"
    )
    result = await theatre.run(world, "RollBack", given, "rollback/delays")
    assert result.outcome == "failed"
    assert "no way back" in result.text
    assert world.serving == {"delays-r1": 100}
    assert world.open_leases == []
