"""What a node can do, as it is measured."""

from dataclasses import replace

import pytest

from services.autoscaler.domain.capacity import backlog_s, has_backlog, learned, node_rate, tried
from services.autoscaler.domain.group import GroupSnapshot
from services.autoscaler.domain.memory import Change, GroupMemory
from services.autoscaler.domain.policy import Policy
from services.autoscaler.domain.recommend import demand, whole_nodes
from services.autoscaler.domain.signals import FAILED
from tests.autoscaler.groups import LIMITS, NOW, fleet, ok, signals, snapshot, watched

SATURATED = snapshot(4, signals=signals(500, 320, 9000))


def learn(seen: GroupSnapshot, memory: GroupMemory, times: int) -> GroupMemory:
    for n in range(times):
        memory = learned(memory, seen, LIMITS, NOW + 15 * n)
    return memory


def test_measured_while_saturated_after_three_looks() -> None:
    memory = watched(SATURATED)
    assert node_rate(learn(SATURATED, memory, 2), SATURATED) == (100.0, "declared")
    assert node_rate(learn(SATURATED, memory, 3), SATURATED) == (80.0, "measured")


def test_one_look_moves_it_by_a_quarter_at_most() -> None:
    memory = watched(SATURATED, node_rate=800.0)
    assert learn(SATURATED, memory, 1).node_rate == 600.0
    slow = watched(SATURATED, node_rate=8.0)
    assert learn(SATURATED, slow, 1).node_rate == 10.0


@pytest.mark.parametrize(
    "seen",
    [
        snapshot(4, signals=signals(320, 320)),  # keeps up: a lower bound only
        snapshot(4, signals=replace(SATURATED.signals, throughput=FAILED)),
        snapshot(4, signals=replace(SATURATED.signals, backlog=FAILED)),
        snapshot(4, signals=replace(SATURATED.signals, backlog_worst=ok(8000))),  # one hot partition
        snapshot(fleets=(fleet(4, in_service=0),), signals=SATURATED.signals),
    ],
)
def test_not_measured(seen: GroupSnapshot) -> None:
    assert learn(seen, watched(seen), 5).node_rate is None


def test_not_measured_while_members_change() -> None:
    assert learn(SATURATED, watched(SATURATED, ready_changed_at_s=NOW - 30), 1).observations == ()


def test_more_than_was_measured_raises_it() -> None:
    seen = snapshot(4, signals=signals(480, 480))
    assert learn(seen, watched(seen, node_rate=100.0), 1).node_rate == 120.0


def test_busy_share_tells_until_then() -> None:
    seen = snapshot(4, policy={"node_rate": None}, signals=signals(200, 200, busy=ok(0.5)))
    assert node_rate(watched(seen), seen) == (100.0, "busy")
    faint = snapshot(4, policy={"node_rate": None}, signals=signals(2, 2, busy=ok(0.01)))
    assert node_rate(watched(faint), faint) == (None, "unknown")


def test_members_without_a_partition_do_not_dilute() -> None:
    seen = snapshot(8, partitions=4, signals=signals(500, 320, 9000))
    assert learn(seen, watched(seen), 3).node_rate == 80.0


def test_markers_of_transactions_are_no_backlog() -> None:
    seen = snapshot(4, signals=signals(0, 0, backlog=40))
    assert not has_backlog(seen)
    assert demand(seen, LIMITS) == 0
    assert has_backlog(snapshot(4, signals=signals(0, 0, backlog=47)))


def test_backlog_in_seconds() -> None:
    assert backlog_s(snapshot(4, signals=signals(100, 200, backlog=1040))) == 5.0
    assert backlog_s(snapshot(4, signals=signals(100, 0, backlog=1040))) == 10.0


@pytest.mark.parametrize(("gain", "count"), [(0.0, 1), (30.0, 1), (60.0, 0)])
def test_a_scale_out_that_brings_under_a_tenth_is_ineffective(gain: float, count: int) -> None:
    before = snapshot(8, signals=signals(900, 400, 9000))
    memory = watched(before, changes=(Change(NOW, 4),))
    memory = tried(memory, before, LIMITS, NOW)
    memory = replace(memory, changes=())
    after = snapshot(8, signals=signals(900, 400 + gain, 9000))
    for s in range(15, 120, 15):
        memory = tried(memory, after, LIMITS, NOW + s)
    assert memory.trial is None
    assert memory.ineffective == count


def test_a_trial_of_nodes_that_went_again_is_dropped() -> None:
    before = snapshot(8, signals=signals(900, 400, 9000))
    memory = tried(watched(before, changes=(Change(NOW, 4),)), before, LIMITS, NOW)
    assert memory.trial
    assert tried(replace(memory, changes=()), snapshot(5, signals=before.signals), LIMITS, NOW + 15).trial is None


@pytest.mark.parametrize(("exact", "nodes"), [(2.0000000001, 3 - 1), (2.01, 3), (0.0, 0), (-1, 0), (1e18, 1_000_000)])
def test_whole_nodes(exact: float, nodes: int) -> None:
    assert whole_nodes(exact) == nodes


def test_no_lag_target_means_five_seconds() -> None:
    assert Policy(1, 2).backlog_s_max == 5.0
