"""Pipelines: a graph of stages without cycles; each stage works on a server group."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from headrace.declaring import Declared, HeadraceObject, Name, Seconds, name_of
from headrace.scaling import Slo

STAGES_MAX = 64


class RetryPolicy(Declared):
    """Local retries of one message before it goes to dead letters: after `first_s`, times `factor`, up to `max_s`."""

    attempts: int = Field(default=5, ge=1, le=20)
    first_s: Annotated[Seconds, Field(gt=0)] = 0.05
    factor: float = Field(default=2.0, ge=1)
    max_s: Annotated[Seconds, Field(gt=0)] = 5.0


class HttpIngest(Declared):
    """Events over HTTP, in batches; the JSON fields that carry id, time (RFC 3339 or epoch seconds) and key."""

    type: Literal["ingest"] = "ingest"
    id_field: str = "id"
    time_field: str = "event_time"
    key_field: str | None = None
    batch_max: int = Field(default=1000, ge=1, le=10_000)


class Normalize(Declared):
    """Checks and shapes: `required` fields, `rename` old to new, `defaults` for absent ones."""

    type: Literal["normalize"] = "normalize"
    required: tuple[str, ...] = ()
    rename: dict[str, str] = Field(default_factory=dict)
    defaults: dict[str, str | float | int | bool | None] = Field(default_factory=dict)


class Transform(Declared):
    """Users' code; `function` is the name it was declared under.

    Without `group` the stage's own nodes run it; with it (an object or its name) those of that transform group do, and
    the stage's own group is a `StageServerGroup`.
    """

    type: Literal["transform"] = "transform"
    function: str = "transform"
    group: Annotated[Name | None, BeforeValidator(name_of)] = None
    batch_max: int = Field(default=200, ge=1, le=5000)
    timeout_s: Annotated[Seconds, Field(gt=0)] = 10.0


class HttpSink(Declared):
    """POSTs JSON arrays of events; 2xx acknowledges the batch."""

    type: Literal["http"] = "http"
    url: str
    batch_max: int = Field(default=500, ge=1, le=5000)
    timeout_s: Annotated[Seconds, Field(gt=0)] = 5.0


class Topic(Declared):
    """A topic of the broker, to give to a `TopicSink`."""

    name: str


class TopicSink(Declared):
    """Produces to a topic (a `Topic` or its name); acknowledged by all replicas."""

    type: Literal["topic"] = "topic"
    topic: Annotated[str, BeforeValidator(lambda v: v.name if isinstance(v, Topic) else v)]


Sink = Annotated[HttpSink | TopicSink, Field(discriminator="type")]


class Transmit(Declared):
    """Hands events to sinks; an event is done when every sink acknowledged it."""

    type: Literal["transmit"] = "transmit"
    sinks: tuple[Sink, ...] = Field(min_length=1, max_length=16)


Work = Annotated[HttpIngest | Normalize | Transform | Transmit, Field(discriminator="type")]


class Stage(Declared):
    """A named piece of work on a server group (an object or its name)."""

    name: Name
    group: Annotated[Name, BeforeValidator(name_of)]
    work: Work
    retry: RetryPolicy = RetryPolicy()


class Edge(Declared):
    """From one stage to the next (stages or their names)."""

    source: Annotated[Name, BeforeValidator(lambda v: v.name if isinstance(v, Stage) else v)]
    target: Annotated[Name, BeforeValidator(lambda v: v.name if isinstance(v, Stage) else v)]


class Ramp(Declared):
    """Phases of traffic onto something new."""

    percents: tuple[Annotated[int, Field(ge=1, le=100)], ...] = (1, 5, 25, 50, 100)
    bake_s: Annotated[Seconds, Field(ge=0)] = 300.0


def _edge(value: Any) -> Any:
    """A pair stands for an edge."""
    match value:
        case (source, target):
            return Edge(source=source, target=target)
        case _:
            return value


class Pipeline(HeadraceObject):
    """A graph of stages without cycles. An edge is an `Edge` or a pair of stages or names."""

    kind: Literal["pipeline"] = "pipeline"
    stages: tuple[Stage, ...] = Field(min_length=1, max_length=STAGES_MAX)
    edges: tuple[Annotated[Edge, BeforeValidator(_edge)], ...] = ()
    partitions: int = Field(default=12, ge=1, le=1000)
    ramp: Ramp = Ramp()
    slo: Slo = Slo()

    @model_validator(mode="after")
    def _graph(self) -> Self:
        names = [s.name for s in self.stages]
        for name in names:
            if names.count(name) > 1:
                msg = f"stages: the name {name!r} occurs twice: give each stage its own name"
                raise ValueError(msg)
        for e in self.edges:
            for end in (e.source, e.target):
                if end not in names:
                    msg = f"edges: {e.source} -> {e.target} names {end!r}, which is no stage of {names}"
                    raise ValueError(msg)
        after = {n: [e.target for e in self.edges if e.source == n] for n in names}
        ordered: list[str] = []
        while len(ordered) < len(names):  # at most one round per stage
            free = [n for n in names if n not in ordered and all(n not in after[m] or m in ordered for m in names)]
            if not free:
                rest = [n for n in names if n not in ordered]
                msg = f"edges: there is a cycle among {rest}: remove one of its edges"
                raise ValueError(msg)
            ordered.extend(free)
        return self
