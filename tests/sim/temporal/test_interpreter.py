"""The product's workflows in the interpreter; the histories it writes are judged by the SDK's own Replayer."""

import asyncio
from collections.abc import Sequence

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from shared.contracts.provisioning import OperationResult
from shared.temporal.converter import DATA_CONVERTER
from tests.sim.temporal.playing import Play
from tests.sim.temporal.run import Run
from tests.sim.temporal.virtual import in_virtual_time
from tests.workflows.test_faults import WORKFLOWS as KINDS
from tests.workflows.world_state import Fault
from workflows.registry import WORKFLOWS

SEEDS = range(3)


async def played(kind: str, seed: int, fault: Fault | None = None) -> tuple[Play, OperationResult, list[str]]:
    play = Play(seed)
    world, name, given = await KINDS[kind](fault=fault)
    result = await play.run(world, name, given)
    return play, result, await play.settled()


async def replayed(runs: Sequence[Run]) -> None:
    replayer = Replayer(workflows=WORKFLOWS, data_converter=DATA_CONVERTER, workflow_runner=UnsandboxedWorkflowRunner())
    for run in runs:
        await replayer.replay_workflow(WorkflowHistory(run.id, run.history.events))


@pytest.mark.parametrize("kind", KINDS)
def test_workflows_run_are_forgotten_and_replayed(kind: str) -> None:
    for seed in SEEDS:
        play, result, problems = in_virtual_time(played(kind, seed))
        assert problems == []
        assert result.outcome == "done"
        assert play.server.interpreter.replays >= play.server.tasks


@pytest.mark.parametrize("kind", KINDS)
def test_the_sdk_replays_the_histories_that_the_interpreter_writes(kind: str) -> None:
    for fault in (None, Fault("provisioner.set_weights", 1, "before"), Fault("provisioner.set_ramp", 1, "cancel")):
        play, _, problems = in_virtual_time(played(kind, 0, fault))
        assert problems == []
        asyncio.run(replayed(play.runs))


def test_the_same_seed_gives_the_same_run() -> None:
    def events(seed: int) -> list[tuple[int, int]]:
        play, _, _ = in_virtual_time(played("deploy", seed))
        return [(e.event_type, e.event_time.ToNanoseconds()) for r in play.runs for e in r.history.events]

    assert events(1) == events(1)
    assert events(1) != events(2)
