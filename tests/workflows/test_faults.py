"""Fault tests of the workflows that change the world, on the real server.

For every call of the way through: fail it before it is done, fail it after, cancel while it runs; and do everything
twice. Whatever happens, the group serves all the while, it ends on one fleet or none, and nothing stays held.
"""

import asyncio
from collections import Counter
from typing import Any

import pytest

from services.deployer.domain.lifecycle import FINAL
from shared.contracts.deployment import DeployInput
from shared.contracts.objects import Autoscaling, Pipeline, Ramp, Rolling, ServerGroup
from shared.contracts.provisioning import (
    MembersState,
    OperationResult,
    ProvisionGroupInput,
    ProvisionPipelineInput,
    RampInput,
)
from shared.contracts.rating import RateInput, RemoveCopyInput
from shared.contracts.scaling import ScaleInput
from tests.workflows.conftest import Theatre
from tests.workflows.world import World
from tests.workflows.world_state import Fault, code, members_coming

GROUP = ServerGroup(
    name="delays",
    kind="transform",
    environment="flights-env",
    scaling=Autoscaling(min_nodes=3, max_nodes=10),
    rollout=Rolling(percents=(50, 100), bake_s=0),
)
PIPELINE = Pipeline.model_validate(
    {
        "name": "departures",
        "stages": [{"name": "ingest", "group": "departures-ingest", "work": {"type": "ingest"}}],
        "ramp": Ramp(percents=(50, 100), bake_s=0),
    }
)
NODES = 4
TOLERATED = frozenset({"observer.heartbeat", "observer.begin"})  # asked again, or nothing has begun
RUNS_AT_ONCE_S_MAX = 60.0


async def deploying(**more: Any) -> tuple[World, str, Any]:
    world = World(**more)
    await world.given_group(GROUP, NODES)
    given = DeployInput(group="delays", request_id="r", code=code("code-2"))
    return world, "DeployGroup", given


async def creating(**more: Any) -> tuple[World, str, Any]:
    return (
        World(**more),
        "ProvisionGroup",
        ProvisionGroupInput(spec=GROUP, generation=1, request_id="r", code=code("c")),
    )


async def piping(**more: Any) -> tuple[World, str, Any]:
    return World(**more), "ProvisionPipeline", ProvisionPipelineInput(spec=PIPELINE, generation=1, request_id="r")


async def ramping(**more: Any) -> tuple[World, str, Any]:
    return World(**more), "RampTraffic", RampInput(pipeline="departures", percents=(50, 100), bake_s=0, request_id="r")


async def scaling(**more: Any) -> tuple[World, str, Any]:
    world = World(**more)
    await world.given_group(GROUP, NODES)
    given = ScaleInput(
        group="delays", decision_id="d", direction="out", desired={"delays-r1": 6}, previous={"delays-r1": NODES}
    )
    return world, "ScaleGroup", given


async def rating(**more: Any) -> tuple[World, str, Any]:
    world = World(called_nodes=2, **more)
    await world.given_group(GROUP, NODES)
    return world, "RateGroup", RateInput(group="delays", request_id="r")


async def clearing(**more: Any) -> tuple[World, str, Any]:
    world = World(**more)
    await world.given_group(GROUP, NODES)
    world.copy = MembersState(fleet="rating-delays-r1", desired=1, in_service=1, pending=0, satisfied=True)
    world.copy_topics = frozenset({"headrace-rating.rating-delays.in"})
    world.behind = members_coming("called-by-rating-delays-r4", 2)
    return world, "RemoveCopy", RemoveCopyInput(group="delays", request_id="r")


WORKFLOWS = {
    "deploy": deploying,
    "create": creating,
    "pipeline": piping,
    "ramp": ramping,
    "scale": scaling,
    "rate": rating,
    "clear": clearing,
}


def is_whole(world: World, kind: str) -> list[str]:
    """What is wrong with how it ended."""
    wrong = list(world.problems)
    with_traffic = [f for f, state in world.fleets.items() if state.weight > 0]
    if kind == "deploy" and len(with_traffic) != 1:
        wrong.append(f"traffic on {with_traffic}")
    if kind == "create" and world.fleets and not with_traffic:
        wrong.append(f"fleets are left that serve nobody: {world.fleets}")
    left = (world.copy, world.copy_topics, world.behind, world.serving)
    if kind == "rate" and left != (None, frozenset(), None, {"delays-r1": 100}):
        wrong.append(f"a copy or its topics are left, or the live group was touched: {left}")
    if kind == "clear" and (bool(world.copy) != bool(world.copy_topics) or world.serving != {"delays-r1": 100}):
        wrong.append(f"topics without their copy, which the next sweep looks for, or the live group touched: {left}")
    return wrong


async def unfinished(world: World) -> list[str]:
    """Deployments that nothing works on any more, and that do not read so."""
    found = await world.store.deployments(None, 100)
    return [f"deployment {d.id} is {d.phase}" for d in found if d.phase not in FINAL]


async def settled(theatre: Theatre, result: OperationResult) -> None:
    """Until what runs on by itself has ended."""
    if "ramp" in result.details:
        await theatre.ramped(result)


async def calls_of(theatre: Theatre, kind: str) -> Counter[str]:
    world, name, given = await WORKFLOWS[kind]()
    result = await theatre.run(world, name, given)
    assert result.outcome == "done", result
    await settled(theatre, result)
    assert is_whole(world, kind) == []
    assert world.open_leases == []
    return Counter({n: c for n, c in world.counts.items() if n not in TOLERATED})


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("how", ["before", "after", "cancel"])
@pytest.mark.parametrize("kind", WORKFLOWS)
async def test_every_step_fails_once_or_is_cancelled_and_nothing_is_left_behind(
    real: Theatre, kind: str, how: str
) -> None:
    calls = await calls_of(real, kind)
    wrong: dict[str, Any] = {}
    for name, count in calls.items():
        for nth in range(1, count + 1):
            world, workflow, given = await WORKFLOWS[kind](fault=Fault(name, nth, how))
            async with asyncio.timeout(RUNS_AT_ONCE_S_MAX):
                result = await real.run(world, workflow, given)
                await settled(real, result)
            found = is_whole(world, kind) + await unfinished(world)
            if world.open_leases and not (name == "observer.end" and how == "before"):
                found.append(f"still held: {world.open_leases}")
            if how == "cancel" and result.outcome not in {"cancelled", "done", "failed", "rolled_back"}:
                found.append(f"outcome {result.outcome}")
            if found:
                wrong[f"{name} {nth} {how}"] = (found, result.outcome, result.text, world.trace)
    assert wrong == {}


@pytest.mark.parametrize("kind", WORKFLOWS)
async def test_every_activity_done_twice_ends_alike(real: Theatre, kind: str) -> None:
    once, name, given = await WORKFLOWS[kind]()
    first = await real.run(once, name, given)
    await settled(real, first)
    twice, name, given = await WORKFLOWS[kind](twice=True)
    second = await real.run(twice, name, given)
    await settled(real, second)
    assert twice.problems == []
    assert (second.outcome, twice.fleets, twice.ramps) == (first.outcome, once.fleets, once.ramps)
    assert twice.trace == once.trace


@pytest.mark.parametrize("kind", WORKFLOWS)
async def test_recorded_histories_replay(real: Theatre, kind: str) -> None:
    for more in ({}, {"fault": Fault("provisioner.set_weights", 1, "before")}):
        world, name, given = await WORKFLOWS[kind](**more)
        handle = await real.start(world, name, given)
        await settled(real, await handle.result())
        await real.replay(handle)
