"""The judge's table: what it says to which counts, and properties that hold for all counts."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from services.deployer.domain.judge import (
    FleetSample,
    Judged,
    JudgePolicy,
    Question,
    chance_of,
    judge,
    unreadable,
)
from tests.deployer.plans import GROUP, new_sample, old_sample

SLO = 0.001
WINDOW = Question(GROUP, window_s=60.0, error_ratio_max=SLO)


def judged(new: FleetSample, old: FleetSample, window_s: float = 60.0) -> Judged:
    return judge(Question(GROUP, window_s, SLO), new, old)


@pytest.mark.parametrize(
    ("why", "new", "old", "outcome", "advice", "code"),
    [
        ("alike and good", new_sample(5000, 0), old_sample(15000, 2), "pass", "go_on", "NoWorse"),
        ("a tenth fails", new_sample(900, 100), old_sample(3000, 1), "fail", "roll_back", "MoreFailures"),
        ("errors on a zero baseline", new_sample(990, 30), old_sample(5000, 0), "fail", "roll_back", "MoreFailures"),
        ("two of many by chance", new_sample(998, 2), old_sample(3000, 0), "pass", "go_on", "NoWorse"),
        ("worse but too little to matter", new_sample(9970, 30), old_sample(10000, 0), "inconclusive", "hold", None),
        ("both bad alike", new_sample(900, 100), old_sample(2700, 300), "inconclusive", "hold", "BothBad"),
        ("both bad, new far worse", new_sample(500, 500), old_sample(2700, 300), "fail", "roll_back", "MoreFailures"),
        ("only the old is bad: the fix", new_sample(1000, 0), old_sample(900, 100), "pass", "go_on", "NoWorse"),
        ("bad, nothing to compare", new_sample(900, 100), old_sample(0, 0), "inconclusive", "hold", "NothingToCompare"),
        ("four times as slow", new_sample(1000, 0, 0.008), old_sample(3000, 0, 0.002), "fail", "roll_back", "Slower"),
        ("a little slower", new_sample(1000, 0, 0.0025), old_sample(3000, 0, 0.002), "pass", "go_on", "NoWorse"),
        ("slower by microseconds", new_sample(1000, 0, 3e-5), old_sample(3000, 0, 1e-5), "pass", "go_on", "NoWorse"),
        ("slow, no old numbers", new_sample(1000, 0, 0.5), old_sample(3000, 0), "pass", "go_on", "NoWorse"),
        ("new is silent", new_sample(0, 0), old_sample(3000, 0), "no_data", "hold", "NewFleetSilent"),
        ("new has done little", new_sample(50, 50), old_sample(3000, 0), "no_data", "hold", "NewFleetSilent"),
        ("nobody has traffic", new_sample(0, 0), old_sample(0, 0), "no_data", "go_on", "GroupIdle"),
        ("a trickle", new_sample(5, 0), old_sample(9, 0), "no_data", "hold", "LittleTraffic"),
    ],
)
def test_the_table(why: str, new: FleetSample, old: FleetSample, outcome: str, advice: str, code: str | None) -> None:
    found = judged(new, old)
    assert (found.outcome, found.advice) == (outcome, advice), found
    assert code is None or found.reasons[0].code == code
    assert found.reasons[0].text


def test_an_idle_group_is_not_passed_before_it_was_looked_at_for_a_while() -> None:
    assert judged(new_sample(0, 0), old_sample(0, 0), window_s=2.0).advice == "hold"


def test_a_trickle_is_enough_after_long_without_a_failure() -> None:
    assert judged(new_sample(5, 0), old_sample(9, 0), window_s=301.0).advice == "go_on"
    assert judged(new_sample(5, 1), old_sample(9, 0), window_s=301.0).advice == "hold"


def test_unreadable_measurements_are_an_error_that_holds() -> None:
    found = unreadable(GROUP, "HTTP 500")
    assert (found.outcome, found.advice) == ("error", "hold")
    assert "HTTP 500" in found.reasons[0].text


def test_a_fail_explains_itself_with_numbers() -> None:
    reason = judged(new_sample(900, 100), old_sample(2999, 1)).reasons[0]
    assert "100 of 1000" in reason.text
    assert {c.name: c.value for c in reason.compared}["error_ratio"] == pytest.approx(0.1)


counts = st.integers(0, 5000)


@given(counts, counts, counts, counts)
def test_only_fail_rolls_back_and_only_with_every_condition(
    ok_new: int, bad_new: int, ok_old: int, bad_old: int
) -> None:
    new, old = new_sample(ok_new, bad_new), old_sample(ok_old, bad_old)
    found = judged(new, old)
    assert (found.advice == "roll_back") == (found.outcome == "fail")
    if found.outcome == "fail":
        assert new.error_ratio > SLO
        assert new.error_ratio - old.error_ratio >= JudgePolicy().error_effect_min
        assert chance_of(new, old) < JudgePolicy().chance_max


@given(counts, counts, st.integers(1, 4))
def test_alike_never_fails(ok: int, bad: int, times: int) -> None:
    assert judged(new_sample(ok, bad), old_sample(ok * times, bad * times)).outcome != "fail"


@given(counts, counts, counts, counts, st.integers(1, 2000))
def test_more_failures_never_help(ok_new: int, bad_new: int, ok_old: int, bad_old: int, more: int) -> None:
    old = old_sample(ok_old, bad_old)
    assume(ok_new + bad_new >= JudgePolicy().messages_min)
    rank = {"pass": 0, "inconclusive": 1, "no_data": 1, "fail": 2}
    before = judged(new_sample(ok_new, bad_new), old)
    after = judged(new_sample(ok_new, bad_new + more), old)
    assert rank[after.outcome] >= rank[before.outcome]
