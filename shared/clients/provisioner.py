"""The Provisioner's client."""

from collections.abc import AsyncIterator

import grpc
from headraceapi.provisioner.v1 import provisioner_pb2 as pb
from headraceapi.provisioner.v1.provisioner_pb2_grpc import ProvisionerServiceStub

from shared.contracts.dead_letters import DeadLetter, DeadLetters
from shared.contracts.node import Assignment, Routes
from shared.contracts.objects import ServerGroup
from shared.contracts.provisioning import DriftFinding, EnvironmentModel, GroupModel, PipelineModel
from shared.grpc.client import call
from shared.grpc.errors import from_wire

LETTERS_S_MAX = 30.0  # a topic is read for it


class ProvisionerClient:
    """Speaks contracts; every method raises HeadraceError."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        """`channel` comes from `shared.grpc.client.open_channel`."""
        self._stub = ProvisionerServiceStub(channel)

    async def group(self, name: str) -> GroupModel:
        """One group; NotFound when there is none."""
        return GroupModel.model_validate_json(
            (await call(self._stub.GetGroup, pb.GetGroupRequest(name=name))).group_json
        )

    async def inventory(self) -> tuple[list[GroupModel], list[PipelineModel]]:
        """All groups and pipelines, in one call."""
        answer = await call(self._stub.ListGroups, pb.ListGroupsRequest())
        return (
            [GroupModel.model_validate_json(g) for g in answer.group_json],
            [PipelineModel.model_validate_json(p) for p in answer.pipeline_json],
        )

    async def environments(self) -> list[EnvironmentModel]:
        """All environments."""
        answer = await call(self._stub.ListEnvironments, pb.ListEnvironmentsRequest())
        return [EnvironmentModel.model_validate_json(e) for e in answer.environment_json]

    async def drift(self, group: str = "", *, include_repaired: bool = False) -> list[DriftFinding]:
        """Drift findings."""
        answer = await call(self._stub.ListDrift, pb.ListDriftRequest(group=group, include_repaired=include_repaired))
        return [DriftFinding.model_validate_json(f) for f in answer.finding_json]

    async def dead_letters(
        self, pipeline: str, stage: str, limit: int = 100, reason: str = "", *, include_redriven: bool = False
    ) -> DeadLetters:
        """Of one stage, newest first."""
        request = pb.ListDeadLettersRequest(
            pipeline=pipeline, stage=stage, limit=limit, reason=reason, include_redriven=include_redriven
        )
        answer = await call(self._stub.ListDeadLetters, request, deadline_s=LETTERS_S_MAX)
        return DeadLetters.model_validate_json(answer.letters_json)

    async def dead_letter(self, pipeline: str, stage: str, offset: int) -> DeadLetter:
        """One, with its value."""
        request = pb.GetDeadLetterRequest(pipeline=pipeline, stage=stage, offset=offset)
        answer = await call(self._stub.GetDeadLetter, request, deadline_s=LETTERS_S_MAX)
        return DeadLetter.model_validate_json(answer.letter_json)

    async def routes(self, group: str) -> Routes:
        """A group's routes."""
        answer = await call(self._stub.GetRoutes, pb.GetRoutesRequest(group=group))
        return Routes.model_validate_json(answer.routes_json)

    async def watch_routes(self, group: str, generation: int = 0) -> AsyncIterator[tuple[Routes, Assignment | None]]:
        """Routes and assignment now and whenever they change."""
        try:
            async for item in self._stub.WatchRoutes(pb.WatchRoutesRequest(group=group, generation=generation)):
                assignment = Assignment.model_validate_json(item.assignment_json) if item.assignment_json else None
                yield Routes.model_validate_json(item.routes_json), assignment
        except grpc.aio.AioRpcError as e:
            raise from_wire(e, "WatchRoutes") from None

    async def ramp(self, pipeline: str) -> tuple[int, str]:
        """Percent admitted, and what the ramp waits for."""
        answer = await call(self._stub.GetRamp, pb.GetRampRequest(pipeline=pipeline))
        return answer.percent, answer.detail

    async def plan_group(self, spec: ServerGroup) -> tuple[list[str], list[str]]:
        """Changes and warnings, one line each."""
        answer = await call(self._stub.PlanGroup, pb.PlanGroupRequest(spec_json=spec.model_dump_json()))
        return list(answer.changes), list(answer.warnings)
