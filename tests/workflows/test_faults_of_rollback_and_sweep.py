"""RollBack as a person starts it, and Sweep: each step failed once, cancelled, repeated, and read again from history."""

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import CancelledError

from shared.contracts.activities import SweepReport
from shared.contracts.deployment import RollBackInput
from shared.contracts.provisioning import Revision
from tests.workflows.conftest import Theatre
from tests.workflows.test_deploy_group import GROUP
from tests.workflows.world import World
from tests.workflows.world_state import ENVIRONMENT, Fault, FleetState, code

SWEEPS = ("observer.sweep", "provisioner.sweep", "autoscaler.sweep")
GIVEN = RollBackInput(group="delays", deployment_id="", good_fleet="delays-r1", bad_fleet="delays-r2", request_id="r")


async def halfway(fault: Fault | None = None, *, twice: bool = False) -> World:
    """The old fleet and the new one serve a half each."""
    world = World(fault=fault, twice=twice)
    await world.given_group(GROUP, 2)
    world.revisions[2] = Revision(group="delays", number=2, environment=ENVIRONMENT, code=code("code-2"))
    world.fleets = {"delays-r1": FleetState(1, 2, 2, 50), "delays-r2": FleetState(2, 2, 2, 50)}
    return world


async def steps_of_a_rollback(theatre: Theatre) -> list[tuple[str, int]]:
    world = await halfway()
    result = await theatre.run(world, "RollBack", GIVEN)
    assert result.outcome in {"done", "rolled_back"}, result
    assert world.serving == {"delays-r1": 100}
    silent = {"observer.heartbeat", "observer.begin"}
    return [(name, nth) for name, count in world.counts.items() if name not in silent for nth in range(1, count + 1)]


@pytest.mark.slow
@pytest.mark.parametrize("how", ["before", "after", "cancel"])
async def test_a_rollback_that_is_disturbed_at_any_step_leaves_enough_nodes_serving(real: Theatre, how: str) -> None:
    wrong = {}
    for name, nth in await steps_of_a_rollback(real):
        world = await halfway(Fault(name, nth, how))
        result = await real.run(world, "RollBack", GIVEN)
        held = [] if (name, how) == ("observer.end", "before") else world.open_leases
        if world.problems or held or not any(weight for weight in world.serving.values()):
            wrong[name, nth] = (world.problems, held, world.serving, result)
    assert wrong == {}


async def test_a_rollback_whose_activities_are_all_done_twice_ends_alike(real: Theatre) -> None:
    world = await halfway(twice=True)
    await real.run(world, "RollBack", GIVEN)
    assert (world.serving, world.problems, world.open_leases) == ({"delays-r1": 100}, [], [])


@pytest.mark.parametrize("name", SWEEPS)
@pytest.mark.parametrize("how", ["before", "after"])
async def test_a_sweep_goes_on_where_one_service_fails_and_says_which(theatre: Theatre, name: str, how: str) -> None:
    world = World(fault=Fault(name, 1, how))
    report = await (await theatre.start(world, "Sweep", None, answers=SweepReport)).result()
    assert [note for note in report.notes if name in note]
    assert set(world.trace) == set(SWEEPS)


@pytest.mark.parametrize("name", SWEEPS)
async def test_a_sweep_is_cancelled_at_any_step(real: Theatre, name: str) -> None:
    handle = await real.start(World(fault=Fault(name, 1, "cancel")), "Sweep", None, answers=SweepReport)
    with pytest.raises(WorkflowFailureError) as ended:
        await handle.result()
    assert isinstance(ended.value.cause, CancelledError)


async def test_a_sweep_done_twice_reports_alike_and_both_replay(replaying: Theatre) -> None:
    reports = []
    for twice in (False, True):
        handle = await replaying.start(World(twice=twice), "Sweep", None, answers=SweepReport)
        reports.append(await handle.result())
        await replaying.replay(handle)
    assert reports[0] == reports[1]
    handle = await replaying.start(await halfway(), "RollBack", GIVEN)
    await handle.result()
    await replaying.replay(handle)
