"""Pipelines in the world of rollouts: one of two stages, topics as a table, events that wait for whoever consumes them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from services.observer.domain.evidence import BrokerReading, Inventory, Offsets
from services.provisioner.adapters.memory import MemoryPipelines
from services.provisioner.domain.pipeline import PipelineState, TopicPlan
from shared.domain.errors import InvalidInput
from shared.domain.names import PipelineName
from tests.sim.invariants.pipelines import Ramping
from tests.sim.world.plant import Plant
from tests.sim.world.serving import Serving

PIPELINE, EDGE, CONSUMER = "p", "b", "a"  # the pipeline, the group that takes events in, the one that consumes them
STAGES: Mapping[str, str] = {"first": EDGE, "second": CONSUMER}
PARTITIONS = 12
PERCENTS = (10, 50, 100)


def declared_pipeline(bake_s: float) -> dict[str, Any]:
    """As people declare it."""
    return {
        "kind": "pipeline", "name": PIPELINE, "partitions": PARTITIONS,
        "stages": [
            {"name": "first", "group": EDGE, "work": {"type": "ingest"}},
            {"name": "second", "group": CONSUMER, "work": {"type": "transform"}},
        ],
        "edges": [{"source": "first", "target": "second"}],
        "ramp": {"percents": list(PERCENTS), "bake_s": bake_s},
    }  # fmt: skip


class SimTopics:
    """The Provisioner's `Topics`: partitions by name. A test holds it to the real broker."""

    def __init__(self) -> None:
        self.there: dict[str, int] = {}

    async def ensure(self, topics: Sequence[TopicPlan]) -> None:
        """See the port."""
        for topic in topics:
            if not topic.as_it_is and self.there.get(topic.name, 0) > topic.partitions:
                raise InvalidInput(
                    f"topic {topic.name}: it has {self.there[topic.name]} partitions", field="partitions"
                )
        for topic in topics:
            if topic.name not in self.there or not topic.as_it_is:
                self.there[topic.name] = topic.partitions

    async def remove(self, names: Sequence[str]) -> None:
        """See the port."""
        for name in names:
            self.there.pop(name, None)

    async def remove_below(self, prefix: str) -> None:
        """See the port."""
        await self.remove([name for name in self.there if name.startswith(prefix)])


class WatchedPipelines(MemoryPipelines):
    """The store, and somebody who is told of each percent that is written."""

    def __init__(self, tell: Callable[[Ramping], None]) -> None:
        super().__init__()
        self._tell = tell

    def state(self, name: str = PIPELINE) -> PipelineState | None:
        """As it is, past every port."""
        return self._pipelines.get(PipelineName(name))

    async def set_ramp(self, name: PipelineName, percent: int) -> None:
        """See the port."""
        known = self._pipelines.get(name)
        if known is not None:
            self._tell(Ramping(name, known.ramp_percent, percent, PERCENTS))
        await super().set_ramp(name, percent)


class ServingBroker:
    """The Observer's `BrokerSource`: end and committed offsets of whoever consumes a topic."""

    def __init__(self, plant: Plant, serving: Serving, true_s: Callable[[], float]) -> None:
        self._plant, self._serving, self._true_s = plant, serving, true_s

    async def read(self, inventory: Inventory) -> BrokerReading:
        """A group that consumes nothing is in neither mapping."""
        at, demand = self._true_s(), self._serving.demand
        consume = sorted(name for name, facts in inventory.groups.items() if facts.topic_in and name in demand)
        if self._plant.is_ill("", "broker"):
            return BrokerReading(at, failed=dict.fromkeys(consume, "no answer"))
        return BrokerReading(
            at, {g: Offsets({0: int(demand[g].produced)}, {0: int(demand[g].finished)}) for g in consume}
        )
