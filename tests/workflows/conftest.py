"""A time-skipping Temporal with the product's workflow worker and a world of activities.

`theatre` keeps workflows in the worker's cache; `replaying` has the cache off, so that every task replays the history.
Both skip the time that workflows sleep. `real` is the development server, whose time does not skip: the test server refuses
to cancel an activity that ends in the same moment, which the real one bears.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from localcloud.servers.temporal import TemporalServer
from shared.contracts import queues
from shared.contracts.provisioning import OperationResult
from shared.temporal.client import connect
from shared.temporal.converter import DATA_CONVERTER
from shared.temporal.worker import PASSTHROUGH, ActivityWorker, WorkflowWorker
from tests.workflows.world import Stage, World
from workflows.registry import WORKFLOWS

RUN_S_MAX = 240.0
SKIP_S = 10.0


@dataclass
class Theatre:
    """Runs one workflow after the other, each in a world of its own."""

    client: Client
    stage: Stage
    environment: WorkflowEnvironment | None = None  # that skips time
    runs: int = 0

    async def start(
        self, world: World, name: str, given: Any, workflow_id: str = "", answers: type = OperationResult
    ) -> WorkflowHandle[Any, Any]:
        self.runs += 1
        self.stage.world = world
        arguments = [] if given is None else [given]
        handle: WorkflowHandle[Any, Any] = await self.client.start_workflow(
            name,
            args=arguments,
            id=workflow_id or f"{name}-{self.runs}-{uuid4().hex[:8]}",
            task_queue=queues.WORKFLOWS,
            result_type=answers,
        )
        world.cancel = handle.cancel
        return handle

    async def run(self, world: World, name: str, given: Any, workflow_id: str = "") -> OperationResult:
        handle = await self.start(world, name, given, workflow_id)
        async with asyncio.timeout(RUN_S_MAX):
            result: OperationResult = await handle.result()
        return result

    async def ramped(self, result: OperationResult) -> OperationResult:
        """How the ramp ended that runs on by itself."""
        return await self.ended(result.details["ramp"])

    async def ended(self, workflow_id: str) -> OperationResult:
        """How a workflow ended that nobody waits for."""
        handle: WorkflowHandle[Any, Any] = self.client.get_workflow_handle(workflow_id, result_type=OperationResult)
        async with asyncio.timeout(RUN_S_MAX):
            while (await handle.describe()).status is WorkflowExecutionStatus.RUNNING:
                await self.skip()
            result: OperationResult = await handle.result()
        return result

    async def skip(self) -> None:
        """Let some time pass: only a workflow that is started and waited for makes the test server skip by itself."""
        if self.environment is not None:
            await self.environment.sleep(SKIP_S)

    async def replay(self, handle: WorkflowHandle[Any, Any]) -> None:
        """The history replays with the cache off, in the sandbox, as shipped."""
        restrictions = SandboxRestrictions.default.with_passthrough_modules(*PASSTHROUGH)
        replayer = Replayer(
            workflows=WORKFLOWS,
            data_converter=DATA_CONVERTER,
            workflow_runner=SandboxedWorkflowRunner(restrictions=restrictions),
        )
        await replayer.replay_workflow(await handle.fetch_history())


@asynccontextmanager
async def playing(
    client: Client,
    cached_max: int,
    environment: WorkflowEnvironment | None = None,
    without: frozenset[str] = frozenset(),
) -> AsyncIterator[Theatre]:
    stage = Stage()
    workers = [
        WorkflowWorker(client, queues.WORKFLOWS, WORKFLOWS, cached_max=cached_max),
        *(
            ActivityWorker(client, queue, stage.activities(queue))
            for queue in (queues.OBSERVER, queues.DEPLOYER, queues.PROVISIONER, queues.AUTOSCALER)
            if queue not in without  # a real service works on it
        ),
    ]
    for worker in workers:
        await worker.start()
    try:
        yield Theatre(client, stage, environment)
    finally:
        await asyncio.gather(*(worker.stop() for worker in workers))


@pytest.fixture
async def theatre(time_skipping: WorkflowEnvironment) -> AsyncIterator[Theatre]:
    async with playing(time_skipping.client, cached_max=100, environment=time_skipping) as made:
        yield made


@pytest.fixture
async def replaying(time_skipping: WorkflowEnvironment) -> AsyncIterator[Theatre]:
    async with playing(time_skipping.client, cached_max=0, environment=time_skipping) as made:
        yield made


@pytest.fixture
async def real(temporal: TemporalServer) -> AsyncIterator[Theatre]:
    client = await connect(temporal.address, temporal.namespace)
    async with playing(client, cached_max=100) as made:
        yield made
