"""The Deployer's client."""

from dataclasses import dataclass

import grpc
from headraceapi.deployer.v1 import deployer_pb2 as pb
from headraceapi.deployer.v1.deployer_pb2_grpc import DeployerServiceStub

from shared.contracts.deployment import DeploymentModel
from shared.contracts.provisioning import Revision
from shared.grpc.client import call


@dataclass(frozen=True, slots=True)
class RevisionRow:
    """A revision with what became of it; `made_at` is seconds since the epoch."""

    revision: Revision
    bad: bool
    made_at: float


class DeployerClient:
    """Speaks contracts; every method raises HeadraceError."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        """`channel` comes from `shared.grpc.client.open_channel`."""
        self._stub = DeployerServiceStub(channel)

    async def deployment(self, deployment_id: str) -> DeploymentModel:
        """One deployment."""
        answer = await call(self._stub.GetDeployment, pb.GetDeploymentRequest(id=deployment_id))
        return DeploymentModel.model_validate_json(answer.deployment_json)

    async def deployments(self, group: str = "", limit: int = 50) -> list[DeploymentModel]:
        """Deployments, newest first."""
        answer = await call(self._stub.ListDeployments, pb.ListDeploymentsRequest(group=group, page_size=limit))
        return [DeploymentModel.model_validate_json(d) for d in answer.deployment_json]

    async def revisions(self, group: str) -> list[RevisionRow]:
        """A group's revisions, newest first."""
        answer = await call(self._stub.ListRevisions, pb.ListRevisionsRequest(group=group))
        return [RevisionRow(Revision.model_validate_json(r.revision_json), r.bad, r.made_at) for r in answer.revisions]
