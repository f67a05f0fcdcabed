"""Groups judged tick by tick: each dimension, bounds, hysteresis, blindness; and what is rolled up from them."""

import math
from dataclasses import dataclass, field, replace

import pytest

from services.observer.domain.activities import Activity
from services.observer.domain.attribution import cause_of
from services.observer.domain.evidence import (
    Failed,
    FleetMembers,
    FleetRates,
    GroupFacts,
    Inventory,
    Member,
    Offsets,
    PipelineFacts,
    Readings,
    Windowed,
)
from services.observer.domain.flapping import change_percent, is_flapping
from services.observer.domain.group_health import GroupEvidence, GroupJudgement, GroupMemory, HealthPolicy, judge_group
from services.observer.domain.hysteresis import Committed, Confirmations, commit
from services.observer.domain.lag import quantile, share_over
from services.observer.domain.rollup import LossFinding, roll_up_all
from services.observer.domain.verdict import roll_up_system
from shared.domain.activity import ActivityKind
from shared.domain.health import VerdictState as V
from tests.observer.requests import activity

POLICY = HealthPolicy(
    lag_burn_max=2.0, error_burn_max=14.4, warm_up_s=3, launch_s_max=60, stall_s=10, report_age_s_max=5
)
TICK_S = 2.0


def lag_of(seconds: float, rate: float) -> dict[float, float]:
    return {b: rate if seconds <= b else 0.0 for b in (0.5, 1.0, 2.0, 5.0, 10.0, 60.0, math.inf)}


@dataclass
class Group:
    """A group that can be made ill, tick by tick."""

    facts: GroupFacts = field(default_factory=lambda: GroupFacts("g", 1, lag_p95_s=2.0, topic_in="t", nodes_min=2))
    desired: int = 4
    in_service: int = 4
    pending: int = 0
    reporting: int = 4
    rate: float = 100.0
    lag_s: float = 0.4
    failed: float = 0.0
    oldest_age_s: float | None = None
    backlog: int = 0
    stuck: bool = False
    prometheus_down: bool = False
    broker_down: bool = False
    aws_down: bool = False
    unseen: bool = False  # AWS tells of no fleet
    now: float = 1_000.0
    done: int = 0
    memory: GroupMemory | None = None

    def tick(self, count: int = 1) -> GroupJudgement:
        for _ in range(count - 1):
            self.tick()
        self.now += TICK_S
        if not self.stuck:
            self.done += int(self.rate * TICK_S)
        judged, self.memory = judge_group(self.evidence(), self.memory, POLICY, self.now)
        return judged

    def evidence(self) -> GroupEvidence:
        members = tuple(Member(f"i-{i}", in_service=True) for i in range(self.in_service)) + tuple(
            Member(f"p-{i}", in_service=False, pending=True) for i in range(self.pending)
        )
        down = Failed("connection refused")
        window = Windowed(
            {"g": lag_of(self.lag_s, self.rate)} if self.rate else {},
            {("g", "g-r1"): FleetRates(self.rate, self.failed)},
        )
        oldest = {} if self.oldest_age_s is None else {"g": self.now - self.oldest_age_s}
        readings = Readings(
            self.now,
            down if self.prometheus_down else window,
            down if self.prometheus_down else window,
            down if self.prometheus_down else {"g": {f"i-{i}": self.now for i in range(self.reporting)}},
            down if self.prometheus_down else oldest,
        )
        offsets: Offsets | Failed = Offsets({0: self.done + self.backlog}, {0: self.done})
        fleets = () if self.unseen else (FleetMembers("g", "g-r1", self.desired, members),)
        return GroupEvidence(
            self.facts,
            down if self.aws_down else fleets,
            readings,
            down if self.broker_down else offsets,
            fast_s=10,
            slow_s=30,
        )


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


def test_quantiles_and_shares_of_merged_buckets() -> None:
    buckets = {1.0: 50.0, 2.0: 90.0, 4.0: 100.0, math.inf: 100.0}
    assert quantile(0.95, buckets) == pytest.approx(3.0)
    assert share_over(3.0, buckets) == pytest.approx(0.05)
    assert share_over(100.0, buckets) == 0.0
    assert quantile(0.95, {1.0: 0.0, math.inf: 10.0}) == 1.0  # "at least"
    assert quantile(0.95, {}) is None
    assert share_over(1.0, {1.0: 0.0, math.inf: 0.0}) is None


