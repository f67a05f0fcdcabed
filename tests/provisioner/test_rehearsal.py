"""What a copy works on: nothing that it writes reaches anybody, whatever the group does; and which groups are not rated."""

from typing import Any

import pytest

from services.provisioner.domain.group import Group
from services.provisioner.domain.names import rehearsal_prefix
from services.provisioner.operations.copies import alone, copy_intent
from services.provisioner.operations.rehearsal import Rehearsal, rehearsal
from services.provisioner.operations.translation import assignment, assignment_digest, groups_called
from shared.contracts.node import Assignment, KafkaAccess
from shared.contracts.objects import HttpSink, Pipeline, ServerGroup, Stage, TopicSink, Transform, Transmit
from shared.contracts.rateable import check_rateable, stage_on
from shared.contracts.rating import Loading
from shared.contracts.serving import GroupCall, PushIngest
from shared.domain.errors import InvalidInput, Refused
from shared.domain.names import GroupName
from tests.provisioner.examples import fleet, intent, spec

SINK = "10.0.0.9:7600"
CALLED = "called-by-rating-scorer"
STORE = {"url": "redis://10.0.0.5:6379/0", "view": "planes"}
KAFKA = KafkaAccess(bootstrap="10.0.0.3:9092")
PIPELINE = Pipeline.model_validate(
    {
        "name": "departures",
        "partitions": 6,
        "stages": [
            {"name": "in", "group": "edge", "work": {"type": "ingest", "batch_max": 200}},
            {
                "name": "split",
                "group": "splitter",
                "work": {"type": "route", "branches": [{"when": "late > 15", "to": ["score"]}], "default": ["out"]},
            },
            {"name": "score", "group": "scorer", "work": {"type": "transform", "group": "risk"}},
            {
                "name": "out",
                "group": "sender",
                "work": {
                    "type": "transmit",
                    "sinks": [{"type": "http", "url": "https://customer/in"}, {"type": "topic", "topic": "scored"}],
                },
                "retry": {"global_delays_s": [5, 10]},
            },
        ],
        "edges": [
            {"source": "in", "target": "split"},
            {"source": "split", "target": "score"},
            {"source": "split", "target": "out"},
            {"source": "score", "target": "out"},
        ],
    }
)


def rehearsed(name: str, kind: str = "stage", sink: str = SINK, **more: Any) -> Rehearsal:
    stage = stage_on(PIPELINE, name)
    return rehearsal(alone(spec(name, kind, **more)), PIPELINE if stage else None, stage, sink, "act-1", CALLED)


def work_of(found: Rehearsal) -> Assignment:
    assert found.assignment is not None
    return found.assignment


def names_of(found: Rehearsal) -> set[str]:
    return {t.name for t in found.topics}


def test_a_stage_reads_and_writes_topics_of_its_own_that_are_all_made() -> None:
    found = rehearsed("splitter")
    prefix, told = rehearsal_prefix(GroupName("rating-splitter")), work_of(found)
    assert (told.topic_in, told.topics_out) == (f"{prefix}in", (f"{prefix}out.score", f"{prefix}out.out"))
    assert names_of(found) == {told.topic_in, told.topic_dead, *told.topics_out}
    assert (told.consumer_group, told.topics_retry, told.rehearsal) == (f"{prefix}act-1", (), True)
    assert told.pipeline is not None
    assert told.pipeline.name == "rating-splitter"  # under which its nodes report what they measure
    assert {t.name: t.partitions for t in found.topics} == dict.fromkeys(names_of(found), 6) | {told.topic_dead: 1}
    assert (found.way.type, found.way.topic, found.way.sink) == ("topic", told.topic_in, "")
    assert not any(t.name.startswith("headrace.") for t in found.topics)  # as those of every pipeline do


def test_a_stage_that_sends_to_customers_sends_to_the_drivers_sink_and_a_topic_of_its_own() -> None:
    found = rehearsed("sender")
    stage = work_of(found).stage
    assert stage is not None
    assert isinstance(stage.work, Transmit)
    assert stage.retry.global_delays_s == ()
    http, topic = stage.work.sinks
    assert isinstance(http, HttpSink)
    assert isinstance(topic, TopicSink)
    assert (http.url, topic.topic in names_of(found)) == (f"http://{SINK}/sink/1", True)
    assert found.way.sink == SINK
    dumped = stage.work.model_dump_json()
    assert not any(live in dumped for live in ("customer", '"scored"'))
    with pytest.raises(Refused, match="https://customer/in") as refused:
        rehearsed("sender", sink="")
    assert "HEADRACE_RATING_SINK" in str(refused.value.remedy)


def test_an_ingest_stage_takes_requests_and_feeds_nobody() -> None:
    found = rehearsed("edge", "ingest")
    told = work_of(found)
    assert (found.way.type, told.topic_in, told.consumer_group) == ("post", "", "")
    assert names_of(found) == set(told.topics_out) == {"headrace-rating.rating-edge.out.split"}


