"""Ramps, scaling, drift, destruction, environments, sweeps: what each does in its ordinary and its bad hours."""

import asyncio
from typing import Any

import pytest

from localcloud.servers.temporal import TemporalServer
from shared.contracts import queues
from shared.contracts.activities import SweepReport
from shared.contracts.dead_letters import RedriveInput
from shared.contracts.objects import Autoscaling, Environment, Pipeline, Ramp, ServerGroup
from shared.contracts.progress import Progress
from shared.contracts.provisioning import (
    BuildEnvironmentInput,
    DestroyInput,
    DriftFinding,
    ProvisionGroupInput,
    ProvisionPipelineInput,
    RampInput,
)
from shared.contracts.scaling import ScaleInput
from shared.temporal.client import connect
from tests.sim.temporal.playing import Play
from tests.workflows.answers import blocked, park
from tests.workflows.conftest import Theatre, playing
from tests.workflows.virtual_time import in_play
from tests.workflows.world import World
from tests.workflows.world_state import Fault, code
from workflows.check_drift import to_repair

LOOK_S = 0.05
GROUP = ServerGroup(
    name="delays", kind="transform", environment="flights-env", scaling=Autoscaling(min_nodes=2, max_nodes=9)
)
PIPELINE = Pipeline.model_validate(
    {
        "name": "departures",
        "stages": [{"name": "ingest", "group": "departures-ingest", "work": {"type": "ingest"}}],
        "ramp": Ramp(percents=(5, 25, 100), bake_s=20),
    }
)
RAMP = RampInput(pipeline="departures", percents=(5, 25, 100), bake_s=20, request_id="r")


def finding(number: int, group: str, drift_class: str, **more: Any) -> DriftFinding:
    return DriftFinding.model_validate(
        {
            "group": group,
            "resource": f"autoscaling group default-{group}-r1",
            "field": "MaxSize",
            "declared": "9",
            "live": "40",
            "drift_class": drift_class,
            "owner": "provisioner",
            "found_at": 1.0,
            "id": f"drift-{number}",
            **more,
        }
    )


async def test_a_new_group_gets_its_first_revision_and_fleet(theatre: Theatre) -> None:
    world = World()
    given = ProvisionGroupInput(spec=GROUP, generation=1, request_id="r", code=code("code-1"))
    result = await theatre.run(world, "ProvisionGroup", given)
    assert result.outcome == "done", result
    assert world.serving == {"delays-r1": 100}
    assert world.fleets["delays-r1"].in_service == 2
    assert [h.request.creates for h in world.held.values()] == [True]
    assert world.problems == []


async def test_a_group_that_exists_is_brought_to_its_new_generation(theatre: Theatre) -> None:
    world = World()
    await world.given_group(GROUP, 2)
    given = ProvisionGroupInput(spec=GROUP, generation=2, request_id="r")
    result = await theatre.run(world, "ProvisionGroup", given)
    assert result.outcome == "done"
    assert "provisioner.apply_group" in world.trace
    assert [h.request.creates for h in world.held.values()] == [False]


async def test_a_group_that_a_run_before_left_half_made_is_brought_into_traffic(theatre: Theatre) -> None:
    world = World()
    await world.given_group(GROUP, 2)
    world.fleets["delays-r1"].weight, world.need = 0, 0  # nothing of it has ever served
    given = ProvisionGroupInput(spec=GROUP, generation=2, request_id="r", code=code("code-2"))
    result = await theatre.run(world, "ProvisionGroup", given)
    assert result.outcome == "done", result
    assert world.serving == {"delays-r2": 100}
    assert [h.request.creates for h in world.held.values()] == [True]
    assert world.problems == []


async def test_nodes_that_do_not_come_leave_no_group_behind(theatre: Theatre) -> None:
    world = World(nodes_come=False)
    given = ProvisionGroupInput(spec=GROUP, generation=1, request_id="r", code=code("code-1"))
    result = await theatre.run(world, "ProvisionGroup", given)
    assert result.outcome == "failed"
    assert "InsufficientInstanceCapacity" in result.text
    assert world.fleets == {}
    assert world.open_leases == []


async def test_a_cancel_before_anybody_took_the_step_up_is_a_cancel(temporal: TemporalServer) -> None:
    client = await connect(temporal.address, temporal.namespace)
    async with playing(client, cached_max=100, without=frozenset({queues.PROVISIONER})) as theatre:
        given = ProvisionGroupInput(spec=GROUP, generation=1, request_id="r", code=code("code-1"))
        handle = await theatre.start(World(), "ProvisionGroup", given)
        while not (await handle.describe()).raw_description.pending_activities:  # noqa: ASYNC110  the server tells nobody
            await asyncio.sleep(LOOK_S)
        await handle.cancel()
        ended = await handle.result()
    assert (ended.outcome, ended.text) == ("cancelled", "cancelled")


