"""What a stage does with events, as declared: the kinds of work, retries, tables to look up in, branches to send along."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from shared.contracts.base import Declared, Name
from shared.domain.errors import InvalidInput
from shared.domain.predicate import TEXT_LENGTH_MAX, compile_predicate

STAGES_MAX = 64


class RetryPolicy(Declared):
    """Retries of one message: `attempts` on the node, then one after each of `global_delays_s`, then dead letters.

    While nothing at all goes through, the other side is taken to be down: events are tried on, each for `patience_s`.
    """

    attempts: int = Field(default=5, ge=1, le=20)
    first_s: float = Field(default=0.05, gt=0)
    factor: float = Field(default=2.0, ge=1)
    max_s: float = Field(default=5.0, gt=0)
    patience_s: float = Field(default=900.0, gt=0, le=86_400)
    global_delays_s: tuple[Annotated[float, Field(gt=0, le=86_400)], ...] = Field(default=(), max_length=5)


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
    timeout_s: float = Field(default=10.0, gt=0, le=120)


class ValkeyTable(Declared):
    """Rows are JSON texts under `prefix` + key; asked for when they are needed. The password is in a file on the node."""

    type: Literal["valkey"] = "valkey"
    url: str = Field(pattern="^rediss?://[^@]+$", max_length=1000)
    prefix: str = Field(default="", max_length=200)
    password_file: str = Field(default="", max_length=1000)
    timeout_s: float = Field(default=1.0, gt=0, le=60)


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
    refresh_s: float = Field(default=300.0, ge=0.1, le=86_400)
    stale_s_max: float = Field(default=86_400.0, gt=0)
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
    """Events for which `when` holds go to the stages `to`; `docs/reference/stages.md` has the language."""

    when: str = Field(min_length=1, max_length=TEXT_LENGTH_MAX)
    to: tuple[Name, ...] = Field(min_length=1, max_length=STAGES_MAX)

    @model_validator(mode="after")
    def _readable(self) -> Self:
        try:
            compile_predicate(self.when)
        except InvalidInput as e:
            msg = f"when: {e}; {e.remedy}"
            raise ValueError(msg) from e
        return self


class Route(Declared):
    """Sends each event along the first branch that holds, or along all that do; else along `default`.

    Without a default an event that no branch takes becomes a dead letter, or is dropped by declared design.
    """

    type: Literal["route"] = "route"
    branches: tuple[Branch, ...] = Field(min_length=1, max_length=STAGES_MAX)
    match: Literal["first", "all"] = "first"
    default: tuple[Name, ...] = Field(default=(), max_length=STAGES_MAX)
    unmatched: Literal["dead_letter", "drop"] = "dead_letter"


class Transform(Declared):
    """Users' code: on the stage's own nodes, over a Unix socket, or on those of a transform group, over TCP."""

    type: Literal["transform"] = "transform"
    function: str = "transform"  # the name it was declared under
    group: Name | None = None  # a transform group to call; the stage's own group is of kind `stage` then
    batch_max: int = Field(default=200, ge=1, le=5000)
    timeout_s: float = Field(default=10.0, gt=0)


class HttpSink(Declared):
    """POSTs JSON arrays of events; 2xx acknowledges the batch."""

    type: Literal["http"] = "http"
    url: str
    batch_max: int = Field(default=500, ge=1, le=5000)
    timeout_s: float = Field(default=5.0, gt=0)


class TopicSink(Declared):
    """Produces to a topic, acks=all."""

    type: Literal["topic"] = "topic"
    topic: str


Sink = Annotated[HttpSink | TopicSink, Field(discriminator="type")]


class Transmit(Declared):
    """Hands events to sinks; an event is done when every sink acknowledged it."""

    type: Literal["transmit"] = "transmit"
    sinks: tuple[Sink, ...] = Field(min_length=1, max_length=16)


Work = Annotated[HttpIngest | Normalize | Enrich | Route | Transform | Transmit, Field(discriminator="type")]


def check_routes(stage: str, work: Route, targets: Sequence[str]) -> None:
    """ValueError when a branch goes where no edge goes, or an edge can never be taken."""
    named = {t for b in work.branches for t in b.to} | set(work.default)
    for target in sorted(named - set(targets)):
        msg = f"stages.{stage}: a branch goes to {target!r}, and no edge does: add the edge {stage} -> {target}"
        raise ValueError(msg)
    for target in sorted(set(targets) - named):
        msg = f"edges: {stage} -> {target} is taken by no branch: name {target!r} in one, or remove the edge"
        raise ValueError(msg)
