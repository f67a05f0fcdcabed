"""ApplyObjects: order, what is skipped, what a cancel leaves, and the same history read again."""

from itertools import pairwise

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import CancelledError

from shared.contracts import queues
from shared.contracts.apply import ApplyInput, ObjectProgress
from shared.contracts.objects import Environment, Pipeline, ProvisionedScaling, Ramp, ServerGroup
from shared.contracts.provisioning import (
    BuildEnvironmentInput,
    DestroyInput,
    ProvisionGroupInput,
    ProvisionPipelineInput,
)
from tests.workflows.conftest import Theatre
from tests.workflows.world import World
from tests.workflows.world_state import Fault, code

GROUP = ServerGroup(
    name="delays", kind="transform", environment="flights-env", scaling=ProvisionedScaling(desired_nodes=2)
)
PIPELINE = Pipeline.model_validate(
    {
        "name": "departures",
        "stages": [{"name": "transform", "group": "delays", "work": {"type": "transform", "function": "delays:delay"}}],
        "ramp": Ramp(percents=(100,), bake_s=1),
    }
)
PLAN = ApplyInput(
    plan_id="plan-1",
    request_id="r",
    environments=(
        BuildEnvironmentInput(
            spec=Environment(name="flights-env", requirements="headrace-runtime\n"), generation=1, request_id="r-e"
        ),
    ),
    groups=(ProvisionGroupInput(spec=GROUP, generation=1, request_id="r-g", code=code("code-1")),),
    pipelines=(ProvisionPipelineInput(spec=PIPELINE, generation=1, request_id="r-p"),),
)
RAMP = queues.ramp_id(PIPELINE.name)
NAMES = ("environment/flights-env", "server-group/delays", "pipeline/departures")


async def test_what_others_stand_on_is_made_first(theatre: Theatre) -> None:
    world = World()
    result = await theatre.run(world, "ApplyObjects", PLAN)
    assert (result.outcome, result.text) == ("done", "3 objects applied")
    steps = ("provisioner.build_environment", "provisioner.register_group", "provisioner.register_pipeline")
    assert sorted(steps, key=world.trace.index) == list(steps)
    assert world.problems == []


@pytest.mark.parametrize(
    ("failing", "states"),
    [
        ("provisioner.build_environment", ("failed", "skipped", "skipped")),
        ("provisioner.add_fleet", ("done", "failed", "skipped")),
        ("provisioner.register_pipeline", ("done", "done", "failed")),
    ],
)
async def test_what_stands_on_a_failed_object_is_skipped_and_says_on_which(
    theatre: Theatre, failing: str, states: tuple[str, ...]
) -> None:
    world = World(fault=Fault(failing, 1, "before"))
    result = await theatre.run(world, "ApplyObjects", PLAN)
    assert result.outcome == "failed"
    assert tuple(result.details[name].partition(":")[0] for name in NAMES) == states
    for below, name in pairwise(NAMES):
        if result.details[name].startswith("skipped"):
            assert below in result.details[name]
    assert world.open_leases == []


async def test_nothing_is_destroyed_after_a_failure(theatre: Theatre) -> None:
    world = World(fault=Fault("provisioner.build_environment", 1, "before"))
    old = DestroyInput(kind="server-group", name="fraud", generation=2, request_id="r-d")
    result = await theatre.run(world, "ApplyObjects", PLAN.model_copy(update={"destroys": (old,)}))
    assert result.details["server-group/fraud"].startswith("skipped")
    assert "provisioner.remove_group" not in world.trace


@pytest.mark.parametrize(
    ("during", "begun"),
    [("provisioner.build_environment", 1), ("provisioner.add_fleet", 2), ("provisioner.register_pipeline", 3)],
)
async def test_a_cancel_reaches_the_object_that_runs_and_what_it_began_is_undone(
    real: Theatre, during: str, begun: int
) -> None:
    world = World(fault=Fault(during, 1, "cancel"))
    handle = await real.start(world, "ApplyObjects", PLAN)
    with pytest.raises(WorkflowFailureError) as ended:
        await handle.result()
    assert isinstance(ended.value.cause, CancelledError)
    told = await handle.query("progress", result_type=list[ObjectProgress])
    shown = [p.state for p in told]
    done = shown.count("done")  # the object that ran may have been done before it heard of the cancel
    assert shown == ["done"] * done + ["cancelled"] * (len(NAMES) - done), told
    assert begun <= done + 1 <= begun + 1, told
    assert world.open_leases == []
    assert during != "provisioner.add_fleet" or done == begun or world.fleets == {}


async def test_it_replays_with_the_cache_off(replaying: Theatre) -> None:
    handle = await replaying.start(World(), "ApplyObjects", PLAN)
    assert (await handle.result()).outcome == "done"
    await replaying.replay(handle)


async def test_every_activity_done_twice_applies_the_same(theatre: Theatre) -> None:
    once, twice = World(), World(twice=True)
    first = await theatre.run(once, "ApplyObjects", PLAN)
    await theatre.ended(RAMP)  # it runs on by itself, and would go on in the second world
    second = await theatre.run(twice, "ApplyObjects", PLAN)
    await theatre.ended(RAMP)
    assert (second.outcome, twice.fleets, twice.problems) == (first.outcome, once.fleets, [])
