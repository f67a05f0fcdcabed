"""Routes, weights and ramps: safety properties by name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.provisioner.domain.traffic import (
    BUCKETS,
    FleetRoute,
    admitted,
    checked_weights,
    may_remove,
    next_routes,
)
from shared.domain.errors import InvalidInput, Refused
from shared.domain.names import FleetId, GroupName, RevisionNumber

G = GroupName("delays")


def route(revision: int, weight: int, *endpoints: str) -> FleetRoute:
    return FleetRoute(FleetId(f"delays-r{revision}"), RevisionNumber(revision), weight, endpoints)


routes = st.lists(
    st.builds(route, st.integers(1, 4), st.integers(0, 100), st.sampled_from(["a:7400", "b:7400"])),
    max_size=3,
    unique_by=lambda f: f.fleet,
)


@given(st.lists(st.tuples(routes, st.integers(0, 100), st.sampled_from(["x", "y"])), max_size=12))
def test_generation_grows_exactly_when_content_changes(states: list[tuple[list[FleetRoute], int, str]]) -> None:
    """GenerationOnlyGrows."""
    now = None
    for fleets, percent, assignment in states:
        after = next_routes(now, G, fleets, percent, assignment)
        if now is not None:
            same = (now.fleets, now.ramp_percent, now.assignment) == (
                after.fleets,
                after.ramp_percent,
                after.assignment,
            )
            assert after.generation == now.generation + (0 if same else 1)
        now = after


@given(st.integers(0, BUCKETS - 1), st.integers(0, 100), st.integers(0, 100))
def test_a_bucket_once_admitted_stays_admitted(bucket: int, low: int, high: int) -> None:
    """BucketsMonotone."""
    low, high = sorted((low, high))
    assert not admitted(bucket, low) or admitted(bucket, high)


@given(st.integers(0, 100))
def test_a_percentage_admits_its_share_of_buckets(percent: int) -> None:
    """BucketsExact."""
    assert sum(admitted(b, percent) for b in range(BUCKETS)) == percent * 10


@given(st.dictionaries(st.sampled_from(["delays-r1", "delays-r2"]), st.integers(0, 1000)))
def test_no_weights_leave_a_group_without_traffic(wanted: dict[str, int]) -> None:
    """LastInTraffic."""
    before = {FleetId("delays-r1"): 100, FleetId("delays-r2"): 0}
    try:
        after = checked_weights(G, before, wanted)
    except Refused:
        assert not any(wanted.values())
    else:
        assert any(after.values())
        assert after.keys() == before.keys()


def test_weights_are_absolute_and_name_known_fleets() -> None:
    before = {FleetId("delays-r1"): 100, FleetId("delays-r2"): 0}
    assert checked_weights(G, before, {"delays-r2": 100}) == {"delays-r1": 0, "delays-r2": 100}
    with pytest.raises(InvalidInput, match="delays-r3"):
        checked_weights(G, before, {"delays-r3": 1})
    with pytest.raises(InvalidInput, match="1001"):
        checked_weights(G, before, {"delays-r2": 1001})


def test_the_last_fleet_in_traffic_stays() -> None:
    may_remove(G, FleetId("delays-r1"), {FleetId("delays-r1"): 0})
    may_remove(G, FleetId("delays-r1"), {FleetId("delays-r1"): 50, FleetId("delays-r2"): 50})
    with pytest.raises(Refused, match="last"):
        may_remove(G, FleetId("delays-r1"), {FleetId("delays-r1"): 50, FleetId("delays-r2"): 0})


def test_a_changed_assignment_is_a_new_generation() -> None:
    first = next_routes(None, G, [route(1, 100)], 100, "a")
    assert next_routes(first, G, [route(1, 100)], 100, "a") is not None
    assert next_routes(first, G, [route(1, 100)], 100, "b").generation == 2
