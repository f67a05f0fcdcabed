"""A pipeline that cannot run is refused with the stage, the value and the remedy."""

import pytest
from pydantic import ValidationError

from services.provisioner.domain.group import Group, StageSeat
from services.provisioner.domain.group_use import refuse_while_used
from services.provisioner.domain.pipeline import PipelineState, check_pipeline, own_topics_of, seats_of, topics_of
from services.provisioner.operations.translation import group_intent, pipeline_intent, pushed_topics_of
from shared.contracts.node import EVENT_BYTES_MAX, LETTER_BYTES_MAX, MESSAGE_BYTES_MAX, topic_in, topics_retry
from shared.contracts.objects import ProvisionedScaling, ServerGroup
from shared.contracts.serving import PushIngest
from shared.domain.errors import InvalidInput, Refused
from shared.domain.names import GroupName, PipelineName, StageName
from tests.provisioner.examples import KINDS, departures

WHOLE = pipeline_intent(departures(), 1)
ONE = ProvisionedScaling(desired_nodes=1)


def test_the_example_may_run() -> None:
    check_pipeline(WHOLE, KINDS, {})
    check_pipeline(WHOLE, KINDS, seats_of(WHOLE))


def test_topics_of_the_example() -> None:
    assert [(t.name, t.partitions) for t in topics_of(WHOLE)] == [
        ("delays-scored", 6),
        ("headrace.departures.normalize", 6),
        ("headrace.departures.normalize.dead", 1),
        ("headrace.departures.transform", 6),
        ("headrace.departures.transform.dead", 1),
        ("headrace.departures.transmit", 6),
        ("headrace.departures.transmit.dead", 1),
    ]
    assert topic_in("departures", "normalize") in own_topics_of(WHOLE)
    assert "delays-scored" not in own_topics_of(WHOLE)


@pytest.mark.parametrize(
    ("kinds", "taken", "said"),
    [
        ({k: v for k, v in KINDS.items() if k != "delays"}, {}, "no server group 'delays'"),
        ({**KINDS, GroupName("delays"): "stage"}, {}, "of kind stage"),
        (
            KINDS,
            {GroupName("delays"): StageSeat(PipelineName("other"), StageName("x"))},
            "runs stage x of pipeline other",
        ),
    ],
)
def test_groups_must_fit(kinds: dict[GroupName, str], taken: dict[GroupName, StageSeat], said: str) -> None:
    with pytest.raises(InvalidInput, match=said) as caught:
        check_pipeline(WHOLE, kinds, taken)
    assert caught.value.remedy
    assert caught.value.field == "stages.transform.group"


def test_retries_wait_in_topics_of_their_own_that_outlive_their_delays() -> None:
    stages = [s.model_dump() for s in departures().stages]
    stages[1]["retry"] = {"global_delays_s": [30, 86_400]}
    found = {t.name: t for t in topics_of(pipeline_intent(departures(stages=stages), 1))}
    name = topics_retry("departures", stages[1]["name"], 2)[1]
    assert (found[name].partitions, (found[name].kept_s or 0) > 2 * 86_400) == (1, True)
    assert found[name].bytes_max == LETTER_BYTES_MAX > found[topic_in("departures", "transmit")].bytes_max
    assert found[topic_in("departures", "transmit")].bytes_max == MESSAGE_BYTES_MAX > EVENT_BYTES_MAX


def test_a_group_runs_one_stage() -> None:
    stages = [s.model_dump() for s in departures().stages]
    stages[3]["group"] = "departures-normalize"
    with pytest.raises(InvalidInput, match="runs stage normalize already"):
        check_pipeline(pipeline_intent(departures(stages=stages), 1), KINDS, {})


def test_a_stage_that_nothing_feeds_is_refused() -> None:
    edges = [e.model_dump() for e in departures().edges][:2]
    with pytest.raises(InvalidInput, match="nothing feeds it"):
        check_pipeline(pipeline_intent(departures(edges=edges), 1), KINDS, {})


def test_a_group_is_not_removed_while_a_stage_runs_on_it_or_calls_it() -> None:
    stages = [s.model_dump() for s in departures().stages]
    stages[1] |= {"group": "other", "work": {"type": "transform", "group": "delays"}}
    calling = PipelineState(pipeline_intent(departures(stages=stages), 1))
    delays = Group(group_intent(ServerGroup(name="delays", kind="transform", scaling=ONE), 1))
    with pytest.raises(Refused, match="stage normalize of pipeline departures calls it") as caught:
        refuse_while_used(delays, [calling])
    assert [r.code for r in caught.value.reasons] == ["InUse", "InUse"]  # stage transform of the example runs on it
    with pytest.raises(Refused, match="stage transform of pipeline departures runs on it"):
        refuse_while_used(delays, [PipelineState(WHOLE)])
    refuse_while_used(delays, [])


def test_the_topic_of_a_push_is_made_and_one_that_is_there_stays_as_it_is() -> None:
    serving = PushIngest(topic="planes-scored")
    (plan,) = pushed_topics_of(ServerGroup(name="push", kind="ingest", scaling=ONE, serving=serving))
    assert (plan.name, plan.partitions, plan.as_it_is) == ("planes-scored", 12, True)
    assert pushed_topics_of(ServerGroup(name="in", kind="ingest", scaling=ONE)) == ()
    with pytest.raises(ValidationError, match="topic"):
        PushIngest(topic="no spaces")
