"""One tick of one group: tables of what is decided, and why."""

from dataclasses import replace
from typing import Any, ClassVar

import pytest

from services.autoscaler.domain.decide import decide
from services.autoscaler.domain.decision import HOLD, IN, OUT, codes
from services.autoscaler.domain.group import GroupSnapshot, LastOutcome
from services.autoscaler.domain.memory import Change, GroupMemory, Recommended
from services.autoscaler.domain.policy import Limits, MetricAim
from services.autoscaler.domain.signals import FAILED, MISSING, Quality, Sample, judged
from shared.domain.health import VerdictState
from tests.autoscaler.groups import LIMITS, NOW, decided, fleet, ok, reservation, signals, snapshot, watched

STALE = Sample(0.0, NOW - 500, Quality.STALE)


@pytest.mark.parametrize(
    ("nodes", "measured", "action", "wanted"),
    [
        (4, signals(300), HOLD, 4),  # 300 / (100 * 0.8) = 3.75
        (4, signals(340), HOLD, 4),  # 4.25: within the dead band
        (4, signals(400), OUT, 5),
        (4, signals(400, 400, backlog=30_000), OUT, 7),  # and ~ 99 messages/s to catch up
        (4, signals(4000), OUT, 8),  # 100 % per period
        (1, signals(4000), OUT, 5),  # or four nodes
        (4, signals(80), IN, 3),  # 25 % per period
        (4, signals(0.0), IN, 3),
        (1, signals(0.0), HOLD, 1),  # the minimum
        (20, signals(9000), HOLD, 20),  # the maximum
        (8, signals(300, 780, backlog=20_000), HOLD, 8),  # it drains fast enough: no more
        (19, signals(1600), OUT, 20),  # a bound is reached, dead band or not
    ],
)
def test_size_by_rate(nodes: int, measured: Any, action: str, wanted: int) -> None:
    decision = decided(snapshot(nodes, signals=measured))
    assert (decision.action, decision.wanted) == (action, wanted)


def changed(**changes: Any) -> GroupSnapshot:
    return snapshot(8, signals=signals(80), **changes)


@pytest.mark.parametrize(
    ("seen", "code"),
    [
        (changed(verdict=VerdictState.UNKNOWN), "VerdictNotGood"),
        (changed(verdict=VerdictState.DEGRADED), "VerdictNotGood"),
        (changed(changing=True), "RolloutInFlight"),
        (changed(reservations=(reservation(1, 1.0),)), "RolloutInFlight"),
        (changed(fleets=(fleet(8, in_service=7),)), "NodesBooting"),
        (changed(fleets=(fleet(8, suspended=frozenset({"Terminate"})),)), "TerminateSuspended"),
        (changed(last_outcome=LastOutcome("in", "refused", "a deployment runs", NOW - 5)), "RecentlyRefused"),
        (snapshot(8, signals=signals(80, backlog=1000)), "BacklogWaiting"),
        (snapshot(8, signals=replace(signals(80), arrival=FAILED)), "SignalUnknown"),
        (snapshot(8, signals=replace(signals(80), arrival=STALE)), "SignalUnknown"),
        (snapshot(8, signals=replace(signals(80), backlog=MISSING)), "SignalUnknown"),
        (snapshot(8, signals=replace(signals(80), backlog=Sample(0.0, NOW, Quality.PARTIAL))), "SignalUnknown"),
        (snapshot(8, signals=signals(80), policy={"cpu_percent": 60.0}), "SignalUnknown"),
        (snapshot(8, signals=signals(80), policy={"metrics": (MetricAim("queue", 5.0),)}), "SignalUnknown"),
        (snapshot(8, signals=signals(80), policy={"node_rate": None}), "CapacityNotMeasured"),
    ],
)
def test_scale_in_is_held(seen: GroupSnapshot, code: str) -> None:
    decision = decided(seen)
    assert (decision.action, decision.wanted) == (HOLD, 8)
    assert code in codes(decision)


def test_all_reasons_are_given_at_once() -> None:
    seen = snapshot(8, signals=signals(80, backlog=1000), verdict=VerdictState.UNHEALTHY, changing=True)
    assert {"VerdictNotGood", "RolloutInFlight", "BacklogWaiting"} <= set(codes(decided(seen)))


def test_a_healthy_signal_may_scale_out_though_another_is_broken() -> None:
    seen = snapshot(4, signals=replace(signals(400), backlog=FAILED))
    assert decided(seen).wanted == 5
    seen = snapshot(4, signals=replace(signals(0), arrival=FAILED, backlog=ok(200_000), throughput=ok(400)))
    assert decided(seen).action == OUT