async def test_a_new_pipeline_starts_without_traffic_and_is_ramped(theatre: Theatre) -> None:
    world = World()
    given = ProvisionPipelineInput(spec=PIPELINE, generation=1, request_id="r")
    result = await theatre.run(world, "ProvisionPipeline", given)
    assert result.details["ramp"] == "ramp/departures"
    assert (await theatre.ramped(result)).outcome == "done"
    assert world.ramps == [0, 5, 25, 100]
    assert [h.request.kind for h in world.held.values()] == ["PROVISION", "RAMP"]
    assert world.problems == []


async def test_an_update_of_a_pipeline_that_serves_does_not_ramp(theatre: Theatre) -> None:
    world = World()
    world.ramps.append(100)
    world.pipelines[PIPELINE.name] = PIPELINE
    given = ProvisionPipelineInput(spec=PIPELINE, generation=2, request_id="r")
    result = await theatre.run(world, "ProvisionPipeline", given)
    assert (result.outcome, result.details, world.ramps) == ("done", {}, [100])


async def test_a_pipeline_whose_first_generation_never_came_to_be_is_created_by_the_second(theatre: Theatre) -> None:
    world = World()
    given = ProvisionPipelineInput(spec=PIPELINE, generation=2, request_id="r")
    result = await theatre.run(world, "ProvisionPipeline", given)
    assert (await theatre.ramped(result)).outcome == "done"
    assert world.ramps == [0, 5, 25, 100]
    assert [h.request.creates for h in world.held.values()] == [True, False]


async def test_a_ramp_replays_with_the_cache_off(replaying: Theatre) -> None:
    world = World()
    handle = await replaying.start(world, "RampTraffic", RAMP)
    assert (await handle.result()).outcome == "done"
    await replaying.replay(handle)


@in_play
async def test_a_ramp_steps_back_when_its_pipeline_turns_bad_and_tries_again(play: Play) -> None:
    world = World(verdicts=["HEALTHY"] * 12 + ["UNHEALTHY"])
    result = await play.run(world, "RampTraffic", RAMP)
    assert result.outcome == "done"
    assert world.ramps == [5, 25, 5, 25, 100]


@in_play
async def test_a_ramp_that_turns_bad_again_and_again_gives_up_at_a_good_percent(play: Play) -> None:
    world = World(verdicts=["UNHEALTHY"] * 1000)
    result = await play.run(world, "RampTraffic", RAMP)
    assert result.outcome == "failed"
    assert world.ramps == [5, 0, 5, 0, 5, 0, 5, 0]
    assert world.open_leases == []


@in_play
async def test_a_ramp_that_is_blind_or_degraded_holds_and_steps_nowhere(play: Play) -> None:
    world = World(verdicts=["UNKNOWN", "DEGRADED"] * 20)
    result = await play.run(world, "RampTraffic", RAMP)
    assert result.outcome == "done"
    assert world.ramps == [5, 25, 100]
    assert world.counts["observer.verdict"] > 60


@in_play
async def test_a_person_holds_a_ramp_and_lets_it_go(play: Play) -> None:
    world = World()
    handle = await play.start(world, "RampTraffic", RAMP)
    seen: list[str] = []

    async def on_call(name: str, nth: int) -> None:
        if (name, nth) == ("provisioner.set_ramp", 1):
            await handle.signal("hold", "ada")
        if name == "observer.heartbeat" and nth > 3 and not seen:
            seen.append((await handle.query("progress", result_type=Progress)).text)
            await handle.signal("resume", "ada")

    world.on_call = on_call
    assert (await handle.result()).outcome == "done"
    assert seen == ["at 5 %, held by ada"]


@in_play
async def test_a_ramp_parks_before_each_percent_when_told(play: Play) -> None:
    world = World(asks={n: park("DeploymentRuns") for n in (1, 2, 3)})
    assert (await play.run(world, "RampTraffic", RAMP)).outcome == "done"
    assert world.counts["observer.heartbeat"] > 3


