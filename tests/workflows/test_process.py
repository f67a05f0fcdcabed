"""The workflow worker's own parts: schedules are made once and follow the settings; what it runs is all there is."""

from datetime import timedelta

from localcloud.servers.temporal import TemporalServer
from shared.contracts import queues
from shared.temporal.client import connect
from workflows.__main__ import build
from workflows.registry import WORKFLOWS
from workflows.schedules import ensure_schedule, schedule
from workflows.settings import WorkflowSettings


async def test_a_schedule_is_made_once_and_follows_its_interval(temporal: TemporalServer, unique_name: str) -> None:
    client = await connect(temporal.address, temporal.namespace)
    await ensure_schedule(client, unique_name, schedule("Sweep", unique_name, 3600))
    handle = client.get_schedule_handle(unique_name)
    await handle.pause(note="a person looks at something")
    await ensure_schedule(client, unique_name, schedule("Sweep", unique_name, 7200))
    found = (await handle.describe()).schedule
    assert [i.every for i in found.spec.intervals] == [timedelta(seconds=7200)]
    assert found.state.paused
    await handle.delete()


def test_intervals_follow_the_profile_unless_they_are_set() -> None:
    assert (WorkflowSettings().drift_s, WorkflowSettings(profile="demo").drift_s) == (60.0, 5.0)
    assert WorkflowSettings(profile="demo", sweep_every_s=7).sweep_s == 7


async def test_the_worker_starts_and_stops_with_its_schedules(temporal: TemporalServer) -> None:
    client = await connect(temporal.address, temporal.namespace)
    settings = WorkflowSettings(drift_every_s=3600, sweep_every_s=3600, metrics_listen="127.0.0.1:0")
    parts = build(settings, client)
    for part in parts:
        await part.start()
    for part in reversed(parts):
        await part.stop()


def test_every_workflow_of_the_contracts_is_registered() -> None:
    names = {w.__temporal_workflow_definition.name for w in WORKFLOWS}  # type: ignore[attr-defined]
    assert names >= {"ApplyObjects", "DeployGroup", "RollBack", "ProvisionGroup", "ProvisionPipeline", "RampTraffic"}
    assert names >= {"ScaleGroup", "CheckDrift", "BuildEnvironment", "DestroyObject", "Sweep"}
    assert queues.WORKFLOWS == "headrace-workflows"
