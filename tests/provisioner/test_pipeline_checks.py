"""A pipeline that cannot run is refused with the stage, the value and the remedy."""

import pytest

from services.provisioner.domain.group import StageSeat
from services.provisioner.domain.pipeline import check_pipeline, own_topics_of, seats_of, topics_of
from services.provisioner.operations.translation import pipeline_intent
from shared.contracts.node import EVENT_BYTES_MAX, LETTER_BYTES_MAX, MESSAGE_BYTES_MAX, topic_in, topics_retry
from shared.domain.errors import InvalidInput
from shared.domain.names import GroupName, PipelineName, StageName
from tests.provisioner.examples import KINDS, departures

WHOLE = pipeline_intent(departures(), 1)


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