@pytest.mark.parametrize(("direction", "asked"), [("out", 9), ("in", 1)])
async def test_scaling_that_is_not_admitted_is_told_to_the_autoscaler(
    theatre: Theatre, direction: str, asked: int
) -> None:
    world = World(blocked=[blocked() for _ in range(100)])
    await world.given_group(GROUP, 2)
    given = {"group": "delays", "decision_id": "d", "desired": {"delays-r1": 4}, "previous": {"delays-r1": 2}}
    result = await theatre.run(world, "ScaleGroup", ScaleInput.model_validate(given | {"direction": direction}))
    assert result.outcome == "refused"
    assert [o.outcome for o in world.outcomes] == ["refused"]
    assert world.fleets["delays-r1"].desired == 2
    assert world.trace.count("observer.begin") <= asked + 1


async def test_scaling_records_what_came_of_it(theatre: Theatre) -> None:
    world = World()
    await world.given_group(GROUP, 2)
    given = ScaleInput(
        group="delays", decision_id="d", direction="out", desired={"delays-r1": 4}, previous={"delays-r1": 2}
    )
    assert (await theatre.run(world, "ScaleGroup", given)).outcome == "done"
    assert [o.outcome for o in world.outcomes] == ["in_service"]
    assert world.fleets["delays-r1"].in_service == 4
    assert world.open_leases == []


def test_security_drift_is_repaired_first_and_what_is_not_ours_never() -> None:
    found = (
        finding(1, "a", "managed"),
        finding(2, "b", "security"),
        finding(3, "c", "benign"),
        finding(4, "d", "managed", owner="autoscaler"),
        finding(5, "e", "destructive"),
        finding(6, "a", "managed", state="accepted"),
    )
    assert {g: [f.id for f in fs] for g, fs in to_repair(found).items()} == {"b": ["drift-2"], "a": ["drift-1"]}
    assert list(to_repair(found)) == ["b", "a"]


async def test_drift_is_repaired_under_admission_and_looked_at_again(theatre: Theatre) -> None:
    world = World(findings=[finding(1, "delays", "managed"), finding(2, "edge", "security")])
    result = await theatre.run(world, "CheckDrift", None)
    assert result.outcome == "done", result
    assert world.findings == []
    assert [(h.request.scope, h.request.security) for h in world.held.values()] == [
        ("group/edge", True),
        ("group/delays", False),
    ]
    assert world.counts["provisioner.check_drift"] == 2
    assert world.open_leases == []


async def test_drift_that_may_not_be_repaired_now_is_left_to_the_next_run(theatre: Theatre) -> None:
    world = World(findings=[finding(1, "delays", "managed")], blocked=[blocked("DeploymentRuns") for _ in range(99)])
    result = await theatre.run(world, "CheckDrift", None)
    assert result.outcome == "refused"
    assert [r.code for r in result.reasons] == ["DeploymentRuns"]
    assert len(world.findings) == 1


@pytest.mark.parametrize(
    ("kind", "last"),
    [
        ("environment", "provisioner.remove_environment"),
        ("pipeline", "provisioner.remove_pipeline"),
        ("server-group", "provisioner.remove_group"),
    ],
)
async def test_destruction(theatre: Theatre, kind: str, last: str) -> None:
    world = World()
    await world.given_group(GROUP, 2)
    world.need = 0
    given = DestroyInput.model_validate({"kind": kind, "name": "delays", "request_id": "r"})
    result = await theatre.run(world, "DestroyObject", given)
    assert result.outcome == "done"
    assert last in world.trace
    assert world.open_leases == []


async def test_an_environment_is_built(theatre: Theatre) -> None:
    spec = Environment(name="flights-env", requirements="headrace-runtime")
    result = await theatre.run(World(), "BuildEnvironment", BuildEnvironmentInput(spec=spec, generation=1))
    assert (result.outcome, result.details) == ("done", {"digest": "d1"})


async def test_dead_letters_are_redriven_once_also_when_the_activity_is_repeated(theatre: Theatre) -> None:
    given = RedriveInput.model_validate(
        {"pipeline": "departures", "stage": "transform", "request": {"offsets": [3, 5]}, "request_id": "op-1"}
    )
    world = World(twice=True)
    result = await theatre.run(world, "RedriveDeadLetters", given)
    assert (result.outcome, result.details["redriven"]) == ("done", "2")
    assert world.problems == []
    failed = await theatre.run(
        World(fault=Fault("provisioner.redrive_dead_letters", 1, "before")), "RedriveDeadLetters", given
    )
    assert failed.outcome == "failed"


async def test_a_sweep_asks_every_service_also_after_one_failed(theatre: Theatre) -> None:
    world = World(fault=Fault("observer.sweep", 1, "before"))
    report = await (await theatre.start(world, "Sweep", None, answers=SweepReport)).result()
    assert report.notes[0].startswith("observer.sweep")
    assert world.trace == ["observer.sweep", "provisioner.sweep", "autoscaler.sweep"]