@pytest.mark.parametrize("broken", [FAILED, MISSING, STALE, Sample(0.0, NOW, Quality.IMPLAUSIBLE)])
def test_all_signals_broken_holds(broken: Sample) -> None:
    nothing = replace(signals(), arrival=broken, backlog=broken, throughput=broken)
    decision = decided(snapshot(6, signals=nothing))
    assert (decision.action, decision.wanted) == (HOLD, 6)


@pytest.mark.parametrize(
    ("value", "at_s", "quality"),
    [
        (float("nan"), NOW, Quality.IMPLAUSIBLE),
        (float("inf"), NOW, Quality.IMPLAUSIBLE),
        (-1.0, NOW, Quality.IMPLAUSIBLE),
        (1.0, NOW + 3600, Quality.IMPLAUSIBLE),
        (1.0, NOW - 3600, Quality.STALE),
        (1.0, NOW - 60, Quality.OK),
        (0.0, NOW, Quality.OK),
    ],
)
def test_quality(value: float, at_s: float, quality: Quality) -> None:
    assert judged(value, at_s, NOW, 60.0).quality is quality


class TestScaleInWindow:
    def test_the_largest_recommendation_of_the_window_counts(self) -> None:
        seen = snapshot(8, signals=signals(80))
        memory = watched(seen)
        memory = replace(memory, history=(Recommended(NOW - 800, 7), *memory.history[10:]))
        decision = decided(seen, memory)
        assert (decision.action, decision.wanted) == (IN, 7)
        assert "ScaleInWindow" in codes(decision)

    def test_an_entry_that_left_the_window_does_not(self) -> None:
        seen = snapshot(8, signals=signals(80))
        memory = replace(watched(seen), history=(Recommended(NOW - 901, 8),))
        assert decided(seen, memory).wanted == 6

    def test_a_restart_without_memory_waits_for_a_whole_window(self) -> None:
        decision = decided(snapshot(8, signals=signals(80)), GroupMemory())
        assert decision.action == HOLD
        assert "WindowNotObserved" in codes(decision)

    @pytest.mark.parametrize("last_s", [NOW - 91, NOW + 3600])
    def test_a_gap_or_a_clock_that_jumped_starts_the_window_again(self, last_s: float) -> None:
        seen = snapshot(8, signals=signals(80))
        decision = decided(seen, replace(watched(seen), observed_last_s=last_s))
        assert "WindowNotObserved" in codes(decision)

    def test_unknown_ticks_count_as_the_size_of_then(self) -> None:
        seen = snapshot(8, signals=replace(signals(80), arrival=FAILED))
        _, memory = decide(seen, watched(seen), LIMITS, NOW, "dec-1")
        later = replace(seen, signals=signals(80))
        decision, _ = decide(later, memory, LIMITS, NOW + 15, "dec-2")
        assert decision.action == HOLD
        assert "ScaleInWindow" in codes(decision)

    def test_an_empty_window_acts_at_once(self) -> None:
        seen = snapshot(8, policy={"scale_in_after_s": 0.0}, signals=signals(80))
        assert decided(seen, GroupMemory(observed_last_s=NOW - 15, observed_since_s=NOW - 15)).action == IN


class TestBounds:
    def test_partitions_cap_the_nodes_and_never_veto(self) -> None:
        decision = decided(snapshot(4, partitions=6, signals=signals(4000)))
        assert (decision.action, decision.wanted) == (OUT, 6)
        assert "PartitionCap" in codes(decision)

    def test_the_cap_is_reached_exactly(self) -> None:
        assert decided(snapshot(63, policy={"nodes_max": 200}, partitions=64, signals=signals(5300))).wanted == 64

    def test_a_minimum_above_the_partitions_stands(self) -> None:
        assert decided(snapshot(8, policy={"nodes_min": 8}, partitions=6)).wanted == 8

    def test_below_the_minimum_is_mended_without_any_signal(self) -> None:
        blind = replace(signals(), arrival=FAILED, backlog=FAILED)
        decision = decided(snapshot(1, policy={"nodes_min": 3}, signals=blind))
        assert (decision.action, decision.wanted) == (OUT, 3)

    def test_above_the_maximum_comes_down_when_it_is_safe(self) -> None:
        assert decided(snapshot(9, policy={"nodes_max": 8}, signals=signals(9000, 900))).wanted == 8
        blind = replace(signals(), arrival=FAILED)
        assert decided(snapshot(9, policy={"nodes_max": 8}, signals=blind)).action == HOLD

    def test_min_equals_max(self) -> None:
        assert decided(snapshot(3, policy={"nodes_min": 3, "nodes_max": 3}, signals=signals(9000))).action == HOLD

    def test_max_size_of_the_fleet_bounds_and_is_named(self) -> None:
        decision = decided(snapshot(signals=signals(700), fleets=(fleet(4, nodes_max=5),)))
        assert dict(decision.desired) == {"delays-r1": 5}
        assert "BoundedByMaxSize" in codes(decision)


