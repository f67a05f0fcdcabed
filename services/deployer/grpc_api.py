"""The gRPC face of the Deployer; the interceptor of `shared.grpc.server` maps what is raised."""

from typing import Any

import grpc
from headraceapi.deployer.v1 import deployer_pb2 as pb
from headraceapi.deployer.v1.deployer_pb2_grpc import DeployerServiceServicer, add_DeployerServiceServicer_to_server

from services.deployer.operations.contract import revision_to
from services.deployer.operations.judging import Judging
from services.deployer.operations.questions import Questions
from shared.contracts.deployment import SampleModel
from shared.domain.names import checked_name

SERVICE = "headraceapi.deployer.v1.DeployerService"
ALLOWED = {SERVICE: frozenset({"service/*"})}


class DeployerApi(DeployerServiceServicer):
    """The service's RPCs."""

    def __init__(self, questions: Questions, judging: Judging) -> None:
        """The operations behind them."""
        self._questions, self._judging = questions, judging

    def add_to(self, server: grpc.aio.Server) -> None:
        """Register with a server."""
        add_DeployerServiceServicer_to_server(self, server)

    async def GetDeployment(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802  names come from the .proto
        """One deployment."""
        found = await self._questions.deployment(request.id)
        return pb.GetDeploymentResponse(deployment_json=found.model_dump_json())

    async def ListDeployments(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        """Deployments, newest first."""
        group = checked_name(request.group, "group") if request.group else ""
        found = await self._questions.deployments(group, request.page_size)
        return pb.ListDeploymentsResponse(deployment_json=[d.model_dump_json() for d in found])

    async def ListRevisions(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        """A group's revisions, newest first."""
        rows = await self._questions.revisions(checked_name(request.group, "group"))
        return pb.ListRevisionsResponse(
            revisions=[
                pb.RevisionRow(revision_json=revision_to(r.revision).model_dump_json(), bad=r.bad, made_at=r.made_at)
                for r in rows
            ]
        )

    async def Judge(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        """What the judge would say to given samples."""
        judged = self._judging.dry_run(_sample(request.new), _sample(request.old), request.error_ratio_max)
        return pb.JudgeResponse(judgement_json=judged.model_dump_json())


def _sample(wire: Any) -> SampleModel:
    return SampleModel(
        fleet=wire.fleet,
        processed=wire.processed,
        failed=wire.failed,
        seconds_per_message=wire.seconds_per_message if wire.HasField("seconds_per_message") else None,
        nodes=wire.nodes,
    )
