"""Groups judged tick by tick: each dimension, bounds, hysteresis, blindness."""

import math
from dataclasses import replace

import pytest

from services.observer.domain.evidence import (
    FleetRates,
    Windowed,
)
from services.observer.domain.group_health import GroupJudgement, judge_group
from services.observer.domain.hysteresis import Committed, Confirmations, commit
from shared.domain.health import VerdictState as V
from tests.observer.ailing_group import POLICY, Group


@pytest.fixture
def group() -> Group:
    made = Group()
    assert made.tick(3).state is V.HEALTHY
    return made


def codes(judged: GroupJudgement) -> set[str]:
    return {r.code for r in judged.reasons}


def test_signals_that_others_read(group: Group) -> None:
    group.backlog = 7
    signals = group.tick(6).signals
    assert signals["arrival_rate"] == pytest.approx(100, rel=0.1)
    assert signals["backlog"] == 7
    assert signals["lag_p95_s"] == pytest.approx(0.475)
    assert signals["error_ratio"] == 0
    assert (signals["desired"], signals["in_service"]) == (4, 4)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"lag_s": 9.0}, "LagOverSlo"),
        ({"oldest_age_s": 11.0}, "LagExtrapolated"),
        ({"failed": 10.0}, "ErrorsOverSlo"),
        ({"in_service": 3, "reporting": 3}, "CapacityShort"),
        ({"in_service": 0, "reporting": 0}, "NoInstances"),
    ],
)
def test_bad_after_two_ticks_good_after_three(group: Group, change: dict[str, float], code: str) -> None:
    """Entering takes fewer confirmations than leaving."""
    good = {k: getattr(group, k) for k in change}
    for k, v in change.items():
        setattr(group, k, v)
    assert group.tick().state is V.HEALTHY
    bad = group.tick()
    assert bad.state is V.UNHEALTHY
    assert code in codes(bad)
    for k, v in good.items():
        setattr(group, k, v)
    assert group.tick(2).state is V.UNHEALTHY
    assert group.tick().state is V.HEALTHY


def test_a_dead_consumer_cannot_hide_behind_its_last_lag(group: Group) -> None:
    group.stuck, group.backlog = True, 500
    assert group.tick(5).state is V.HEALTHY
    judged = group.tick(2)
    assert judged.state is V.UNHEALTHY
    assert "ConsumerStalled" in codes(judged)


def test_a_failed_scrape_resets_nothing(group: Group) -> None:
    """One bad tick, two blind ones, one bad tick: that makes two."""
    group.failed = 10
    group.tick()
    group.prometheus_down = True
    assert group.tick(2).state is V.HEALTHY
    group.prometheus_down = False
    assert group.tick().state is V.UNHEALTHY


def test_blind_is_unknown_and_unhealthy_stays(group: Group) -> None:
    group.prometheus_down = True
    assert group.tick(2).state is V.HEALTHY
    blind = group.tick()
    assert blind.state is V.UNKNOWN
    assert codes(blind) == {"QueryFailed"}
    group.prometheus_down, group.failed = False, 10
    assert group.tick(2).state is V.UNHEALTHY
    group.prometheus_down = True
    assert group.tick(20).state is V.UNHEALTHY


@pytest.mark.parametrize("source", ["broker_down", "aws_down"])
def test_each_source_has_its_own_blindness(group: Group, source: str) -> None:
    setattr(group, source, True)
    assert group.tick(3).state is V.UNKNOWN
    setattr(group, source, False)
    assert group.tick().state is V.HEALTHY
    assert group.tick().signals["backlog"] == 0


def test_missing_backlog_is_absent_not_zero(group: Group) -> None:
    group.broker_down = True
    assert "backlog" not in group.tick().signals


def test_silent_members_are_neither_good_nor_bad(group: Group) -> None:
    group.reporting = 2
    judged = group.tick(3)
    assert judged.state is V.UNKNOWN
    assert (judged.coverage.expected, judged.coverage.reporting) == (4, 2)
    assert "InsufficientCoverage" in codes(judged)


def test_members_in_warm_up_are_not_expected_and_pending_ones_are_excused(group: Group) -> None:
    group.desired, group.pending = 6, 2
    assert group.tick(3).state is V.HEALTHY
    group.pending, group.in_service = 0, 6
    judged = group.tick()
    assert judged.coverage.expected == 4
    assert judged.state is V.HEALTHY
    group.reporting = 6
    assert group.tick(3).coverage.expected == 6