def test_unknown_turns_into_good_at_once_and_into_bad_with_confirmation() -> None:
    need = Confirmations()
    unknown = Committed(V.UNKNOWN, 0.0)
    assert commit(unknown, V.HEALTHY, 1.0, need).state is V.HEALTHY
    assert commit(unknown, V.UNHEALTHY, 1.0, need).state is V.UNKNOWN


def test_flapping_as_nagios_computes_it() -> None:
    changes = {3, 4, 5, 9, 12, 16, 19}
    states = [V.HEALTHY]
    for x in range(1, 21):
        other = V.UNHEALTHY if states[-1] is V.HEALTHY else V.HEALTHY
        states.append(other if x in changes else states[-1])
    assert change_percent(states) == pytest.approx(34.28, abs=0.01)
    assert is_flapping(states, before=False)
    calm = [V.HEALTHY] * 21
    assert not is_flapping(calm, before=True)


# ------------------------------------------------------------------------------------------------------------- rolled up


def judged(state: V) -> GroupJudgement:
    group = Group()
    return replace(group.tick(), state=state)


def states_of(groups: dict[str, V], loss: LossFinding | None = None) -> dict[str, V]:
    facts = {name: GroupFacts(name, 1) for name in groups}
    pipelines = {"p": PipelineFacts("p", 1, {"first": "a", "second": "b"})}
    found = roll_up_all(
        Inventory(facts, pipelines), {n: judged(s) for n, s in groups.items()}, {"p": loss} if loss else {}
    )
    return {str(j.scope): j.state for j in found}


def test_worst_stage_is_the_pipeline() -> None:
    found = states_of({"a": V.HEALTHY, "b": V.UNHEALTHY})
    assert found["stage/p/second"] is found["pipeline/p"] is found["system"] is V.UNHEALTHY
    assert states_of({"a": V.IDLE, "b": V.IDLE})["pipeline/p"] is V.IDLE
    assert states_of({"a": V.HEALTHY, "b": V.IDLE})["pipeline/p"] is V.HEALTHY


def test_a_stage_whose_group_is_missing_is_unknown() -> None:
    assert states_of({"a": V.HEALTHY})["pipeline/p"] is V.UNKNOWN


def test_loss_makes_the_pipeline_bad_and_no_group() -> None:
    found = states_of({"a": V.HEALTHY, "b": V.HEALTHY}, LossFinding(V.UNHEALTHY))
    assert found["pipeline/p"] is V.UNHEALTHY
    assert found["group/a"] is V.HEALTHY


@pytest.mark.parametrize(
    ("units", "system"),
    [
        ([], V.IDLE),
        ([V.IDLE, V.IDLE], V.IDLE),
        ([V.UNHEALTHY], V.UNHEALTHY),
        ([V.UNHEALTHY, V.HEALTHY, V.HEALTHY], V.HEALTHY),
        ([V.UNHEALTHY, V.UNHEALTHY, V.HEALTHY], V.UNHEALTHY),
        ([V.UNHEALTHY] * 2 + [V.HEALTHY] * 30, V.HEALTHY),
        ([V.UNKNOWN, V.UNKNOWN, V.HEALTHY], V.UNKNOWN),
        ([V.UNKNOWN, V.UNHEALTHY, V.HEALTHY, V.HEALTHY], V.UNKNOWN),
        ([V.UNKNOWN, V.HEALTHY, V.HEALTHY], V.HEALTHY),
        ([V.UNHEALTHY, V.IDLE], V.UNHEALTHY),
        ([V.DEGRADED, V.DEGRADED, V.HEALTHY], V.DEGRADED),
    ],
)
def test_the_system_from_its_units(units: list[V], system: V) -> None:
    assert roll_up_system(units) is system


def test_a_cause_needs_the_new_fleet_to_be_worse_at_the_same_minute() -> None:
    facts = GroupFacts("g", 1, new_fleets=("g-r2",))
    deploy: list[Activity] = [activity(ActivityKind.DEPLOY)]

    def cause(new: FleetRates, old: FleetRates) -> str:
        window = Windowed({}, {("g", "g-r2"): new, ("g", "g-r1"): old})
        return cause_of(facts, Readings(0, window, window, {}), deploy)

    assert cause(FleetRates(50, 5), FleetRates(50, 0)) == "act-1"
    assert not cause(FleetRates(50, 5), FleetRates(50, 5))  # the old one suffers as much
    assert not cause(FleetRates(0.1, 0.1), FleetRates(50, 0))  # too little to say
    assert not cause_of(replace(facts, new_fleets=()), Readings(0, Failed(""), Failed(""), {}), deploy)
