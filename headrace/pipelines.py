"""Pipelines: a graph of stages without cycles; each stage works on a server group."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from headrace.declaring import Declared, HeadraceObject, Name, Seconds, name_of
from headrace.scaling import Slo

STAGES_MAX = 64


def _stage_name(value: Any) -> Any:
    return value.name if isinstance(value, Stage) else value


Target = Annotated[Name, BeforeValidator(_stage_name)]


class RetryPolicy(Declared):
    """Retries of one message: `attempts` on the node, after `first_s`, times `factor`, up to `max_s`.

    While nothing at all goes through, the other side is taken to be down: each event is tried on, for `patience_s` at most.
    Then one after each of `global_delays_s`, wherever the stage runs by then; then dead letters. The global ones keep no
    order of a key.
    """

    attempts: int = Field(default=5, ge=1, le=20)
    first_s: Annotated[Seconds, Field(gt=0)] = 0.05
    factor: float = Field(default=2.0, ge=1)
    max_s: Annotated[Seconds, Field(gt=0)] = 5.0
    patience_s: Annotated[Seconds, Field(gt=0, le=86_400)] = 900.0
    global_delays_s: tuple[Annotated[Seconds, Field(gt=0, le=86_400)], ...] = Field(default=(), max_length=5)


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


class FileTable(Declared):
    """A table in a file on the node: a JSON object of rows by key, or rows (JSON array, JSON lines, CSV) with `key`."""

    type: Literal["file"] = "file"
    path: str = Field(pattern="^/", max_length=1000)
    format: Literal["json", "jsonl", "csv"] = "json"
    key: str = Field(default="", max_length=200)


class S3Table(Declared):
    """The same, an object of the bundle bucket."""

    type: Literal["s3"] = "s3"
    url: str = Field(pattern="^s3://[^/]+/.+", max_length=1000)
    format: Literal["json", "jsonl", "csv"] = "json"
    key: str = Field(default="", max_length=200)


class HttpTable(Declared):
    """The same, the answer of a GET."""

    type: Literal["http"] = "http"
    url: str = Field(pattern="^https?://", max_length=2000)
    format: Literal["json", "jsonl", "csv"] = "json"
    key: str = Field(default="", max_length=200)
    timeout_s: Annotated[Seconds, Field(gt=0, le=120)] = 10.0


class ValkeyTable(Declared):
    """Rows are JSON texts under `prefix` + key; asked for when they are needed. The password is in a file on the node."""

    type: Literal["valkey"] = "valkey"
    url: str = Field(pattern="^rediss?://[^@]+$", max_length=1000)
    prefix: str = Field(default="", max_length=200)
    password_file: str = Field(default="", max_length=1000)
    timeout_s: Annotated[Seconds, Field(gt=0, le=60)] = 1.0


Table = Annotated[FileTable | S3Table | HttpTable | ValkeyTable, Field(discriminator="type")]


class Enrich(Declared):
    """Puts the row whose key is the event's `field` into the event as `into`.

    Rows are fetched anew after `refresh_s`; while that fails the old ones serve on, up to `stale_s_max` old. At most
    `rows_max` rows are kept: a larger table is refused, of a Valkey table the least used rows go. An event without a
    row is kept as it is, gets `default`, is dropped by declared design, or becomes a dead letter.
    """

    type: Literal["enrich"] = "enrich"
    source: Table
    field: str = Field(min_length=1, max_length=200)
    into: str = Field(min_length=1, max_length=200)
    refresh_s: Annotated[Seconds, Field(ge=0.1, le=86_400)] = 300.0
    stale_s_max: Annotated[Seconds, Field(gt=0)] = 86_400.0
    rows_max: int = Field(default=100_000, ge=1, le=2_000_000)
    on_missing: Literal["keep", "default", "drop", "dead_letter"] = "keep"
    default: dict[str, str | float | int | bool | None] | None = None

    @model_validator(mode="after")
    def _default(self) -> Self:
        if (self.on_missing == "default") != (self.default is not None):
            msg = f"on_missing {self.on_missing!r} with default {self.default!r}: give both or neither"
            raise ValueError(msg)
        return self


class Branch(Declared):
    """Events for which `when` holds go to the stages `to`, for example `when="delay > 15 and carrier in ['UA', 'AA']"`."""

    when: str = Field(min_length=1, max_length=2_000)
    to: tuple[Target, ...] = Field(min_length=1, max_length=STAGES_MAX)


class Route(Declared):
    """Sends each event along the first branch that holds, or along all that do; else along `default`.

    Without a default an event that no branch takes becomes a dead letter, or is dropped by declared design.
    """

    type: Literal["route"] = "route"
    branches: tuple[Branch, ...] = Field(min_length=1, max_length=STAGES_MAX)
    match: Literal["first", "all"] = "first"
    default: tuple[Target, ...] = Field(default=(), max_length=STAGES_MAX)
    unmatched: Literal["dead_letter", "drop"] = "dead_letter"


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


Work = Annotated[HttpIngest | Normalize | Enrich | Route | Transform | Transmit, Field(discriminator="type")]


class Stage(Declared):
    """A named piece of work on a server group (an object or its name).

    With `ordered`, a later event of a key waits while an earlier one is retried on the node.
    """

    name: Name
    group: Annotated[Name, BeforeValidator(name_of)]
    work: Work
    retry: RetryPolicy = RetryPolicy()
    ordered: bool = False


class Edge(Declared):
    """From one stage to the next (stages or their names)."""

    source: Target
    target: Target


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
