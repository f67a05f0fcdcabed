"""The gRPC face of the Autoscaler; the interceptor of `shared.grpc.server` maps what is raised."""

from typing import Any

import grpc
from headraceapi.autoscaler.v1 import autoscaler_pb2 as pb
from headraceapi.autoscaler.v1.autoscaler_pb2_grpc import (
    AutoscalerServiceServicer,
    add_AutoscalerServiceServicer_to_server,
)

from services.autoscaler.operations.contract import decision_model
from services.autoscaler.operations.questions import Questions
from services.autoscaler.operations.rate import Rates
from services.autoscaler.operations.reserve import Reservations
from shared.contracts.scaling import ReleaseInput, ReserveInput
from shared.domain.names import GroupName, checked_name

SERVICE = "headraceapi.autoscaler.v1.AutoscalerService"
_READERS = frozenset({"service/*"})
_HOLDERS = frozenset({"service/deployer", "service/provisioner", "service/workflows"})
ALLOWED = {
    f"{SERVICE}/Explain": _READERS,
    f"{SERVICE}/Recommend": _READERS,
    f"{SERVICE}/ListDecisions": _READERS,
    f"{SERVICE}/ListRatings": _READERS,
    f"{SERVICE}/Reserve": _HOLDERS,
    f"{SERVICE}/Release": _HOLDERS,
}


class AutoscalerApi(AutoscalerServiceServicer):
    """The service's RPCs."""

    def __init__(self, questions: Questions, reservations: Reservations, rates: Rates) -> None:
        """The operations behind them."""
        self._questions, self._reservations, self._rates = questions, reservations, rates

    def add_to(self, server: grpc.aio.Server) -> None:
        """Register with a server."""
        add_AutoscalerServiceServicer_to_server(self, server)

    async def Explain(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802  names come from the .proto
        """Why a group has the size it has."""
        found = await self._questions.explain(_group(request.group))
        model = decision_model(found.decision, found.outcome)
        answer = pb.ExplainResponse(decision_json=model.model_dump_json(), floors=dict(found.floors))
        if found.node_rate is not None:
            answer.node_rate = found.node_rate
        return answer

    async def Reserve(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        """A floor and a share of one fleet."""
        answer = await self._reservations.reserve(ReserveInput.model_validate_json(request.reserve_json))
        return pb.ReserveResponse(answer_json=answer.model_dump_json())

    async def Release(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        """Floors and shares of an activity back."""
        group = _group(request.group)
        await self._reservations.release(
            ReleaseInput(group=group, activity_id=request.activity_id, token=request.token)
        )
        return pb.ReleaseResponse()

    async def Recommend(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        """What it would do on given numbers."""
        cpu = request.cpu_percent if request.HasField("cpu_percent") else None
        decision = await self._questions.recommend(_group(request.group), request.arrival_rate, request.backlog, cpu)
        return pb.RecommendResponse(decision_json=decision_model(decision).model_dump_json())

    async def ListDecisions(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        """Decisions, newest first."""
        rows = await self._questions.decisions(_group(request.group), request.page_size)
        return pb.ListDecisionsResponse(
            decision_json=[decision_model(decision, outcome).model_dump_json() for decision, outcome in rows]
        )

    async def ListRatings(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        """Ratings, newest first."""
        found = await self._rates.list(_group(request.group), request.page_size)
        return pb.ListRatingsResponse(rating_json=[r.model_dump_json() for r in found])


def _group(name: str) -> GroupName:
    return GroupName(checked_name(name, "group"))
