"""The Temporal face of the operations: every `provisioner.*` row of `shared.contracts.activities`.

A beat goes out while an activity works, so that a worker that died is noticed within seconds and a cancel is heard.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from temporalio import activity

from services.provisioner.operations.copies import Copies
from services.provisioner.operations.dead_letters import DeadLetterOffice
from services.provisioner.operations.drifting import Drifting
from services.provisioner.operations.environments import Environments
from services.provisioner.operations.groups import Groups
from services.provisioner.operations.pipelines import Pipelines
from services.provisioner.operations.routing import Routing
from services.provisioner.operations.sweeping import Sweeping
from shared.contracts import provisioning as p
from shared.contracts.activities import NamedEnvironment, NamedGroup, NamedPipeline, Nothing, SweepReport
from shared.contracts.dead_letters import RedriveInput, RedriveReport
from shared.contracts.rating import AddCopyInput, CopyModel, DriveAnswer, DriveInput
from shared.domain.clock import Clock

BEAT_S = 2.0
Result = TypeVar("Result")


class ProvisionerActivities:
    """Methods that a worker registers."""

    def __init__(  # noqa: PLR0913  one operation each
        self,
        groups: Groups,
        copies: Copies,
        pipelines: Pipelines,
        environments: Environments,
        routing: Routing,
        drifting: Drifting,
        sweeping: Sweeping,
        office: DeadLetterOffice,
        clock: Clock,
    ) -> None:
        """One for the whole service."""
        self._groups = groups
        self._copies = copies
        self._pipelines = pipelines
        self._environments = environments
        self._routing = routing
        self._drifting = drifting
        self._sweeping = sweeping
        self._office = office
        self._clock = clock

    def all(self) -> list[Callable[..., Any]]:
        """Every activity, for the worker."""
        return [
            self.register_group,
            self.get_group,
            self.apply_group,
            self.remove_group,
            self.add_fleet,
            self.remove_fleet,
            self.wait_members,
            self.set_weights,
            self.set_ramp,
            self.register_pipeline,
            self.get_pipeline,
            self.remove_pipeline,
            self.build_environment,
            self.get_environment,
            self.remove_environment,
            self.check_drift,
            self.repair_drift,
            self.redrive_dead_letters,
            self.add_copy,
            self.drive_step,
            self.sweep,
        ]

    async def _beating(self, work: Coroutine[Any, Any, Result]) -> Result:
        task = asyncio.ensure_future(work)
        try:
            while not task.done():
                activity.heartbeat()
                resting = asyncio.ensure_future(self._clock.sleep(BEAT_S))
                await asyncio.wait({task, resting}, return_when=asyncio.FIRST_COMPLETED)
                resting.cancel()
            return await task
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            raise

    @activity.defn(name="provisioner.register_group")
    async def register_group(self, request: p.RegisterGroupInput) -> p.GroupModel:
        """Keep the intent."""
        return await self._groups.register(request)

    @activity.defn(name="provisioner.get_group")
    async def get_group(self, request: NamedGroup) -> p.GroupModel:
        """One group."""
        return await self._groups.get(request.group)

    @activity.defn(name="provisioner.apply_group")
    async def apply_group(self, request: p.GroupStackInput) -> p.StackResult:
        """The stack as registered."""
        return await self._beating(self._groups.apply(request))

    @activity.defn(name="provisioner.remove_group")
    async def remove_group(self, request: p.GroupStackInput) -> p.StackResult:
        """The whole group goes."""
        return await self._beating(self._groups.remove(request))

    @activity.defn(name="provisioner.add_fleet")
    async def add_fleet(self, request: p.AddFleetInput) -> p.StackResult:
        """One more fleet."""
        return await self._beating(self._groups.add_fleet(request))

    @activity.defn(name="provisioner.remove_fleet")
    async def remove_fleet(self, request: p.RemoveFleetInput) -> p.StackResult:
        """One fleet less."""
        return await self._beating(self._groups.remove_fleet(request))

    @activity.defn(name="provisioner.wait_members")
    async def wait_members(self, request: p.WaitMembersInput) -> p.MembersState:
        """Until members are in service; every look is the heartbeat's detail."""
        return await self._groups.wait_members(request, activity.heartbeat)

    @activity.defn(name="provisioner.set_weights")
    async def set_weights(self, request: p.SetWeightsInput) -> Nothing:
        """Which fleets take traffic."""
        return await _nothing(self._routing.set_weights(request))

    @activity.defn(name="provisioner.set_ramp")
    async def set_ramp(self, request: p.SetRampInput) -> Nothing:
        """Share of buckets admitted."""
        return await _nothing(self._routing.set_ramp(request))

    @activity.defn(name="provisioner.register_pipeline")
    async def register_pipeline(self, request: p.PipelineInput) -> p.PipelineModel:
        """Topics and seats."""
        return await self._beating(self._pipelines.register(request))

    @activity.defn(name="provisioner.get_pipeline")
    async def get_pipeline(self, request: NamedPipeline) -> p.PipelineModel:
        """One pipeline."""
        return await self._pipelines.get(request.pipeline)

    @activity.defn(name="provisioner.remove_pipeline")
    async def remove_pipeline(self, request: NamedPipeline) -> Nothing:
        """It goes."""
        return await _nothing(self._beating(self._pipelines.remove(request.pipeline)))

    @activity.defn(name="provisioner.build_environment")
    async def build_environment(self, request: p.BuildEnvironmentInput) -> p.EnvironmentModel:
        """Resolve, build, publish."""
        return await self._beating(self._environments.build(request))

    @activity.defn(name="provisioner.get_environment")
    async def get_environment(self, request: NamedEnvironment) -> p.EnvironmentModel:
        """One environment."""
        return await self._environments.get(request.environment)

    @activity.defn(name="provisioner.remove_environment")
    async def remove_environment(self, request: NamedEnvironment) -> Nothing:
        """It goes."""
        return await _nothing(self._environments.remove(request.environment))

    @activity.defn(name="provisioner.check_drift")
    async def check_drift(self, request: Nothing) -> p.DriftReport:  # noqa: ARG002  the contract's input
        """Describe and compare."""
        return await self._beating(self._drifting.check())

    @activity.defn(name="provisioner.repair_drift")
    async def repair_drift(self, request: p.RepairDriftInput) -> p.StackResult:
        """Set back what is ours."""
        return await self._beating(self._drifting.repair(request))

    @activity.defn(name="provisioner.redrive_dead_letters")
    async def redrive_dead_letters(self, request: RedriveInput) -> RedriveReport:
        """To their stage again; repeated, it sends what is left."""
        return await self._beating(self._office.redrive(request))

    @activity.defn(name="provisioner.add_copy")
    async def add_copy(self, request: AddCopyInput) -> CopyModel:
        """One node beside the group."""
        return await self._beating(self._copies.add(request))

    @activity.defn(name="provisioner.drive_step")
    async def drive_step(self, request: DriveInput) -> DriveAnswer:
        """Load on the copy; repeated, the step is driven again."""
        return await self._beating(self._copies.drive(request))

    @activity.defn(name="provisioner.sweep")
    async def sweep(self, request: Nothing) -> SweepReport:  # noqa: ARG002  the contract's input
        """What was left behind."""
        return await self._beating(self._sweeping.sweep())


async def _nothing(work: Awaitable[None]) -> Nothing:
    await work
    return Nothing()
