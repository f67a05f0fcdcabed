"""The Autoscaler's client."""

import grpc
from headraceapi.autoscaler.v1 import autoscaler_pb2 as pb
from headraceapi.autoscaler.v1.autoscaler_pb2_grpc import AutoscalerServiceStub

from shared.contracts.rating import RatingModel
from shared.contracts.scaling import DecisionModel, ReleaseInput, ReserveAnswer, ReserveInput
from shared.grpc.client import call

RESERVE_DEADLINE_S = 15.0


class AutoscalerClient:
    """Speaks contracts; every method raises HeadraceError."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        """`channel` comes from `shared.grpc.client.open_channel`."""
        self._stub = AutoscalerServiceStub(channel)

    async def explain(self, group: str) -> tuple[DecisionModel, float | None, dict[str, int]]:
        """The newest decision, the measured node rate (messages/s), the floors held."""
        answer = await call(self._stub.Explain, pb.ExplainRequest(group=group))
        rate = answer.node_rate if answer.HasField("node_rate") else None
        return DecisionModel.model_validate_json(answer.decision_json), rate, dict(answer.floors)

    async def reserve(self, request: ReserveInput) -> ReserveAnswer:
        """A floor and a share of one fleet."""
        answer = await call(
            self._stub.Reserve, pb.ReserveRequest(reserve_json=request.model_dump_json()), RESERVE_DEADLINE_S
        )
        return ReserveAnswer.model_validate_json(answer.answer_json)

    async def release(self, request: ReleaseInput) -> None:
        """Give floors and shares back."""
        await call(
            self._stub.Release,
            pb.ReleaseRequest(group=request.group, activity_id=request.activity_id, token=request.token),
        )

    async def recommend(
        self, group: str, arrival_rate: float, backlog: float, cpu_percent: float | None = None
    ) -> DecisionModel:
        """What it would do on these numbers."""
        wire = pb.RecommendRequest(group=group, arrival_rate=arrival_rate, backlog=backlog)
        if cpu_percent is not None:
            wire.cpu_percent = cpu_percent
        return DecisionModel.model_validate_json((await call(self._stub.Recommend, wire)).decision_json)

    async def decisions(self, group: str, limit: int = 50) -> list[DecisionModel]:
        """Decisions, newest first."""
        answer = await call(self._stub.ListDecisions, pb.ListDecisionsRequest(group=group, page_size=limit))
        return [DecisionModel.model_validate_json(d) for d in answer.decision_json]

    async def ratings(self, group: str, limit: int = 20) -> list[RatingModel]:
        """What one node was found to sustain, newest first."""
        answer = await call(self._stub.ListRatings, pb.ListRatingsRequest(group=group, page_size=limit))
        return [RatingModel.model_validate_json(r) for r in answer.rating_json]