def test_a_push_goes_to_a_topic_and_a_view_of_its_own_that_is_soon_forgotten() -> None:
    found = rehearsed("push", "ingest", serving=PushIngest.model_validate({"topic": "seen", "store": STORE}))
    serving = found.spec.serving
    assert isinstance(serving, PushIngest)
    assert serving.store is not None
    assert (serving.topic, serving.store.view, serving.keep_s) == ("headrace-rating.rating-push.out", "rating-push", 60)
    assert names_of(found) == {serving.topic}


def test_whoever_calls_a_group_calls_the_copy_of_it_and_may_read_its_routes_alone() -> None:
    call = {"group": "risk", "function": "score", "timeout_s": 3}
    stage = work_of(rehearsed("scorer")).stage
    assert stage is not None
    assert isinstance(stage.work, Transform)
    assert stage.work == Transform(group=CALLED)
    push = rehearsed("push", "ingest", serving={"type": "push", "topic": "t", "transform": call})
    served = rehearsed("planes", "feature", serving={"type": "features", "store": STORE, "transform": call})
    for found in (push, served):
        assert found.spec.serving is not None
        assert found.spec.serving.transform == GroupCall(group=CALLED, function="score", timeout_s=3)
    for kind, found in (("stage", rehearsed("scorer")), ("ingest", push), ("feature", served)):
        group = Group(copy_intent(intent("g", kind=kind), found))
        assert groups_called(group, None) == {CALLED}


def test_a_feature_server_reads_the_live_store_and_writes_nothing() -> None:
    found = rehearsed("planes", "feature", serving={"type": "features", "store": STORE})
    assert (found.topics, found.assignment, found.way.body) == ((), None, "entities")


def test_the_copys_nodes_are_told_what_was_decided_when_it_was_made() -> None:
    copied = copy_intent(intent("splitter", kind="stage"), rehearsed("splitter"))
    group = Group(copied, fleets=(fleet("rating-splitter", weight=1),))
    told = assignment(group, group.fleets[0], None, KAFKA)
    assert (told.fleet, told.revision, told.kafka) == ("rating-splitter-r1", 1, KAFKA)
    assert told.topic_in == "headrace-rating.rating-splitter.in"
    assert told.group.name == "rating-splitter"
    assert assignment_digest(group, None) != assignment_digest(Group(intent("splitter", kind="stage")), None)
    push = rehearsed("push", "ingest", serving=PushIngest(topic="seen"))
    pushed = Group(copy_intent(intent("push", kind="ingest"), push), fleets=(fleet("rating-push", weight=1),))
    assert assignment(pushed, pushed.fleets[0], None, KAFKA).kafka == KAFKA


def a(kind: str, **more: Any) -> ServerGroup:
    return spec("g", kind, **more)


@pytest.mark.parametrize(
    ("group", "stage", "why"),
    [
        (a("stage"), None, "no stage runs on it"),
        (a("ingest"), None, "no stage runs on it"),
        (a("feature"), None, "serves nothing yet"),
    ],
)
def test_what_cannot_be_rated_is_refused_and_why(group: ServerGroup, stage: Stage | None, why: str) -> None:
    with pytest.raises(Refused, match=why) as refused:
        check_rateable(group, stage, Loading())
    assert refused.value.remedy


@pytest.mark.parametrize(
    ("group", "stage", "loading", "field"),
    [
        (a("stage"), PIPELINE.stages[1], Loading(batch=5), "loading.batch"),
        (a("stage"), PIPELINE.stages[1], Loading(function="f"), "loading.function"),
        (a("ingest"), PIPELINE.stages[0], Loading(batch=201), "loading.batch"),
        (a("stage"), PIPELINE.stages[1], Loading(called_nodes=1), "loading.called_nodes"),
        (a("transform"), None, Loading(called_nodes=1), "loading.called_nodes"),
        (a("feature", serving={"type": "features", "store": STORE}), None, Loading(batch=501), "loading.batch"),
    ],
)
def test_load_that_does_not_fit_the_kind_is_named(
    group: ServerGroup, stage: Stage | None, loading: Loading, field: str
) -> None:
    with pytest.raises(InvalidInput) as wrong:
        check_rateable(group, stage, loading)
    assert wrong.value.field == field


def test_every_kind_is_rated_when_load_on_its_copy_is_load_on_the_copy_alone() -> None:
    check_rateable(a("transform"), None, Loading(function="f", batch=5))
    check_rateable(a("ingest"), PIPELINE.stages[0], Loading(batch=200))
    check_rateable(a("stage"), PIPELINE.stages[2], Loading(called_nodes=3))
    check_rateable(a("stage"), PIPELINE.stages[3], Loading())
    check_rateable(a("feature", serving={"type": "features", "store": STORE}), None, Loading(batch=500))