def test_a_launch_that_takes_too_long_is_excused_no_more(group: Group) -> None:
    group.desired, group.pending = 8, 4
    assert group.tick(30).state is V.HEALTHY
    assert group.tick(3).state is V.UNHEALTHY


@pytest.mark.parametrize("change", [{"desired": 0, "in_service": 0, "reporting": 0}, {"facts": None}])
def test_idle_by_intent_at_once(group: Group, change: dict[str, object]) -> None:
    group.failed = 10
    assert group.tick(2).state is V.UNHEALTHY
    if "facts" in change:
        change = {"facts": replace(group.facts, settling=True)}
    for k, v in change.items():
        setattr(group, k, v)
    assert group.tick().state is V.IDLE


def test_without_traffic_idle_but_not_dead(group: Group) -> None:
    group.rate = 0
    assert group.tick(8).state is V.IDLE
    group.reporting = 0
    assert group.tick(3).state is V.UNKNOWN
    group.reporting, group.in_service = 4, 2
    assert group.tick(3).state is V.UNHEALTHY


def test_a_first_launch_is_not_an_outage() -> None:
    young = Group(desired=2, in_service=0, pending=2, reporting=0, rate=0)
    serving = young.facts
    young.facts = replace(serving, serving=False)  # weights are set once members are in service
    assert young.tick().state is V.IDLE
    assert young.tick(5).state is V.IDLE
    young.facts = serving
    young.in_service, young.pending, young.reporting, young.rate = 2, 0, 2, 50
    assert young.tick(4).state is V.HEALTHY
    young.in_service, young.pending = 0, 2
    assert young.tick(2).state is V.UNHEALTHY


@pytest.mark.parametrize(
    ("settling_ticks", "seen_ticks", "unseen_s", "state"),
    [
        (1, 0, 2, V.IDLE),  # one look is no evidence
        (1, 0, 6, V.UNKNOWN),
        (1, 0, 30, V.UNKNOWN),
        (1, 0, 34, V.UNHEALTHY),  # time is over, and confirmed
        (40, 0, 30, V.UNKNOWN),  # counted from the end of the making
        (1, 1, 4, V.UNHEALTHY),  # it was seen, and has vanished
        (0, 0, 2, V.UNHEALTHY),  # nobody has seen it being made
    ],
)
def test_what_was_just_made_may_be_seen_late_and_what_vanished_is_missed_at_once(
    settling_ticks: int, seen_ticks: int, unseen_s: int, state: V
) -> None:
    group = Group(rate=0)
    group.facts = replace(group.facts, settling=True)
    group.unseen = True
    for _ in range(settling_ticks):
        assert group.tick().state is V.IDLE
    group.facts = replace(group.facts, settling=False)
    group.unseen = False
    for _ in range(seen_ticks):
        group.tick()
    group.unseen = True
    judged = group.tick(unseen_s // 2)
    assert judged.state is state
    assert codes(judged) == {"NoInstances" if state is V.UNHEALTHY else "NotSeenYet"}


def test_too_few_events_are_no_evidence_for_a_page(group: Group) -> None:
    group.rate, group.failed = 1.0, 1.0
    assert group.tick(4).state is V.HEALTHY


def test_near_the_slo_is_degraded(group: Group) -> None:
    window = Windowed({"g": {2.0: 93.0, 5.0: 100.0, math.inf: 100.0}}, {("g", "g-r1"): FleetRates(100, 0)})
    evidence = group.evidence()
    readings = replace(evidence.readings, fast=window, slow=window)
    memory = group.memory
    ill = replace(evidence, readings=readings)
    _, memory = judge_group(ill, memory, POLICY, group.now)
    judged, _ = judge_group(ill, memory, POLICY, group.now)
    assert judged.state is V.DEGRADED


def test_unknown_turns_into_good_at_once_and_into_bad_with_confirmation() -> None:
    need = Confirmations()
    unknown = Committed(V.UNKNOWN, 0.0)
    assert commit(unknown, V.HEALTHY, 1.0, need).state is V.HEALTHY
    assert commit(unknown, V.UNHEALTHY, 1.0, need).state is V.UNKNOWN
