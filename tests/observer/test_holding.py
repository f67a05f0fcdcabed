"""What holders hear: park, resume, stop; and that nobody waits for ever."""

from dataclasses import replace

import pytest

from services.observer.domain.activities import Activity, ParkAsk
from services.observer.domain.holding import Asked, ask_of
from services.observer.domain.matrix import MATRIX, Cell
from shared.domain.activity import ActivityKind as K
from shared.domain.activity import ActivityOutcome, HolderAsk
from shared.domain.health import VerdictState as V
from shared.domain.names import FencingToken, RequestId
from tests.observer.requests import LIMITS, NOW, A, activity, healthy, seen, verdict


def hear(
    mine: Activity, *others: Activity, parked: bool = False, before_step: bool = False, bad: bool = False
) -> Asked:
    verdicts = healthy(verdict(A, V.UNHEALTHY)) if bad else healthy()
    situation = seen(mine, *others, verdicts=verdicts)
    return ask_of(mine, mine.token, situation, LIMITS, parked=parked, before_step=before_step)


def test_goes_on_alone() -> None:
    assert hear(activity(K.DEPLOY), before_step=True) == Asked(HolderAsk.GO_ON)


@pytest.mark.parametrize("held", list(K))
@pytest.mark.parametrize("other", list(K))
def test_parks_for_what_it_must_yield_to(held: K, other: K) -> None:
    mine = activity(held, token=1)
    answer = hear(mine, activity(other, token=2))
    assert (answer.ask is HolderAsk.PARK) == (MATRIX[other][held] is Cell.YIELD)


def test_a_ramp_parks_for_an_overridden_deployment_which_does_not_park_for_it() -> None:
    ramp, mend = activity(K.RAMP, token=1), replace(activity(K.DEPLOY, token=2), override_reason="it is the fix")
    assert hear(ramp, mend).ask is HolderAsk.PARK
    assert hear(mend, ramp, before_step=True).ask is HolderAsk.GO_ON
    assert hear(ramp, activity(K.DEPLOY, token=2)).ask is HolderAsk.GO_ON


def test_parks_while_asked_and_resumes_when_nobody_asks_any_more() -> None:
    fresh = ParkAsk(RequestId("r"), NOW - 20, NOW - 30)
    gone = ParkAsk(RequestId("r"), NOW - 60, NOW - 30.1)
    assert hear(activity(K.DEPLOY, ask=fresh)).ask is HolderAsk.PARK
    assert hear(activity(K.DEPLOY, ask=gone, parked=True), parked=True).ask is HolderAsk.GO_ON


def test_freeze_lets_the_step_finish_and_holds_the_next() -> None:
    mine, freeze = activity(K.DEPLOY, token=1), activity(K.FREEZE, token=2)
    assert hear(mine, freeze).ask is HolderAsk.GO_ON
    assert hear(mine, freeze, before_step=True).ask is HolderAsk.PARK
    assert hear(mine, freeze, parked=True).ask is HolderAsk.PARK
    assert hear(activity(K.ROLLBACK), freeze, before_step=True).ask is HolderAsk.GO_ON


def test_verdict_is_checked_again_before_each_step_unless_overridden() -> None:
    assert hear(activity(K.DEPLOY), bad=True).ask is HolderAsk.GO_ON
    held = hear(activity(K.DEPLOY), bad=True, before_step=True)
    assert held.ask is HolderAsk.PARK
    assert held.retry_after_s > 0
    assert held.reasons[0].code == "VerdictUnhealthy"
    assert hear(activity(K.DEPLOY, override_reason="the fix"), bad=True, before_step=True).ask is HolderAsk.GO_ON
    assert hear(activity(K.SCALE_OUT), bad=True, before_step=True).ask is HolderAsk.GO_ON


def test_ramp_holds_its_next_step_while_the_group_is_scaled_out() -> None:
    assert hear(activity(K.RAMP, token=1), activity(K.SCALE_OUT, token=2), before_step=True).ask is HolderAsk.PARK


def test_of_two_that_wait_for_each_other_only_the_younger_parks() -> None:
    """Their scopes came to meet after both had begun."""
    old, young = activity(K.PROVISION, token=1), activity(K.PROVISION, token=2)
    assert hear(old, young, before_step=True).ask is HolderAsk.GO_ON
    assert hear(young, old, before_step=True).ask is HolderAsk.PARK


def test_wrong_token_stops() -> None:
    mine = activity(K.DEPLOY, token=5)
    answer = ask_of(mine, FencingToken(4), seen(mine), LIMITS, parked=False, before_step=False)
    assert (answer.ask, answer.reasons[0].code) == (HolderAsk.STOP, "WrongToken")


def test_a_lapsed_lease_stops_and_is_not_renewed() -> None:
    answer = hear(activity(K.DEPLOY, expires_at=NOW))
    assert (answer.ask, answer.expired, answer.reasons[0].code) == (HolderAsk.STOP, True, "LeaseLapsed")


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (ActivityOutcome.EXPIRED, "LeaseLapsed"),
        (ActivityOutcome.TAKEN_OVER, "TakenOver"),
        (ActivityOutcome.DONE, "Ended"),
    ],
)
def test_an_ended_one_stops(outcome: ActivityOutcome, code: str) -> None:
    answer = hear(activity(K.DEPLOY, outcome=outcome, ended_at=NOW - 1))
    assert (answer.ask, answer.reasons[0].code) == (HolderAsk.STOP, code)
