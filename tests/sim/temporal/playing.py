"""The product's workflows over a world of `tests.workflows.world`, in virtual time: what `tests.workflows.conftest` does on a real server.

One `Play` is one world with one server; it ends when everything that was started has ended.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from temporalio.client import WorkflowHandle

from shared.contracts import queues
from shared.contracts.provisioning import OperationResult
from tests.sim.temporal.conditions import Conditions, Service
from tests.sim.temporal.run import Run
from tests.sim.temporal.server import SimTemporal
from tests.workflows.world import Stage, World
from workflows.registry import WORKFLOWS

ACTIVITY_QUEUES = (queues.OBSERVER, queues.DEPLOYER, queues.PROVISIONER, queues.AUTOSCALER)
LOOK_S = 10.0
ENDED_S_MAX = 14 * 24 * 3600.0  # the longest that any workflow may hold, and then some


@dataclass
class Play:
    """`workflows` can be others than the product's, for planted bugs."""

    seed: int = 0
    conditions: Conditions | None = None
    workflows: Sequence[type] = WORKFLOWS
    host: Service = field(default_factory=Service)

    def __post_init__(self) -> None:
        self.random = Random(f"{self.seed}/play")
        self.server = SimTemporal(self.conditions or Conditions(Random(f"{self.seed}/temporal")))
        self.stage = Stage()
        self.server.add_workflows(queues.WORKFLOWS, self.workflows, self.host)
        for queue in ACTIVITY_QUEUES:
            self.server.add_activities(queue, self.stage.activities(queue), self.host)

    async def start(self, world: World, name: str, given: Any, workflow_id: str = "") -> WorkflowHandle[Any, Any]:
        self.stage.world = world
        handle: WorkflowHandle[Any, Any] = await self.server.client().start_workflow(
            name,
            args=[] if given is None else [given],
            id=workflow_id or f"{name}-1",
            task_queue=queues.WORKFLOWS,
            result_type=OperationResult,
        )
        world.cancel = handle.cancel
        return handle

    async def run(self, world: World, name: str, given: Any, workflow_id: str = "") -> OperationResult:
        handle = await self.start(world, name, given, workflow_id)
        async with asyncio.timeout(ENDED_S_MAX):
            result: OperationResult = await handle.result()
        return result

    async def settled(self) -> list[str]:
        """Until nothing runs any more; what still does after the longest time, and what went wrong with tasks and replays."""
        loop = asyncio.get_running_loop()
        until = loop.time() + ENDED_S_MAX
        while self.open and loop.time() < until and not self.server.problems:  # noqa: ASYNC110  virtual seconds
            await asyncio.sleep(LOOK_S)
        still = [f"{r.kind} {r.id} has not ended" for r in self.open]
        self.server.verify()
        problems = [*self.server.problems, *still]
        self.server.stop()
        return problems

    @property
    def open(self) -> list[Run]:
        return [r for runs in self.server.runs.values() for r in runs if r.open]

    @property
    def runs(self) -> list[Run]:
        """Every run there was."""
        return [r for runs in self.server.runs.values() for r in runs]
