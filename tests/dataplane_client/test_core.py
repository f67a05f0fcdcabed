"""What the client decides, without servers: shares, choices, ejection, retries, the budget."""

import random
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplane.client.core.balancer import AllPaused, Balancer, Nobody, Picked
from dataplane.client.core.batches import parts
from dataplane.client.core.budget import EARNED_PER_CALL, TOKENS_FIRST, TOKENS_MAX, RetryBudget
from dataplane.client.core.calls import ATTEMPTS_MAX, Attempt, Call, GivenUp, Refusal, Wait
from dataplane.client.core.ejection import CALLS_MIN, CONSECUTIVE_MAX, FIRST_S, Record, Standing, may_eject
from dataplane.client.core.latency import Latency
from dataplane.client.core.members import Endpoint, Table
from dataplane.client.core.shares import Shares


def chance(seed: int) -> Callable[[int], int]:
    return random.Random(seed).randrange


def table(*members: tuple[str, str, str], generation: int = 1, **weights: int) -> Table:
    """Members as (address, fleet, zone)."""
    return Table(generation, weights, tuple(Endpoint(*m) for m in members))


def balancer(*members: tuple[str, str, str], zone: str = "", **weights: int) -> Balancer:
    made = Balancer(zone)
    made.update(table(*members, **(weights or {"r1": 1})))
    return made


def three() -> Balancer:
    return balancer(*((n, "r1", "") for n in "abc"))


def picked(found: object) -> Picked:
    assert isinstance(found, Picked)
    return found


def attempt(found: object) -> Attempt:
    assert isinstance(found, Attempt), found
    return found


@given(
    weights=st.dictionaries(st.sampled_from("abcd"), st.integers(1, 1000), min_size=1),
    calls=st.integers(1, 3000),
)
@settings(max_examples=60, deadline=None)
def test_shares_hold_over_every_stretch(weights: dict[str, int], calls: int) -> None:
    shares, counts = Shares(), Counter[str]()
    for done in range(1, calls + 1):
        counts[shares.choose(weights)] += 1
        for fleet, weight in weights.items():
            assert abs(counts[fleet] - done * weight / sum(weights.values())) <= max(1, len(weights) - 1)


@pytest.mark.parametrize("percent", [5, 25, 100])
def test_a_fleets_weight_is_its_share_of_the_calls(percent: int) -> None:
    b = balancer(("a", "r1", ""), ("b", "r1", ""), ("c", "r2", ""), r1=100 - percent, r2=percent)
    lots, counts = chance(1), Counter[str]()
    for n in range(400):
        p = picked(b.pick(n * 0.01, lots))
        counts[p.endpoint.fleet] += 1
        b.answered(p, n * 0.01 + 0.005)
    assert abs(counts["r2"] - 4 * percent) <= 1


def test_a_fleet_without_members_leaves_its_share_to_the_others() -> None:
    b = balancer(("a", "r1", ""), r1=1, r2=99)
    assert picked(b.pick(0.0, chance(1))).endpoint.address == "a"


def test_nobody_is_picked_of_fleets_without_weight() -> None:
    assert balancer(("a", "r1", ""), r1=0).pick(0.0, chance(1)) == Nobody()


def test_the_slow_member_of_three_gets_few_calls() -> None:
    b, lots, counts = three(), chance(1), Counter[str]()
    due: list[tuple[float, Picked]] = []
    for n in range(3000):  # 1,000 calls a second for three seconds; a takes 100 ms, the others 5
        now = n * 0.001
        for at, p in [d for d in due if d[0] <= now]:
            b.answered(p, at)
        due = [d for d in due if d[0] > now]
        p = picked(b.pick(now, lots))
        counts[p.endpoint.address] += 1
        due.append((now + (0.1 if p.endpoint.address == "a" else 0.005), p))
    assert counts["a"] < 150  # a third of them would be 1,000
    assert abs(counts["b"] - counts["c"]) < 300


def test_a_hung_member_is_avoided_before_its_first_call_times_out() -> None:
    b, lots, counts = three(), chance(1), Counter[str]()
    for n in range(600):
        p = picked(b.pick(n * 0.001, lots))
        counts[p.endpoint.address] += 1
        if p.endpoint.address != "a" or n < 60:
            b.answered(p, n * 0.001 + 0.001)
    assert counts["a"] < 60


def test_zone_is_preferred_and_yields_when_it_is_loaded() -> None:
    b = balancer(("a", "r1", "z1"), ("b", "r1", "z2"), ("c", "r1", "z2"), zone="z1")
    lots = chance(1)
    for n in range(10):
        p = picked(b.pick(float(n), lots))
        assert p.endpoint.zone == "z1"
        b.answered(p, n + 0.01)
    zones = Counter(picked(b.pick(10.0, lots)).endpoint.zone for _ in range(12))  # none of these ends
    assert zones["z1"] >= 2
    assert zones["z2"] >= 6


