"""Plans: golden texts that an operator reads, and what every plan must keep."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.deployer.domain.plan import AddFleet, Bake, Judge, Plan, RemoveFleet, Share, render, unsafe
from services.deployer.domain.strategies import RolloutWish, Situation, compose, strategies
from shared.domain.names import FleetId
from shared.domain.reason import Reason
from tests.deployer.plans import NEW, OLD, situation

GOLDEN = Path(__file__).parent / "golden"
ROLLING = RolloutWish("rolling", (25, 50, 100), bake_s=300.0)


def planned(wanted: Situation) -> Plan:
    plan = compose(wanted)
    assert isinstance(plan, Plan), plan
    return plan


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("rolling_4_nodes", situation(ROLLING)),
        ("rolling_1_node_12_partitions", situation(ROLLING, nodes=1, partitions=12)),
        ("rolling_12_nodes_12_partitions", situation(ROLLING, nodes=12, partitions=12)),
        ("rolling_1_node_1_partition", situation(ROLLING, nodes=1, partitions=1)),
        ("canary_10_percent", situation(RolloutWish("canary", percent=10, bake_s=90.0), nodes=10)),
        ("blue_green", situation(RolloutWish("blue_green", bake_s=60.0), nodes=3)),
        ("no_nodes", situation(ROLLING, nodes=0)),
        ("leftover", situation(ROLLING, nodes=2, leftovers=(FleetId("delays-r0"),))),
    ],
)
def test_a_plan_reads_as_it_should(name: str, wanted: Situation) -> None:
    text = render(planned(wanted)) + "\n"
    assert text == (GOLDEN / f"{name}.txt").read_text()


def test_in_place_is_refused_with_a_reason_and_a_remedy() -> None:
    refused = compose(situation(RolloutWish("in_place")))
    assert isinstance(refused, Reason)
    assert refused.code == "StrategyRefused"
    assert refused.remedy


def test_an_unknown_strategy_names_the_known_ones() -> None:
    refused = compose(situation(RolloutWish("big_bang")))
    assert isinstance(refused, Reason)
    assert "big_bang" in refused.text
    assert strategies() == ("blue_green", "canary", "in_place", "rolling")


percents = st.sets(st.integers(1, 99), max_size=6).map(lambda found: (*sorted(found), 100))
wishes = st.one_of(
    st.builds(RolloutWish, st.just("rolling"), percents, bake_s=st.floats(0, 600)),
    st.builds(RolloutWish, st.just("canary"), percent=st.integers(1, 50), bake_s=st.floats(0, 600)),
    st.builds(RolloutWish, st.just("blue_green"), bake_s=st.floats(0, 600)),
)


@given(wishes, st.integers(0, 60), st.integers(0, 60))
def test_every_plan_is_safe(wish: RolloutWish, nodes: int, partitions: int) -> None:
    plan = planned(situation(wish, nodes, partitions))
    assert unsafe(plan, partitions) == []


@given(wishes, st.integers(1, 60), st.integers(0, 60))
def test_growth_before_removal(wish: RolloutWish, nodes: int, partitions: int) -> None:
    """Step by step: capacity with traffic never falls below the group's, counting a fleet only once it was given traffic."""
    plan = planned(situation(wish, nodes, partitions))
    old, new, old_serves = nodes, 0, True
    for step in plan.steps:
        match step:
            case Share():
                new = max(new, step.floor)
                old, old_serves = step.old_floor, step.percent < 100
            case RemoveFleet(fleet=fleet):
                assert fleet != NEW
                assert not old_serves
                old = 0
            case AddFleet() | Bake() | Judge():
                pass
        assert new + (old if old_serves else 0) >= nodes


BROKEN: dict[str, Plan] = {
    "NewFleetFirst": replace(planned(situation(ROLLING)), steps=planned(situation(ROLLING)).steps[1:]),
    "EndsWithAll": replace(planned(situation(ROLLING)), steps=(AddFleet(NEW, 0), Share(NEW, 25, 1, 3))),
    "SharesGrow": replace(
        planned(situation(ROLLING)), steps=(AddFleet(NEW, 0), Share(NEW, 50, 2, 2), Share(NEW, 25, 1, 3))
    ),
    "JudgedWithTraffic": replace(planned(situation(ROLLING)), steps=(AddFleet(NEW, 0), Judge(NEW, OLD))),
    "RemovalLast": replace(
        planned(situation(ROLLING)), steps=(AddFleet(NEW, 0), RemoveFleet(OLD), Share(NEW, 100, 4, 0))
    ),
    "NewFleetStays": replace(planned(situation(ROLLING)), steps=(AddFleet(NEW, 0), RemoveFleet(NEW))),
    "NeverLessCapacity": replace(planned(situation(ROLLING)), steps=(AddFleet(NEW, 0), Share(NEW, 100, 3, 4))),
    "NoTrafficToNobody": replace(planned(situation(ROLLING)), steps=(AddFleet(NEW, 0), Share(NEW, 50, 4, 0))),
    "MembersWithinPartitions": replace(planned(situation(ROLLING)), steps=(AddFleet(NEW, 0), Share(NEW, 50, 2, 3))),
}


@pytest.mark.parametrize("name", BROKEN)
def test_each_named_property_finds_its_broken_plan(name: str) -> None:
    assert name in unsafe(BROKEN[name], partitions=4)
