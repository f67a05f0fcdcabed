"""The user's objects as every part reads them: environments, server groups, pipelines (intent, not status).

The SDK, REST and the CLI use the same names and fields. Durations are seconds (`_s`).
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from shared.contracts.base import Declared, Name
from shared.contracts.serving import KIND_OF_SERVING, GroupServing
from shared.contracts.works import (
    STAGES_MAX,
    Enrich,
    HttpIngest,
    HttpSink,
    Normalize,
    RetryPolicy,
    Route,
    TopicSink,
    Transform,
    Transmit,
    Work,
    check_routes,
)

__all__ = [
    "AnyObject",
    "Autoscaling",
    "BlueGreen",
    "Canary",
    "CpuTarget",
    "Declared",
    "Edge",
    "Enrich",
    "Environment",
    "HttpIngest",
    "HttpSink",
    "InPlace",
    "LagTarget",
    "MetricTarget",
    "Normalize",
    "ObjectMeta",
    "Pipeline",
    "ProvisionedScaling",
    "Ramp",
    "RetryPolicy",
    "Rolling",
    "Rollout",
    "Route",
    "Scaling",
    "ServerGroup",
    "Slo",
    "Stage",
    "Target",
    "TopicSink",
    "Transform",
    "Transmit",
    "find_cycle",
]

NODES_MAX = 500
LABELS_MAX = 64
FleetSize = Annotated[int, Field(ge=0, le=NODES_MAX)]


class ObjectMeta(Declared):
    """What every object has."""

    name: Name
    workspace: Name = "default"
    owner: str = Field(default="", max_length=200)
    description: str = Field(default="", max_length=2000)
    labels: dict[str, str] = Field(default_factory=dict, max_length=LABELS_MAX)
    prevent_destroy: bool = False


class Environment(ObjectMeta):
    """An immutable set of dependencies; `requirements` is the text of a requirements file."""

    kind: Literal["environment"] = "environment"
    requirements: str = Field(max_length=100_000)
    python: str = "3.11"


class LagTarget(Declared):
    """Keep lag under `seconds`."""

    type: Literal["lag"] = "lag"
    seconds: float = Field(gt=0)


class CpuTarget(Declared):
    """Keep CPU near `percent`."""

    type: Literal["cpu"] = "cpu"
    percent: float = Field(gt=0, le=100)


class MetricTarget(Declared):
    """Keep a named Prometheus metric per node near `value`."""

    type: Literal["metric"] = "metric"
    metric: str
    value: float = Field(gt=0)


Target = Annotated[LagTarget | CpuTarget | MetricTarget, Field(discriminator="type")]


class ProvisionedScaling(Declared):
    """A fixed number of nodes."""

    type: Literal["provisioned"] = "provisioned"
    desired_nodes: FleetSize


class Autoscaling(Declared):
    """Between `min_nodes` and `max_nodes`, sized by demand over measured capacity, and by targets."""

    type: Literal["autoscaling"] = "autoscaling"
    min_nodes: FleetSize
    max_nodes: FleetSize
    targets: tuple[Target, ...] = ()
    utilization: float = Field(default=0.8, gt=0, le=1)  # share of measured capacity to plan for
    node_rate: float | None = Field(default=None, gt=0)  # messages/s one node sustains, until it has been measured
    scale_in_after_s: float = Field(default=900.0, ge=0)

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if self.min_nodes > self.max_nodes:
            msg = f"min_nodes {self.min_nodes} is above max_nodes {self.max_nodes}: lower min_nodes or raise max_nodes"
            raise ValueError(msg)
        return self


Scaling = Annotated[ProvisionedScaling | Autoscaling, Field(discriminator="type")]


class Rolling(Declared):
    """New fleet in growing shares of the group; each share is baked and judged."""

    type: Literal["rolling"] = "rolling"
    percents: tuple[Annotated[int, Field(ge=1, le=100)], ...] = (25, 50, 100)
    bake_s: float = Field(default=300.0, ge=0)

    @model_validator(mode="after")
    def _growing(self) -> Self:
        if list(self.percents) != sorted(set(self.percents)) or self.percents[-1:] != (100,):
            msg = f"percents {list(self.percents)} must grow and end at 100"
            raise ValueError(msg)
        return self


class Canary(Declared):
    """One judged share, then everything."""

    type: Literal["canary"] = "canary"
    percent: int = Field(default=10, ge=1, le=50)
    bake_s: float = Field(default=300.0, ge=0)


class BlueGreen(Declared):
    """A full new fleet, then one switch."""

    type: Literal["blue_green"] = "blue_green"
    bake_s: float = Field(default=300.0, ge=0)


class InPlace(Declared):
    """Instance refresh inside the fleet."""

    type: Literal["in_place"] = "in_place"
    bake_s: float = Field(default=300.0, ge=0)


Rollout = Annotated[Rolling | Canary | BlueGreen | InPlace, Field(discriminator="type")]


class Slo(Declared):
    """What the group or pipeline promises."""

    availability: float = Field(default=99.9, gt=0, lt=100)  # percent of messages that do not fail
    lag_p95_s: float = Field(default=5.0, gt=0)
    loss: float = Field(default=0.01, ge=0, lt=1)  # share per event-time minute


class ServerGroup(ObjectMeta):
    """N machines of one kind running one environment."""

    kind: Literal["transform", "feature", "ingest", "stage"]
    environment: str | None = None  # name; None: nothing but Headrace's own code
    code: str | None = None  # sha256 of the code bundle, published before
    node_type: str = "m6a.large"
    scaling: Scaling
    rollout: Rollout = Rolling()
    slo: Slo = Slo()
    variables: dict[str, str] = Field(default_factory=dict, max_length=64)
    serving: GroupServing | None = None  # what a group of kind feature or ingest serves outside of pipelines

    @model_validator(mode="after")
    def _serving_fits(self) -> Self:
        if self.serving and KIND_OF_SERVING[self.serving.type] != self.kind:
            msg = f"group {self.name!r} of kind {self.kind} cannot serve {self.serving.type!r}"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _code_needs_environment(self) -> Self:
        if self.code and not self.environment:
            msg = f"group {self.name!r} has code but no environment: name the environment that the code runs in"
            raise ValueError(msg)
        return self


class Stage(Declared):
    """A named piece of work on a server group; `ordered`: a later event of a key waits while an earlier one is retried."""

    name: Name
    group: Name
    work: Work
    retry: RetryPolicy = RetryPolicy()
    ordered: bool = False


class Edge(Declared):
    """From one stage to the next."""

    source: Name
    target: Name


class Ramp(Declared):
    """Phases of traffic onto something new."""

    percents: tuple[Annotated[int, Field(ge=1, le=100)], ...] = (1, 5, 25, 50, 100)
    bake_s: float = Field(default=300.0, ge=0)


class Pipeline(ObjectMeta):
    """A graph of stages without cycles."""

    kind: Literal["pipeline"] = "pipeline"
    stages: tuple[Stage, ...] = Field(min_length=1, max_length=STAGES_MAX)
    edges: tuple[Edge, ...] = ()
    partitions: int = Field(default=12, ge=1, le=1000)
    ramp: Ramp = Ramp()
    slo: Slo = Slo()

    @model_validator(mode="after")
    def _graph(self) -> Self:
        names = [s.name for s in self.stages]
        if len(set(names)) != len(names):
            msg = f"stages: the names {sorted(n for n in set(names) if names.count(n) > 1)} occur twice"
            raise ValueError(msg)
        for e in self.edges:
            for end in (e.source, e.target):
                if end not in names:
                    msg = f"edges: {e.source} -> {e.target} names {end!r}, which is no stage of {names}"
                    raise ValueError(msg)
        pairs = [(e.source, e.target) for e in self.edges]
        for source, target in pairs:
            if pairs.count((source, target)) > 1:
                msg = f"edges: {source} -> {target} is declared twice: remove one"
                raise ValueError(msg)
        cycle = find_cycle({n: [e.target for e in self.edges if e.source == n] for n in names})
        if cycle:
            msg = f"edges: {' -> '.join(cycle)} is a cycle: remove one of these edges"
            raise ValueError(msg)
        for stage in self.stages:
            if isinstance(stage.work, Route):
                check_routes(stage.name, stage.work, [e.target for e in self.edges if e.source == stage.name])
        return self


def find_cycle(graph: dict[str, list[str]]) -> list[str]:
    """One cycle of the graph, first node repeated at the end; empty if there is none.

    >>> find_cycle({"a": ["b"], "b": ["a"]})
    ['a', 'b', 'a']
    >>> find_cycle({"a": ["b"], "b": []})
    []
    """
    done: set[str] = set()

    def walk(node: str, path: list[str]) -> list[str]:
        if node in path:
            return [*path[path.index(node) :], node]
        if node in done:
            return []
        for after in graph[node]:
            found = walk(after, [*path, node])
            if found:
                return found
        done.add(node)
        return []

    for start in graph:
        found = walk(start, [])
        if found:
            return found
    return []


AnyObject = Annotated[Environment | ServerGroup | Pipeline, Field(discriminator="kind")]
