"""Pipelines: their graph checked, their topics made, their stages seated on groups. The ramp is `routing`'s."""

from services.provisioner.domain.pipeline import check_pipeline, own_topics_of, seats_of, topics_of
from services.provisioner.domain.ports import Topics
from services.provisioner.domain.stores import GroupStore, PipelineStore
from services.provisioner.operations.routing import Routing
from services.provisioner.operations.translation import pipeline_intent, pipeline_model
from shared.contracts.provisioning import PipelineInput, PipelineModel
from shared.domain.errors import NotFound
from shared.domain.names import PipelineName


class Pipelines:
    """Pipelines."""

    def __init__(self, groups: GroupStore, pipelines: PipelineStore, topics: Topics, routing: Routing) -> None:
        """One for the whole service."""
        self._groups = groups
        self._pipelines = pipelines
        self._topics = topics
        self._routing = routing

    async def get(self, name: str) -> PipelineModel:
        """One pipeline."""
        state = await self._pipelines.get(PipelineName(name))
        if state is None:
            raise NotFound(f"pipeline {name}: there is none", remedy="`headrace get pipelines` lists them")
        return pipeline_model(state)

    async def all(self) -> tuple[PipelineModel, ...]:
        """Every pipeline."""
        return tuple(pipeline_model(p) for p in await self._pipelines.all())

    async def register(self, request: PipelineInput) -> PipelineModel:
        """Check, make topics, keep, seat, tell the nodes. A new pipeline admits nothing until its ramp begins."""
        intent = pipeline_intent(request.spec, request.generation)
        groups = await self._groups.all()
        check_pipeline(
            intent,
            {g.name: g.intent.kind for g in groups},
            {g.name: g.seat for g in groups if g.seat},
        )
        await self._topics.ensure(topics_of(intent))
        state = await self._pipelines.register(intent)
        seats = seats_of(intent)
        freed = await self._groups.seat(intent.name, seats)
        phase = "READY" if state.ramp_percent == 100 else "RAMPING"  # noqa: PLR2004
        await self._pipelines.set_phase(intent.name, phase, "")
        await self._routing.publish({*freed, *seats})
        return await self.get(intent.name)

    async def remove(self, name: str) -> None:
        """Free its groups, delete its own topics (never a sink's), forget it. One that is gone is done."""
        state = await self._pipelines.get(PipelineName(name))
        if state is None:
            return
        await self._pipelines.set_phase(state.intent.name, "DELETING", "")
        freed = await self._groups.seat(state.intent.name, {})
        await self._routing.publish(freed)
        await self._topics.remove(own_topics_of(state.intent))
        await self._pipelines.remove(state.intent.name)
