"""A Deployer that is away when a deployment ends: nothing is held for it, and the end is recorded once it is back."""

from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from services.deployer.domain.lifecycle import Phase
from shared.contracts.deployment import RollBackInput
from tests.sim.temporal.playing import Play
from tests.workflows.test_deploy_group import phase_of, wish, world_of
from tests.workflows.virtual_time import in_play
from tests.workflows.world import World

CLOSE, END, AWAY = "deployer.close_deployment", "observer.end", 3


def away(world: World, times: int = AWAY) -> World:
    """`times`: how often it is not there to record an end."""

    async def on_call(name: str, nth: int) -> None:
        if name == CLOSE and nth <= times:
            raise ApplicationError("deployer: away", type="Unavailable", non_retryable=True)

    world.on_call = on_call
    return world


@pytest.mark.parametrize(("bad", "phase"), [(frozenset[int](), Phase.FINISHED), (frozenset({2}), Phase.ROLLED_BACK)])
def test_what_has_ended_reads_as_ended_once_the_deployer_is_back(bad: frozenset[int], phase: Phase) -> None:
    @in_play
    async def played(play: Play) -> None:
        world = away(await world_of(bad_revisions=bad))
        result = await play.run(world, "DeployGroup", wish(), "deploy/delays")
        assert result.outcome == ("rolled_back" if bad else "done"), result
        assert await phase_of(world) is phase
        assert world.counts[CLOSE] == AWAY + 1
        order = [name for name in world.trace if name in {CLOSE, END}]
        assert order == [CLOSE, END, CLOSE, CLOSE, CLOSE]  # nothing is held while it is away
        assert (world.open_leases, world.problems) == ([], [])

    played()


def rollback(**more: Any) -> RollBackInput:
    return RollBackInput(group="delays", good_fleet="delays-r1", bad_fleet="delays-r2", request_id="r", **more)


@in_play
async def test_a_rollback_of_no_deployment_asks_nobody_to_record_its_end(play: Play) -> None:
    world = away(await world_of())
    result = await play.run(world, "RollBack", rollback(deployment_id=""))
    assert (result.outcome, world.counts[CLOSE], world.open_leases) == ("done", 0, [])
