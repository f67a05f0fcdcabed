"""A pipeline's graph as topics and seats: what each stage consumes, what it feeds, and whether its group fits.

Each link but the first consumes one topic; an edge is the producer's copy into the consumer's topic, so 1-1, 1-many and
many-many graphs need no broker features beyond topics.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from services.provisioner.domain.group import StageSeat
from shared.domain.errors import InvalidInput
from shared.domain.names import GroupName, PipelineName, StageName

KIND_OF_WORK = {
    "ingest": "ingest",
    "normalize": "stage",
    "enrich": "stage",
    "route": "stage",
    "transform": "transform",
    "transmit": "stage",
}
DEAD_PARTITIONS = 1
MESSAGE_BYTES_MAX = 1_200_000  # as `shared.contracts.node` has them
LETTER_BYTES_MAX = 1_400_000
DEAD_KEPT_S = 30 * 86_400
RETRY_KEPT_S = 14 * 86_400  # far beyond the longest delay: what waits there must outlive it
RETRY_PARTITIONS = 1  # few events wait there, and a second node takes over when the first is gone


@dataclass(frozen=True, slots=True)
class StageIntent:
    """A stage of a pipeline; `work` is the kind of its work, `sink_topics` what its topic sinks produce to.

    `retry_levels`: how many delays its global retrier has.
    """

    name: StageName
    group: GroupName
    work: str
    targets: tuple[StageName, ...] = ()
    sink_topics: tuple[str, ...] = ()
    calls: GroupName | None = None  # a transform group that the work is handed to
    retry_levels: int = 0


@dataclass(frozen=True, slots=True)
class PipelineIntent:
    """A pipeline as declared."""

    name: PipelineName
    partitions: int
    stages: tuple[StageIntent, ...]
    generation: int
    document: str  # JSON of the object


@dataclass(frozen=True, slots=True)
class PipelineState:
    """A pipeline with how far it is."""

    intent: PipelineIntent
    phase: str = "PENDING"
    detail: str = ""
    ramp_percent: int = 0


@dataclass(frozen=True, slots=True)
class TopicPlan:
    """A topic that must exist with at least so many partitions; `kept_s` None: as long as the broker keeps any.

    `bytes_max`: of one message. `as_it_is`: only made when it is missing, for its partitions are somebody else's.
    """

    name: str
    partitions: int
    kept_s: int | None = None
    bytes_max: int = MESSAGE_BYTES_MAX
    as_it_is: bool = False


def topic_of(pipeline: str, stage: str) -> str:
    """The topic a stage consumes (`shared.contracts.node.topic_in`)."""
    return f"headrace.{pipeline}.{stage}"


def topics_of(pipeline: PipelineIntent) -> tuple[TopicPlan, ...]:
    """Every topic of a pipeline: one, its dead letters and its retries per stage that consumes, and the sinks'."""
    topics: dict[str, TopicPlan] = {}
    for stage in pipeline.stages:
        if stage.work != "ingest":
            name = topic_of(pipeline.name, stage.name)
            topics[name] = TopicPlan(name, pipeline.partitions)
            topics[f"{name}.dead"] = TopicPlan(f"{name}.dead", DEAD_PARTITIONS, DEAD_KEPT_S, LETTER_BYTES_MAX)
            for level in range(1, stage.retry_levels + 1):
                topics[f"{name}.retry{level}"] = TopicPlan(
                    f"{name}.retry{level}", RETRY_PARTITIONS, RETRY_KEPT_S, LETTER_BYTES_MAX
                )
        for sink in stage.sink_topics:
            topics.setdefault(sink, TopicPlan(sink, pipeline.partitions))
    return tuple(topics[name] for name in sorted(topics))


def own_topics_of(pipeline: PipelineIntent) -> tuple[str, ...]:
    """The topics that go when the pipeline goes: never a sink's."""
    return tuple(t.name for t in topics_of(pipeline) if t.name.startswith(f"headrace.{pipeline.name}."))


def seats_of(pipeline: PipelineIntent) -> dict[GroupName, StageSeat]:
    """Which stage runs on which group."""
    return {s.group: StageSeat(pipeline.name, s.name) for s in pipeline.stages}


def check_pipeline(
    pipeline: PipelineIntent,
    kinds: Mapping[GroupName, str],
    taken: Mapping[GroupName, StageSeat],
) -> None:
    """InvalidInput names the first stage that cannot run: its group is missing, of another kind, or taken."""
    seen: dict[GroupName, StageName] = {}
    fed = {t for s in pipeline.stages for t in s.targets}
    for stage in pipeline.stages:
        where = f"pipeline {pipeline.name}: stage {stage.name}"
        kind = kinds.get(stage.group)
        if kind is None:
            raise InvalidInput(
                f"{where}: there is no server group {stage.group!r}",
                field=f"stages.{stage.name}.group",
                remedy="apply the group first, or name one of: " + (", ".join(sorted(kinds)) or "(there are none)"),
            )
        needed = "stage" if stage.calls else KIND_OF_WORK[stage.work]
        if kind != needed:
            raise InvalidInput(
                f"{where}: {stage.work} does not run on group {stage.group!r} of kind {kind}",
                field=f"stages.{stage.name}.group",
                remedy=f"name a group of kind {needed}",
            )
        if stage.calls and kinds.get(stage.calls) != "transform":
            raise InvalidInput(
                f"{where}: {stage.calls!r}, which it calls, is no transform group",
                field=f"stages.{stage.name}.work.group",
                remedy="apply the transform group first, or leave the field out: the stage's own group runs the code then",
            )
        if stage.group in seen:
            raise InvalidInput(
                f"{where}: group {stage.group!r} runs stage {seen[stage.group]} already",
                field=f"stages.{stage.name}.group",
                remedy="a group runs one stage: declare another group",
            )
        seen[stage.group] = stage.name
        seat = taken.get(stage.group)
        if seat and seat.pipeline != pipeline.name:
            raise InvalidInput(
                f"{where}: group {stage.group!r} runs stage {seat.stage} of pipeline {seat.pipeline}",
                field=f"stages.{stage.name}.group",
                remedy="a group runs one stage: declare another group",
            )
        _check_feed(where, stage, fed)


def _check_feed(where: str, stage: StageIntent, fed: set[StageName]) -> None:
    if stage.work == "ingest" and stage.name in fed:
        raise InvalidInput(f"{where}: ingest has an edge into it", field="edges", remedy="remove the edge")
    if stage.work != "ingest" and stage.name not in fed:
        raise InvalidInput(f"{where}: nothing feeds it", field="edges", remedy=f"add an edge that ends in {stage.name}")
