"""The gRPC face of the operations: questions of other services and of nodes."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
from headraceapi.provisioner.v1 import provisioner_pb2 as pb
from headraceapi.provisioner.v1.provisioner_pb2_grpc import (
    JoinServiceServicer,
    ProvisionerServiceServicer,
    add_JoinServiceServicer_to_server,
    add_ProvisionerServiceServicer_to_server,
)

from services.provisioner.operations.dead_letters import DeadLetterOffice
from services.provisioner.operations.drifting import Drifting
from services.provisioner.operations.environments import Environments
from services.provisioner.operations.group_plans import GroupPlans
from services.provisioner.operations.groups import Groups
from services.provisioner.operations.joining import Joining, JoinRequest
from services.provisioner.operations.pipelines import Pipelines
from services.provisioner.operations.routing import Published, Routing
from services.provisioner.operations.translation import assignment, groups_called
from shared.contracts.node import KafkaAccess
from shared.contracts.objects import ServerGroup
from shared.domain.errors import Denied, InvalidInput
from shared.domain.names import GroupName
from shared.grpc.identity import Identity, peer_identity

SERVICE = "headraceapi.provisioner.v1.ProvisionerService"
ALLOWED = {
    SERVICE: frozenset({"service/*"}),
    f"{SERVICE}/GetRoutes": frozenset({"service/*", "node/*"}),
    f"{SERVICE}/WatchRoutes": frozenset({"service/*", "node/*"}),
}


class ProvisionerApi(ProvisionerServiceServicer):
    """`ProvisionerService`."""

    def __init__(  # noqa: PLR0913  one operation each
        self,
        groups: Groups,
        plans: GroupPlans,
        pipelines: Pipelines,
        environments: Environments,
        routing: Routing,
        drifting: Drifting,
        joining: Joining,
        office: DeadLetterOffice,
        kafka: KafkaAccess,
    ) -> None:
        """One for the whole service."""
        self._groups = groups
        self._plans = plans
        self._pipelines = pipelines
        self._environments = environments
        self._routing = routing
        self._drifting = drifting
        self._joining = joining
        self._office = office
        self._kafka = kafka

    def add_to(self, server: grpc.aio.Server) -> None:
        """Register."""
        add_ProvisionerServiceServicer_to_server(self, server)

    async def GetGroup(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802  generated names
        """One group."""
        return pb.GetGroupResponse(group_json=(await self._groups.get(request.name)).model_dump_json())

    async def ListGroups(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        """All groups and pipelines."""
        return pb.ListGroupsResponse(
            group_json=[g.model_dump_json() for g in await self._groups.all()],
            pipeline_json=[p.model_dump_json() for p in await self._pipelines.all()],
        )

    async def ListEnvironments(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        """All environments."""
        return pb.ListEnvironmentsResponse(
            environment_json=[e.model_dump_json() for e in await self._environments.all()]
        )

    async def ListDrift(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        """Drift findings."""
        found = await self._drifting.list(request.group, include_repaired=request.include_repaired)
        return pb.ListDriftResponse(finding_json=[f.model_dump_json() for f in found])

    async def ListDeadLetters(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        """Of one stage, newest first."""
        found = await self._office.list(
            request.pipeline,
            request.stage,
            request.limit,
            request.reason,
            include_redriven=request.include_redriven,
        )
        return pb.ListDeadLettersResponse(letters_json=found.model_dump_json())

    async def GetDeadLetter(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        """One, with its value."""
        letter = await self._office.get(request.pipeline, request.stage, request.offset)
        return pb.GetDeadLetterResponse(letter_json=letter.model_dump_json())

    async def GetRoutes(self, request: Any, context: Any) -> Any:  # noqa: N802
        """A group's routes."""
        await self._may_read(peer_identity(context), request.group)
        published = await self._routing.published(GroupName(request.group))
        return pb.GetRoutesResponse(routes_json=published.document)

    async def WatchRoutes(self, request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        """Routes, and for a node its assignment, now and whenever they change."""
        caller = peer_identity(context)
        await self._may_read(caller, request.group)
        await context.send_initial_metadata(())  # who resumes from the current generation hears that it is connected
        async for published in self._routing.watch(GroupName(request.group), request.generation):
            yield pb.WatchRoutesResponse(
                routes_json=published.document,
                assignment_json=await self._assignment_json(caller, published),
            )

    async def GetRamp(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        """A pipeline's ramp."""
        pipeline = await self._pipelines.get(request.pipeline)
        return pb.GetRampResponse(percent=pipeline.ramp_percent, detail=pipeline.detail)

    async def PlanGroup(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        """What would be made or changed."""
        try:
            spec = ServerGroup.model_validate_json(request.spec_json)
        except ValueError as e:
            raise InvalidInput(f"spec_json: {e}", field="spec_json") from e
        changes, warnings = await self._plans.preview(spec)
        return pb.PlanGroupResponse(changes=changes, warnings=warnings)

    async def _may_read(self, caller: Identity, group: str) -> None:
        """A node reads the routes of its own group, and of the transform groups that its own group calls."""
        if caller.kind != "node" or caller.group == group:
            return
        own = await self._routing.published(GroupName(caller.group))
        if group not in groups_called(own.group, own.pipeline):
            raise Denied(
                f"{caller} asks for group {group}", remedy="a node may ask for its own group and those that it calls"
            )

    async def _assignment_json(self, caller: Identity, published: Published) -> str:
        if caller.kind != "node":
            return ""
        fleet = await self._joining.fleet_of(caller.group, caller.name)
        if fleet is None or caller.group != published.group.name:
            return ""
        return assignment(published.group, fleet, published.pipeline, self._kafka).model_dump_json()


class JoinApi(JoinServiceServicer):
    """`JoinService`: its callers have no certificate yet."""

    def __init__(self, joining: Joining) -> None:
        """One for the whole service."""
        self._joining = joining

    def add_to(self, server: grpc.aio.Server) -> None:
        """Register."""
        add_JoinServiceServicer_to_server(self, server)

    async def Join(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        """Trade a token for a certificate."""
        joined = await self._joining.join(
            JoinRequest(request.token, request.instance_id, request.group, request.fleet, request.csr_pem)
        )
        return pb.JoinResponse(
            certificate_pem=joined.certificate_pem,
            assignment_json=joined.assignment.model_dump_json(),
            routes_json=joined.routes.model_dump_json(),
        )