def test_a_member_that_fails_is_ejected_and_comes_back_after_one_good_call() -> None:
    b, lots = three(), chance(1)
    now = 0.0
    while not any(m.record.standing(now) is Standing.OUT for m in b.members):
        now += 0.01
        p = picked(b.pick(now, lots))
        (b.failed if p.endpoint.address == "a" else b.answered)(p, now + 0.001)
        assert now < 30
    out_at = now
    while now < out_at + FIRST_S - 0.1:
        now += 0.01
        p = picked(b.pick(now, lots))
        assert p.endpoint.address != "a"
        b.answered(p, now + 0.001)
    now = out_at + FIRST_S + 0.1
    tries = [p.endpoint.address for p in (picked(b.pick(now, lots)) for _ in range(20))]
    assert tries.count("a") == 1  # one call at a time tries it
    back = next(m for m in b.members if m.endpoint.address == "a")
    b.answered(Picked(back.endpoint, next(iter(back.running))), now + 0.001)
    assert back.record.standing(now + 0.002) is Standing.IN


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=400), st.integers(1, 5))
@settings(max_examples=100, deadline=None)
def test_at_most_half_of_the_members_are_ever_out(outcomes: list[tuple[int, bool]], members: int) -> None:
    b, lots = balancer(*((f"m{n}", "r1", "") for n in range(members))), chance(1)
    for n, (bad, fails) in enumerate(outcomes):
        now = n * 0.02
        p = picked(b.pick(now, lots))
        (b.failed if fails or p.endpoint.address == f"m{bad}" else b.answered)(p, now + 0.01)
        out = sum(m.record.standing(now + 0.01) is not Standing.IN for m in b.members)
        assert out <= members // 2


def test_nobody_is_ejected_while_all_fail_alike() -> None:
    b, lots = three(), chance(1)
    for n in range(300):
        b.failed(picked(b.pick(n * 0.01, lots)), n * 0.01 + 0.001)
    assert all(m.record.standing(3.0) is Standing.IN for m in b.members)


@pytest.mark.parametrize(
    ("failures", "out"), [("f" * (CONSECUTIVE_MAX - 1), False), ("f" * CONSECUTIVE_MAX, True), ("fa" * CALLS_MIN, True)]
)
def test_failures_in_a_row_or_half_of_the_calls_eject(failures: str, out: bool) -> None:
    record, asked = Record(), False
    for n, kind in enumerate(failures):
        if kind == "a":
            record.answered(n * 0.01)
        else:
            asked = record.failed(n * 0.01) or asked
    assert asked is out


def test_each_ejection_that_follows_soon_is_longer() -> None:
    record, now, lengths = Record(), 0.0, []
    for _ in range(3):
        record.eject(now)
        began = now
        while record.standing(now) is Standing.OUT:
            now += 0.1
        lengths.append(round(now - began))
    assert lengths == [1, 2, 4]
    assert not may_eject(1, 2, 10, 0)


def test_a_member_that_pushes_back_is_left_alone_for_that_long() -> None:
    b, lots = three(), chance(1)
    first = picked(b.pick(0.0, lots))
    b.pushed_back(first, 2.0, 0.0)
    assert first.endpoint.address not in {picked(b.pick(1.9, lots)).endpoint.address for _ in range(50)}
    assert first.endpoint.address in {picked(b.pick(2.1, lots)).endpoint.address for _ in range(50)}


def test_when_all_push_back_the_call_waits_for_the_first_or_gives_up_with_the_delay() -> None:
    b, lots = balancer(("a", "r1", "")), chance(1)
    b.pushed_back(picked(b.pick(0.0, lots)), 2.0, 0.0)
    assert b.pick(0.5, lots) == AllPaused(2.0)
    patient, hurried = (Call(b, RetryBudget(), deadline) for deadline in (5.0, 1.0))
    assert patient.next(0.5, lots) == Wait(1.5)
    assert isinstance(patient.next(2.0, lots), Attempt)
    given_up = hurried.next(0.5, lots)
    assert isinstance(given_up, GivenUp)
    assert (given_up.refusal.code, given_up.retry_after_s) == ("RESOURCE_EXHAUSTED", 1.5)


def test_routes_change_and_what_is_known_of_those_who_stay_is_kept() -> None:
    b, lots = balancer(("a", "r1", ""), ("b", "r1", "")), chance(1)
    running = picked(b.pick(0.0, lots))
    b.update(table(("b", "r1", ""), ("c", "r1", ""), generation=3, r1=1))
    b.update(table(("a", "r1", ""), generation=2, r1=1))
    assert {m.endpoint.address for m in b.members} == {"b", "c"}
    b.answered(running, 1.0)  # also when its member has left
    assert not any(m.running for m in b.members)


def test_an_older_table_is_ignored_and_unknown_members_share_the_calls() -> None:
    b, lots = three(), chance(1)
    counts = Counter(picked(b.pick(0.0, lots)).endpoint.address for _ in range(9))
    assert max(counts.values()) <= 4


