"""What the copy of a group works on while it is rated: the original's work on topics and sinks of its own.

Nothing that a copy writes reaches anybody: its topics begin with `rehearsal_prefix` and go with it, its HTTP sinks are
the load driver's, and what it puts into an online store stands in a view of its own and is soon gone. Where the original calls a transform
group, the copy calls a copy of that one.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from services.provisioner.domain.names import rehearsal_prefix
from services.provisioner.domain.pipeline import LETTER_BYTES_MAX, TopicPlan
from shared.contracts.node import Assignment
from shared.contracts.objects import HttpIngest, HttpSink, Pipeline, ServerGroup, Stage, TopicSink, Transform, Transmit
from shared.contracts.rating import RatingWay
from shared.contracts.serving import FeatureServing, GroupCall, PushIngest
from shared.domain.errors import Refused
from shared.domain.names import GroupName

KEPT_S = 3600  # on the topics, if nobody should come to remove them
STORE_KEPT_S = 60.0  # in the online store
SINK_PATH = "/sink"
PUSHED_PARTITIONS = 12  # as a pushed topic is made with


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What the copy is (`spec`), works on, needs, and how it is reached; no assignment: what its group serves says it all."""

    spec: ServerGroup
    way: RatingWay
    topics: tuple[TopicPlan, ...] = ()
    assignment: Assignment | None = None


def rehearsal(  # noqa: PLR0913  what it is a copy of, and three names of its own
    spec: ServerGroup, pipeline: Pipeline | None, stage: Stage | None, sink: str, rating: str, called: str
) -> Rehearsal:
    """Of a copy; `spec` bears its name already. `rating` names this one rating: what an earlier one committed is not its.

    `sink` is the `host:port` that the driver listens on; Refused when HTTP sinks need it and there is none. `called` is
    the group that stands in for the transform group that the original calls, if it calls one.
    """
    prefix = rehearsal_prefix(GroupName(spec.name))
    if spec.kind == "transform":
        return Rehearsal(spec, RatingWay())
    if isinstance(spec.serving, FeatureServing):
        served = spec.serving.model_copy(update=_calling(spec.serving.transform, called))
        return Rehearsal(spec.model_copy(update={"serving": served}), RatingWay(type="post", body="entities"))
    if isinstance(spec.serving, PushIngest):
        return _pushed(spec, spec.serving.model_copy(update=_calling(spec.serving.transform, called)), prefix)
    if pipeline is None or stage is None:
        raise Refused(f"group {spec.name}: no stage runs on it", remedy="apply its pipeline first")
    if isinstance(stage.work, Transform) and stage.work.group:
        stage = stage.model_copy(update={"work": stage.work.model_copy(update={"group": called})})
    return _staged(spec, pipeline, stage, sink, rating)


def _calling(call: GroupCall | None, called: str) -> Mapping[str, GroupCall]:
    """The field that names the group, if there is one."""
    return {"transform": call.model_copy(update={"group": called})} if call else {}


def _pushed(spec: ServerGroup, serving: PushIngest, prefix: str) -> Rehearsal:
    topic = f"{prefix}out" if serving.topic else ""
    store = serving.store.model_copy(update={"view": spec.name}) if serving.store else None
    own = serving.model_copy(update={"topic": topic, "store": store, "keep_s": STORE_KEPT_S})
    topics = (TopicPlan(topic, PUSHED_PARTITIONS, KEPT_S),) if topic else ()
    return Rehearsal(spec.model_copy(update={"serving": own}), RatingWay(type="post"), topics)


def _staged(spec: ServerGroup, pipeline: Pipeline, stage: Stage, sink: str, rating: str) -> Rehearsal:
    prefix = rehearsal_prefix(GroupName(spec.name))
    targets = [e.target for e in pipeline.edges if e.source == stage.name]
    outputs = tuple(f"{prefix}out.{target}" for target in targets)
    own, sink_topics = _own_sinks(spec, stage, sink, prefix)
    consumes = not isinstance(stage.work, HttpIngest)
    read, dead = (f"{prefix}in", f"{prefix}dead") if consumes else ("", "")
    topics = [TopicPlan(name, pipeline.partitions, KEPT_S) for name in (*outputs, *sink_topics, read) if name]
    if dead:
        topics.append(TopicPlan(dead, 1, KEPT_S, LETTER_BYTES_MAX))
    group = f"{prefix}{rating}" if consumes else ""
    has_http = isinstance(stage.work, Transmit) and any(isinstance(s, HttpSink) for s in stage.work.sinks)
    way = RatingWay(type="topic", topic=read, topic_dead=dead, consumer_group=group, sink=sink if has_http else "")
    return Rehearsal(
        spec,
        way if consumes else RatingWay(type="post"),
        tuple(topics),
        Assignment(
            group=spec,
            fleet="",
            revision=0,
            pipeline=pipeline.model_copy(update={"name": spec.name}),
            stage=own,
            topic_in=read,
            topics_out=outputs,
            topic_dead=dead,
            consumer_group=group,
            slo=spec.slo,
            rehearsal=True,
        ),
    )


def _own_sinks(spec: ServerGroup, stage: Stage, sink: str, prefix: str) -> tuple[Stage, tuple[str, ...]]:
    """The stage with sinks that throw away, and without the global retrier; the topics among the sinks."""
    retry = stage.retry.model_copy(update={"global_delays_s": ()})
    if not isinstance(stage.work, Transmit):
        return stage.model_copy(update={"retry": retry}), ()
    sinks: list[HttpSink | TopicSink] = []
    for number, given in enumerate(stage.work.sinks, 1):
        if isinstance(given, TopicSink):
            sinks.append(TopicSink(topic=f"{prefix}sink.{number}"))
        elif sink:
            sinks.append(given.model_copy(update={"url": f"http://{sink}{SINK_PATH}/{number}"}))
        else:
            raise Refused(
                f"group {spec.name}: its stage sends to {given.url}, and there is no sink of ours to send to instead",
                remedy="set HEADRACE_RATING_SINK of the Provisioner to a HOST:PORT of its host that nodes reach",
            )
    work = stage.work.model_copy(update={"sinks": tuple(sinks)})
    topics = tuple(s.topic for s in sinks if isinstance(s, TopicSink))
    return stage.model_copy(update={"work": work, "retry": retry}), topics
