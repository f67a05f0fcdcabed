"""Verdicts rolled up: the worst stage is the pipeline, the system from its units, causes; flapping and quantiles."""

import math
from dataclasses import replace

import pytest

from services.observer.domain.activities import Activity
from services.observer.domain.attribution import cause_of
from services.observer.domain.evidence import (
    Failed,
    FleetRates,
    GroupFacts,
    Inventory,
    PipelineFacts,
    Readings,
    Windowed,
)
from services.observer.domain.flapping import change_percent, is_flapping
from services.observer.domain.group_health import GroupJudgement
from services.observer.domain.lag import quantile, share_over
from services.observer.domain.rollup import LossFinding, roll_up_all
from services.observer.domain.verdict import roll_up_system
from shared.domain.activity import ActivityKind
from shared.domain.health import VerdictState as V
from tests.observer.ailing_group import Group
from tests.observer.requests import activity


def test_quantiles_and_shares_of_merged_buckets() -> None:
    buckets = {1.0: 50.0, 2.0: 90.0, 4.0: 100.0, math.inf: 100.0}
    assert quantile(0.95, buckets) == pytest.approx(3.0)
    assert share_over(3.0, buckets) == pytest.approx(0.05)
    assert share_over(100.0, buckets) == 0.0
    assert quantile(0.95, {1.0: 0.0, math.inf: 10.0}) == 1.0  # "at least"
    assert quantile(0.95, {}) is None
    assert share_over(1.0, {1.0: 0.0, math.inf: 0.0}) is None


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
