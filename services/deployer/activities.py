"""The Temporal face of the Deployer: every `deployer.*` of `shared.contracts.activities`."""

from collections.abc import Callable
from typing import Any

from temporalio import activity

from services.deployer.operations.deployments import Deployments
from services.deployer.operations.judging import Judging
from shared.contracts.activities import Nothing
from shared.contracts.deployment import (
    CloseDeploymentInput,
    JudgeInput,
    Judgement,
    OpenDeploymentInput,
    OpenedDeployment,
    RecordStepInput,
)
from shared.contracts.provisioning import Revision


class DeployerActivities:
    """Methods to register with a worker."""

    def __init__(self, deployments: Deployments, judging: Judging) -> None:
        """The operations behind them."""
        self._deployments, self._judging = deployments, judging

    def all(self) -> list[Callable[..., Any]]:
        """Everything that a worker registers."""
        return [self.open_deployment, self.record_step, self.judge, self.close_deployment, self.first_revision]

    @activity.defn(name="deployer.open_deployment")
    async def open_deployment(self, given: OpenDeploymentInput) -> OpenedDeployment:
        """The plan, or why there is none."""
        return await self._deployments.open(given)

    @activity.defn(name="deployer.record_step")
    async def record_step(self, given: RecordStepInput) -> Nothing:
        """Intent before, result after."""
        await self._deployments.record_step(given)
        return Nothing()

    @activity.defn(name="deployer.judge")
    async def judge(self, given: JudgeInput) -> Judgement:
        """New against old."""
        return await self._judging.judge(given)

    @activity.defn(name="deployer.close_deployment")
    async def close_deployment(self, given: CloseDeploymentInput) -> Nothing:
        """How it ended."""
        await self._deployments.close(given)
        return Nothing()

    @activity.defn(name="deployer.first_revision")
    async def first_revision(self, given: Revision) -> Revision:
        """What a new group starts with."""
        return await self._deployments.first_revision_of(given)