class TestZero:
    def test_no_nodes_and_work_is_one_node_at_least(self) -> None:
        seen = snapshot(0, policy={"nodes_min": 0, "node_rate": None}, signals=signals(0, backlog=500))
        assert decided(seen).wanted == 1

    def test_no_nodes_and_no_work_stays(self) -> None:
        assert decided(snapshot(0, policy={"nodes_min": 0})).action == HOLD

    def test_the_last_node_goes_when_nothing_comes(self) -> None:
        decision = decided(snapshot(1, policy={"nodes_min": 0}))
        assert (decision.action, decision.wanted) == (IN, 0)

    def test_no_fleet(self) -> None:
        assert codes(decided(snapshot(fleets=()))) == ("NoFleet",)


class TestProvisioned:
    FIXED: ClassVar[dict[str, Any]] = {"nodes_min": 3, "nodes_max": 3, "fixed_nodes": 3}

    def test_grows_and_shrinks_to_the_declared_size(self) -> None:
        assert decided(snapshot(2, policy=self.FIXED, signals=signals(0))).wanted == 3
        assert decided(snapshot(9, policy=self.FIXED, signals=signals(0))).wanted == 3

    def test_does_not_shrink_while_unhealthy(self) -> None:
        assert decided(snapshot(9, policy=self.FIXED, verdict=VerdictState.FAILED)).action == HOLD


class TestCpu:
    AIM: ClassVar[dict[str, Any]] = {"cpu_percent": 60.0}

    def cpu(self, cores: float, nodes: float, arrival: float = 80.0) -> Any:
        return signals(arrival, cpu_cores=ok(cores), cpu_nodes=ok(nodes))

    def test_the_larger_of_rate_and_cpu(self) -> None:
        assert decided(snapshot(4, policy=self.AIM, signals=self.cpu(7.2, 4))).wanted == 6  # 90 % of two cores each

    def test_in_only_if_both_agree(self) -> None:
        assert decided(snapshot(4, policy=self.AIM, signals=self.cpu(4.6, 4))).action == HOLD
        assert decided(snapshot(4, policy=self.AIM, signals=self.cpu(2.0, 4))).action == IN

    def test_nodes_that_do_not_report_count_as_busy(self) -> None:
        decision = decided(snapshot(8, policy=self.AIM, signals=self.cpu(2.0, 3)))
        assert decision.wanted == 7  # 2 + 5 silent

    def test_high_cpu_without_work_asks_for_nothing(self) -> None:
        decision = decided(snapshot(4, policy=self.AIM, signals=self.cpu(8.0, 4, arrival=0.0)))
        assert decision.action == HOLD
        assert "CpuWithoutWork" in codes(decision)

    def test_boot_cpu_is_no_evidence(self) -> None:
        seen = snapshot(4, policy=self.AIM, signals=self.cpu(7.9, 4))
        decision = decided(seen, watched(seen, ready_changed_at_s=NOW - 10))
        assert decision.action == HOLD
        assert "CpuWarmingUp" in codes(decision)

    def test_a_group_without_topic_needs_no_capacity_to_follow_cpu(self) -> None:
        policy = self.AIM | {"node_rate": None}
        seen = snapshot(4, policy=policy, stream=False, signals=self.cpu(2.0, 4))
        assert decided(seen).action == IN

    def test_plateau_is_named(self) -> None:
        seen = snapshot(4, policy=self.AIM, signals=signals(500, 400, 4000, cpu_cores=ok(3.6), cpu_nodes=ok(4)))
        decision = decided(seen)
        assert decision.action == OUT
        assert "CpuPlateau" in codes(decision)


