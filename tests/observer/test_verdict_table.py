"""The verdict table: each row in each state, fresh and stale, with its exceptions."""

import pytest

from services.observer.domain.activities import Request
from services.observer.domain.admission import Blocked, Decision, Granted, decide
from services.observer.domain.verdict import WHILE_UNKNOWN, Verdict
from shared.domain.activity import ActivityKind as K
from shared.domain.health import VerdictState as V
from shared.domain.scope import SYSTEM, Scope
from tests.observer.requests import LIMITS, NOW, A, B, P, healthy, request, seen, verdict

STAGE = Scope.parse("stage/p/first")
INVOLVED = (A, STAGE, P, SYSTEM)
GOOD = {V.HEALTHY, V.IDLE}
ROWS: dict[str, tuple[Request, dict[Scope, set[V]]]] = {
    "ROLLBACK": (request(K.ROLLBACK), {}),
    "FREEZE": (request(K.FREEZE), {}),
    "SCALE_OUT": (request(K.SCALE_OUT), {}),
    "DEPLOY": (request(K.DEPLOY), dict.fromkeys(INVOLVED, GOOD)),
    "RAMP": (request(K.RAMP), dict.fromkeys(INVOLVED, GOOD)),
    "PROVISION new": (request(K.PROVISION, creates=True), {SYSTEM: {V.HEALTHY, V.IDLE, V.DEGRADED}}),
    "PROVISION serving": (request(K.PROVISION), dict.fromkeys(INVOLVED, GOOD)),
    "DRIFT_REPAIR": (request(K.DRIFT_REPAIR), dict.fromkeys(INVOLVED, GOOD)),
    "DRIFT_REPAIR security": (request(K.DRIFT_REPAIR, security=True), {}),
    "SCALE_IN": (request(K.SCALE_IN), dict.fromkeys((A, STAGE, P), GOOD)),
}


def ask(asked: Request, *verdicts: Verdict) -> Decision:
    return decide(asked, seen(verdicts=healthy(*verdicts)), LIMITS)


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("scope", INVOLVED, ids=str)
@pytest.mark.parametrize("state", list(V))
def test_row_in_state(row: str, scope: Scope, state: V) -> None:
    asked, allowed = ROWS[row]
    answer = ask(asked, verdict(scope, state))
    if state in allowed.get(scope, set(V)):
        assert answer == Granted()
    else:
        assert isinstance(answer, Blocked)
        assert [(r.code, r.scope) for r in answer.reasons] == [(f"Verdict{state.value.title()}", str(scope))]
        assert answer.retry_after_s > 0


@pytest.mark.parametrize("row", ROWS)
def test_stale_or_missing_verdicts_close_what_needs_them(row: str) -> None:
    """UnknownHolds: as after the loss of the verdict store."""
    asked, allowed = ROWS[row]
    stale = [verdict(s, as_of=NOW - 31) for s in INVOLVED]
    for answer in (ask(asked, *stale), decide(asked, seen(verdicts={}), LIMITS)):
        assert isinstance(answer, Blocked) == bool(allowed)
        if isinstance(answer, Blocked):
            assert {r.code for r in answer.reasons} == {"VerdictUnknown"}
            assert {r.scope for r in answer.reasons} == {str(s) for s in allowed}


def test_a_verdict_from_the_future_is_not_believed() -> None:
    assert isinstance(ask(request(K.DEPLOY), verdict(A, as_of=NOW + 10)), Blocked)


@pytest.mark.parametrize("kind", [K.DEPLOY, K.RAMP])
def test_a_person_may_override_the_verdict_and_nothing_else(kind: K) -> None:
    bad = verdict(A, V.UNHEALTHY)
    assert ask(request(kind, override_reason="the new version is the fix"), bad) == Granted()
    assert isinstance(ask(request(kind), bad), Blocked)
    assert isinstance(ask(request(K.SCALE_IN, override_reason="please"), bad), Blocked)


@pytest.mark.parametrize(
    ("age_s", "code"), [(None, "SignalAgeMissing"), (60.1, "SignalStale"), (-1.0, "SignalStale"), (60.0, None)]
)
def test_growth_needs_a_fresh_signal(age_s: float | None, code: str | None) -> None:
    answer = ask(request(K.SCALE_OUT, signal_age_s=age_s))
    if code is None:
        assert answer == Granted()
    else:
        assert isinstance(answer, Blocked)
        assert [r.code for r in answer.reasons] == [code]


@pytest.mark.parametrize(
    ("signals", "code"),
    [
        ({"backlog": 0.0}, None),
        ({"backlog": 100.0}, None),  # work in hand
        ({"backlog": 101.0}, "Backlog"),
        ({"backlog": 1000.0, "arrival_rate": 500.0}, None),  # two seconds of it
        ({"backlog": 1001.0, "arrival_rate": 500.0}, "Backlog"),
        ({}, "BacklogUnknown"),
    ],
)
def test_nothing_is_taken_away_from_a_backlog(signals: dict[str, float], code: str | None) -> None:
    answer = ask(request(K.SCALE_IN), verdict(A, signals=signals))
    if code is None:
        assert answer == Granted()
    else:
        assert isinstance(answer, Blocked)
        assert [r.code for r in answer.reasons] == [code]


def test_another_groups_backlog_does_not_matter() -> None:
    assert ask(request(K.SCALE_IN), verdict(B, signals={"backlog": 9e9})) == Granted()


def test_reasons_carry_the_numbers_that_made_the_verdict_bad() -> None:
    from shared.domain.reason import Compared, Reason

    why = Reason("LagOverSlo", "group/a", "90 % of events are later than 5 s", (Compared("late", 0.9, "<=", 0.3),))
    answer = ask(request(K.DEPLOY), verdict(A, V.UNHEALTHY, reasons=(why,)))
    assert isinstance(answer, Blocked)
    assert answer.reasons[0].compared == why.compared
    assert "later than 5 s" in answer.reasons[0].text
    assert answer.reasons[0].since is not None


def test_the_consumers_table_while_unknown_agrees() -> None:
    kinds = {"deploy.continue": K.DEPLOY, "scale_in": K.SCALE_IN, "scale_out": K.SCALE_OUT, "rollback": K.ROLLBACK}
    for use, kind in kinds.items():
        answer = ask(request(kind), *[verdict(s, V.UNKNOWN) for s in INVOLVED])
        assert isinstance(answer, Granted) == WHILE_UNKNOWN[use]
