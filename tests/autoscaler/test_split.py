"""The group's total over its fleets, and the order in which they move."""

from hypothesis import given
from hypothesis import strategies as st

from services.autoscaler.domain.group import FleetState, Reservation
from services.autoscaler.domain.split import floors_of, largest_remainder, next_sizes, shares_of, split
from shared.domain.names import FleetId
from tests.autoscaler.groups import fleet, reservation


@st.composite
def rollouts(draw: st.DrawFn) -> tuple[int, tuple[FleetState, ...], tuple[Reservation, ...]]:
    """One to three fleets in any state, some of them reserved."""
    count = draw(st.integers(1, 3))
    fleets = []
    for revision in range(1, count + 1):
        desired = draw(st.integers(0, 40))
        fleets.append(
            fleet(
                desired, revision, in_service=draw(st.integers(0, desired)), weight=draw(st.sampled_from([0, 25, 100]))
            )
        )
    held = tuple(
        reservation(r, draw(st.floats(0, 1)), draw(st.integers(0, 40)), draw(st.integers(0, 40)))
        for r in range(1, count + 1)
        if draw(st.booleans())
    )
    return draw(st.integers(0, 40)), tuple(fleets), held


@given(
    st.integers(0, 500), st.dictionaries(st.text(min_size=1).map(FleetId), st.floats(0.001, 1), min_size=1, max_size=5)
)
def test_SharesSum(total: int, shares: dict[FleetId, float]) -> None:  # noqa: N802  the name of the property
    nodes = largest_remainder(total, shares)
    assert sum(nodes.values()) == total
    whole = sum(shares.values())
    assert all(abs(n - total * shares[f] / whole) <= 1 for f, n in nodes.items())


@given(rollouts())
def test_FloorsHold(case: tuple[int, tuple[FleetState, ...], tuple[Reservation, ...]]) -> None:  # noqa: N802
    total, fleets, held = case
    nodes, floors = split(total, fleets, held), floors_of(fleets, held)
    assert all(nodes[f] >= floors[f] for f in nodes)
    if sum(shares_of(fleets, held).values()) > 0:
        assert sum(nodes.values()) >= total


@given(rollouts())
def test_GrowthBeforeRemoval(case: tuple[int, tuple[FleetState, ...], tuple[Reservation, ...]]) -> None:  # noqa: N802
    """No step leaves less in service than the group needs, or than it had when it had less."""
    total, fleets, held = case
    target = split(total, fleets, held)
    sizes = next_sizes(total, fleets, target)
    had = sum(f.in_service for f in fleets if f.weight > 0)
    has = sum(min(f.in_service, sizes[f.fleet]) for f in fleets if f.weight > 0)
    need_after_desired = min(total, had)
    slack = sum(
        f.desired - f.in_service for f in fleets if f.weight > 0
    )  # those that do not serve may be the ones to go
    assert has >= need_after_desired - slack
    assert all(sizes[f.fleet] >= min(f.desired, target[f.fleet]) for f in fleets)


def test_the_rest_goes_by_weight() -> None:
    fleets = (fleet(3), fleet(1, 2, weight=0))
    assert split(4, fleets, ()) == {"delays-r1": 4, "delays-r2": 0}


def test_nothing_weighted_goes_to_what_runs_then_to_the_newest() -> None:
    assert split(4, (fleet(3, weight=0), fleet(1, 2, weight=0)), ()) == {"delays-r1": 3, "delays-r2": 1}
    assert split(4, (fleet(0, weight=0), fleet(0, 2, weight=0)), ()) == {"delays-r1": 0, "delays-r2": 4}


def test_a_share_that_is_held_and_the_rest() -> None:
    held = (reservation(2, 0.25, floor=1, other_floor=3),)
    assert split(4, (fleet(4), fleet(0, 2, weight=0)), held) == {"delays-r1": 3, "delays-r2": 1}
    assert split(8, (fleet(4), fleet(0, 2, weight=0)), held) == {"delays-r1": 6, "delays-r2": 2}


def test_all_to_the_new_fleet_keeps_the_old_until_the_new_serves() -> None:
    total, held = 4, (reservation(2, 1.0, floor=4),)
    before = (fleet(4), fleet(1, 2, weight=25))
    assert next_sizes(total, before, split(total, before, held)) == {"delays-r1": 3, "delays-r2": 4}
    booted = (fleet(3), fleet(4, 2, weight=25))
    assert next_sizes(total, booted, split(total, booted, held)) == {"delays-r1": 0, "delays-r2": 4}


def test_a_fleet_without_traffic_is_no_replacement() -> None:
    total, held = 4, (reservation(2, 1.0, floor=4),)
    fleets = (fleet(4), fleet(4, 2, weight=0))
    assert next_sizes(total, fleets, split(total, fleets, held))[FleetId("delays-r1")] == 4


def test_rolling_back_the_bad_fleet_stays_until_the_old_one_serves() -> None:
    held = (reservation(1, 1.0, floor=4),)
    fleets = (fleet(0, weight=0), fleet(4, 2, weight=100))
    assert next_sizes(4, fleets, split(4, fleets, held)) == {"delays-r1": 4, "delays-r2": 4}