class TestGuards:
    def test_backlog_and_nothing_finished_holds_and_says_so(self) -> None:
        decision = decided(snapshot(4, signals=signals(400, 0.0, backlog=50_000)))
        assert decision.action == HOLD
        assert "ConsumersStuck" in codes(decision)

    def test_nodes_that_all_boot_are_waited_for(self) -> None:
        decision = decided(snapshot(fleets=(fleet(4, in_service=0),), signals=signals(900, 0.0, 9000)))
        assert decision.action == HOLD
        assert "NodesJoining" in codes(decision)

    def test_booting_nodes_are_not_ordered_again(self) -> None:
        decision = decided(snapshot(fleets=(fleet(8, in_service=4),), signals=signals(600, 400, 1000)))
        assert decision.action == HOLD

    @pytest.mark.parametrize(("failures", "age_s", "held"), [(1, 59, True), (1, 61, False), (3, 239, True)])
    def test_missing_capacity_backs_off_and_lowers_nothing(self, failures: int, age_s: float, held: bool) -> None:
        last = LastOutcome("out", "gave_up", "InsufficientInstanceCapacity", NOW - age_s, failures)
        decision = decided(snapshot(4, last_outcome=last, signals=signals(700)))
        assert (decision.action == HOLD) is held
        assert decision.wanted >= 4
        assert ("CapacityBackOff" in codes(decision)) is held

    def test_suspended_launch_is_visible(self) -> None:
        seen = snapshot(fleets=(fleet(4, suspended=frozenset({"Launch"})),), signals=signals(700))
        assert "LaunchSuspended" in codes(decided(seen))

    def test_mass_loss_blocks_scale_in(self) -> None:
        before = snapshot(8, signals=signals(80))
        after = replace(before, fleets=(fleet(8, in_service=4),))
        _, memory = decide(after, watched(before), LIMITS, NOW, "dec-1")
        decision, _ = decide(before, memory, LIMITS, NOW + 15, "dec-2")
        assert "MassLoss" in codes(decision)

    def test_an_old_fleet_that_leaves_is_no_loss(self) -> None:
        both = snapshot(fleets=(fleet(4), fleet(4, 2)), total_recorded=4, signals=signals(320))
        _, memory = decide(both, watched(both), LIMITS, NOW, "dec-1")
        alone = replace(both, fleets=(fleet(4, 2),))
        _, memory = decide(alone, memory, LIMITS, NOW + 15, "dec-2")
        assert memory.lost_at_s is None

    def test_ineffective_scale_outs_stop(self) -> None:
        seen = snapshot(8, signals=signals(900, 300, 9000))
        memory = watched(seen, ineffective=2, ineffective_at_s=NOW - 10)
        decision = decided(seen, memory)
        assert decision.action == HOLD
        assert "ScaleOutIneffective" in codes(decision)
        later = watched(seen, ineffective=2, ineffective_at_s=NOW - 901)
        assert decided(seen, later).wanted == 9, "one node tells whether more would help now"

    def test_one_hot_partition_is_named(self) -> None:
        hot = signals(300, 300, 9000, backlog_worst=ok(8000))
        assert "HotPartition" in codes(decided(snapshot(4, signals=hot)))


class TestRateLimits:
    def test_what_grew_within_the_period_counts(self) -> None:
        seen = snapshot(8, signals=signals(5000))
        memory = watched(seen, changes=(Change(NOW - 5, 4),))
        decision = decided(seen, memory)
        assert decision.wanted == 8  # four at the start of the period, and at most as many again
        assert "RateLimited" in codes(decision)

    def test_an_event_at_the_edge_of_the_period_has_left_it(self) -> None:
        seen = snapshot(8, signals=signals(5000))
        assert decided(seen, watched(seen, changes=(Change(NOW - 15, 4),))).wanted == 16

    def test_a_limit_never_turns_the_direction_round(self) -> None:
        seen = snapshot(12, signals=signals(5000))
        assert decided(seen, watched(seen, changes=(Change(NOW - 1, 11),))).wanted == 12

    def test_all_at_once_may_be_allowed(self) -> None:
        limits = replace(Limits(), rate_in=replace(LIMITS.rate_in, percent=100.0))
        assert decided(snapshot(8, signals=signals(80)), limits=limits).wanted == 1


class TestRollout:
    def test_grows_by_the_shares_that_are_reserved(self) -> None:
        seen = snapshot(
            fleets=(fleet(3), fleet(1, 2)),
            total_recorded=4,
            reservations=(reservation(2, 0.25, floor=1),),
            signals=signals(600),
        )
        decision = decided(seen)
        assert (decision.action, decision.current, decision.wanted) == (OUT, 4, 8)
        assert dict(decision.desired) == {"delays-r1": 6, "delays-r2": 2}

    def test_surge_is_no_demand(self) -> None:
        seen = snapshot(fleets=(fleet(4), fleet(4, 2)), total_recorded=4, reservations=(reservation(2, 1.0, floor=4),))
        decision = decided(replace(seen, signals=signals(320)))
        assert (decision.action, decision.current) == (HOLD, 4)

    def test_moving_nodes_between_fleets_is_left_to_the_deployment(self) -> None:
        seen = snapshot(fleets=(fleet(4), fleet(0, 2)), total_recorded=4, reservations=(reservation(2, 0.5),))
        assert decided(replace(seen, signals=signals(320))).action == HOLD