@pytest.mark.parametrize("code", ["INVALID_ARGUMENT", "NOT_FOUND", "PERMISSION_DENIED", "UNIMPLEMENTED"])
def test_what_is_the_callers_fault_is_not_tried_again_and_ejects_nobody(code: str) -> None:
    b, lots = three(), chance(1)
    for n in range(100):
        call = Call(b, RetryBudget(), n + 5.0)
        call.refused(attempt(call.next(float(n), lots)), Refusal(code, ""), n + 0.001)
        assert isinstance(call.next(n + 0.001, lots), GivenUp)
    assert all(m.record.standing(100.0) is Standing.IN for m in b.members)


def test_another_member_is_asked_at_once_and_a_tried_one_only_after_a_pause() -> None:
    b, lots = balancer(("a", "r1", ""), ("b", "r1", "")), chance(1)
    call = Call(b, RetryBudget(), 10.0)
    first = attempt(call.next(0.0, lots))
    call.refused(first, Refusal("UNAVAILABLE", "gone"), 0.001)
    second = attempt(call.next(0.001, lots))
    assert second.endpoint != first.endpoint
    call.refused(second, Refusal("UNAVAILABLE", "gone"), 0.002)
    third = attempt(call.next(0.002, lots))
    call.refused(third, Refusal("UNAVAILABLE", "gone"), 0.003)
    assert isinstance(call.next(0.003, lots), Wait)


def test_an_attempt_leaves_time_for_another_and_the_last_takes_all() -> None:
    b, lots = three(), chance(1)
    call, now, given_s = Call(b, RetryBudget(), 10.0), 0.0, []
    while isinstance(step := call.next(now, lots), Attempt | Wait):
        if isinstance(step, Wait):
            now += step.seconds
            continue
        assert step.timeout_s == 10.0  # users' code is judged by what the caller gave
        given_s.append(round(step.patience_s, 2))
        now += step.patience_s
        call.refused(step, Refusal("DEADLINE_EXCEEDED", ""), now)
    assert now == pytest.approx(10.0)
    assert given_s[:3] == [4.0, 2.4, 1.44]
    assert len(given_s) == ATTEMPTS_MAX


def test_a_server_that_asks_for_no_retry_gets_none() -> None:
    b, lots = three(), chance(1)
    call = Call(b, RetryBudget(), 10.0)
    call.refused(attempt(call.next(0.0, lots)), Refusal("RESOURCE_EXHAUSTED", "", push_back_s=-1), 0.1)
    assert isinstance(call.next(0.1, lots), GivenUp)


@given(st.lists(st.booleans(), min_size=1, max_size=800), st.integers(1, 4), st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_the_budget_bounds_the_attempts(fails: list[bool], members: int, seed: int) -> None:
    b, lots, budget = balancer(*((f"m{n}", "r1", "") for n in range(members))), chance(seed), RetryBudget()
    attempts, now = 0, 0.0
    for bad in fails:
        call = Call(b, budget, now + 5.0)
        while isinstance(step := call.next(now, lots), Attempt | Wait):
            now += 0.001 if isinstance(step, Attempt) else step.seconds
            if isinstance(step, Attempt):
                attempts += 1
                if not bad:
                    call.answered(step, now)
                    break
                call.refused(step, Refusal("UNAVAILABLE", ""), now)
    assert attempts <= len(fails) * (1 + EARNED_PER_CALL) + TOKENS_FIRST


def test_the_budget_never_holds_more_than_its_limit() -> None:
    budget = RetryBudget()
    for _ in range(100_000):
        budget.earn()
    assert budget.tokens == TOKENS_MAX
    assert sum(budget.spend() for _ in range(1000)) == TOKENS_MAX


def test_a_slow_answer_is_noticed_at_once_and_forgotten_slowly() -> None:
    latency = Latency()
    assert latency.estimate_s(0.0) is None
    for n in range(100):
        latency.observe(0.01, n * 0.01)
    latency.observe(1.0, 1.0)
    risen = latency.estimate_s(1.0)
    assert risen is not None
    assert risen > 0.4
    latency.observe(0.01, 1.01)
    after = latency.estimate_s(1.01)
    assert after is not None
    assert after > 0.4


def test_failing_fast_does_not_look_fast() -> None:
    latency = Latency()
    latency.observe(0.02, 0.0)
    latency.observe_failure(0.0001, 0.001)
    estimate = latency.estimate_s(0.001)
    assert estimate is not None
    assert estimate >= 0.04


@given(st.lists(st.integers(0, 50), max_size=60), st.integers(1, 7), st.integers(1, 60))
def test_parts_hold_every_event_once_in_order_within_limits(sizes: list[int], events: int, size: int) -> None:
    cut = list(parts(sizes, events, size))
    assert [n for s in cut for n in range(s.start, s.stop)] == list(range(len(sizes)))
    for s in cut:
        assert s.stop - s.start <= events
        assert sum(sizes[s]) <= size or s.stop - s.start == 1
