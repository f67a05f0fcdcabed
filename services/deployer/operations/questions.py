"""Answers about deployments and revisions."""

from services.deployer.domain.ports import Store
from services.deployer.domain.revision import RevisionRecord
from services.deployer.operations.contract import deployment_to
from shared.contracts.deployment import DeploymentModel
from shared.domain.names import DeploymentId, GroupName

PAGE_MAX = 200


class Questions:
    """Over the store."""

    def __init__(self, store: Store) -> None:
        """The port."""
        self._store = store

    async def deployment(self, deployment: str) -> DeploymentModel:
        """One, with its judgements; NotFound."""
        found = await self._store.deployment(DeploymentId(deployment))
        return deployment_to(found, await self._store.analyses(found.id))

    async def deployments(self, group: str, limit: int) -> list[DeploymentModel]:
        """Newest first, each with its judgements."""
        wanted = min(limit, PAGE_MAX) if limit > 0 else PAGE_MAX
        found = await self._store.deployments(GroupName(group) if group else None, wanted)
        return [deployment_to(d, await self._store.analyses(d.id)) for d in found]

    async def revisions(self, group: str) -> list[RevisionRecord]:
        """Newest first."""
        return list(await self._store.revisions(GroupName(group)))
