"""What holds whatever is measured: the Autoscaler's safety properties, by name."""

import math
from dataclasses import replace
from typing import TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st

from services.autoscaler.domain.decide import decide
from services.autoscaler.domain.decision import HOLD, IN, OUT, Decision
from services.autoscaler.domain.group import GroupSnapshot
from services.autoscaler.domain.memory import Change, GroupMemory, Recommended
from services.autoscaler.domain.signals import Quality, Sample, Signals
from services.autoscaler.domain.stabilise import bounds
from shared.domain.health import GOOD, VerdictState
from tests.autoscaler.groups import LIMITS, NOW, fleet, reservation, snapshot

T = TypeVar("T")
NUMBERS = st.one_of(st.just(0.0), st.floats(1e-9, 1e3), st.floats(1e-9, 1e7), st.floats(allow_nan=True))
MOSTLY = 8


def mostly(usual: T, others: st.SearchStrategy[T]) -> st.SearchStrategy[T]:
    """So that a scale-in, which needs everything to be well, is seen often enough to be wrong."""
    return st.integers(0, MOSTLY).flatmap(lambda n: others if n == MOSTLY else st.just(usual))


QUALITIES = st.sampled_from(list(Quality))


@st.composite
def samples(draw: st.DrawFn) -> Sample:
    value, quality = draw(NUMBERS), draw(mostly(Quality.OK, QUALITIES))
    if quality is Quality.OK and (not math.isfinite(value) or value < 0):
        return Sample(0.0, NOW, Quality.IMPLAUSIBLE)
    return Sample(value if math.isfinite(value) else 0.0, NOW - draw(st.floats(0, 50)), quality)


@st.composite
def snapshots(draw: st.DrawFn) -> GroupSnapshot:
    least = draw(st.integers(0, 10))
    desired = draw(st.integers(0, 60))
    first = fleet(
        desired, in_service=draw(mostly(desired, st.integers(0, desired))), weight=draw(st.sampled_from([0, 100]))
    )
    second = fleet(draw(st.integers(0, 20)), 2, weight=draw(st.sampled_from([0, 100])))
    seen = snapshot(
        policy={
            "nodes_min": least,
            "nodes_max": least + draw(st.integers(0, 50)),
            "node_rate": draw(st.one_of(st.none(), st.floats(10, 1e6))),
            "cpu_percent": draw(st.one_of(st.none(), st.floats(1, 100))),
            "scale_in_after_s": draw(st.sampled_from([0.0, 900.0])),
        },
        fleets=draw(mostly((first,), st.just((first, second)))),
        signals=draw(st.builds(Signals, *[samples()] * 7)),
        stream=draw(st.booleans()),
        partitions=draw(st.integers(0, 64)),
        verdict=draw(mostly(VerdictState.HEALTHY, st.sampled_from(list(VerdictState)))),
        total_recorded=draw(st.one_of(st.none(), st.integers(0, 60))),
    )
    held = (reservation(1, draw(st.floats(0, 1)), draw(st.integers(0, 5))),)
    return replace(seen, reservations=draw(mostly((), st.just(held))))


@st.composite
def memories(draw: st.DrawFn) -> GroupMemory:
    history = tuple(Recommended(NOW - s, draw(mostly(0, st.integers(0, 60)))) for s in (800, 400, 10))
    return GroupMemory(
        node_rate=draw(st.one_of(st.none(), st.floats(1e-6, 1e6))),
        history=history,
        observed_since_s=draw(mostly(NOW - 5000, st.just(NOW - 100))),
        observed_last_s=NOW - draw(mostly(15.0, st.just(500.0))),
        changes=(Change(NOW - 20, draw(st.integers(-5, 5))),),
        size_last=draw(mostly(None, st.integers(0, 60))),
        ready_last=draw(mostly(None, st.integers(0, 60))),
        ready_changed_at_s=NOW - draw(st.sampled_from([1.0, 1000.0])),
        ineffective=draw(st.integers(0, 3)),
        ineffective_at_s=NOW - 100,
    )


CASES = given(snapshots(), memories())


def run(seen: GroupSnapshot, memory: GroupMemory) -> Decision:
    return decide(seen, memory, LIMITS, NOW, "dec-1")[0]


@CASES
def test_NeverInOnUnknown(seen: GroupSnapshot, memory: GroupMemory) -> None:  # noqa: N802
    needed = [seen.signals.arrival] + ([seen.signals.backlog] if seen.stream else [])
    cpu = [seen.signals.cpu_cores, seen.signals.cpu_nodes] if seen.policy.cpu_percent is not None else []
    if not all(s.known for s in (needed if seen.stream or not cpu else cpu)):
        assert run(seen, memory).action != IN


@CASES
def test_NeverInWithBacklog(seen: GroupSnapshot, memory: GroupMemory) -> None:  # noqa: N802
    backlog, done = seen.signals.backlog, seen.signals.throughput.value or seen.signals.arrival.value
    much = seen.partitions + (seen.policy.backlog_s_max + 1) * max(done, 1.0)
    if seen.stream and backlog.usable and backlog.value > much:
        assert run(seen, memory).action != IN


@CASES
def test_NeverInUnlessHealthy(seen: GroupSnapshot, memory: GroupMemory) -> None:  # noqa: N802
    if seen.verdict not in GOOD:
        assert run(seen, memory).action != IN


@CASES
def test_NeverInDuringRollout(seen: GroupSnapshot, memory: GroupMemory) -> None:  # noqa: N802
    if seen.rollout:
        assert run(seen, memory).action != IN


@CASES
def test_WithinBounds(seen: GroupSnapshot, memory: GroupMemory) -> None:  # noqa: N802
    decision = run(seen, memory)
    least, most = bounds(seen)
    assert decision.wanted == decision.current or least <= decision.wanted <= max(most, decision.current)
    if decision.action == OUT:
        assert decision.wanted >= decision.current


@CASES
def test_OneDirection(seen: GroupSnapshot, memory: GroupMemory) -> None:  # noqa: N802
    """A decision moves all fleets one way or none, and the fleets it moves add up to its direction."""
    decision = run(seen, memory)
    moves = [decision.desired[f] - decision.previous[f] for f in decision.desired]
    match decision.action:
        case "out":
            assert min(moves) >= 0 < max(moves)
        case "in":
            assert max(moves) <= 0 > min(moves)
        case _:
            assert not any(moves)


@CASES
def test_PendingCounted(seen: GroupSnapshot, memory: GroupMemory) -> None:  # noqa: N802
    """Nodes that were ordered are never ordered again: what matters is desired, not what serves."""
    if len(seen.fleets) > 1 or not seen.fleets[0].pending or seen.fleets[0].in_service == 0:
        return
    booted = replace(seen, fleets=(replace(seen.fleets[0], in_service=seen.fleets[0].desired),))
    still = replace(memory, ready_changed_at_s=NOW - 1, ready_last=None, node_rate=50.0)
    assert run(seen, still).wanted <= max(run(booted, still).wanted, seen.current)


@CASES
def test_EveryHoldExplains(seen: GroupSnapshot, memory: GroupMemory) -> None:  # noqa: N802
    decision = run(seen, memory)
    assert decision.action in {HOLD, OUT, IN}
    if decision.action != HOLD:
        assert decision.inputs
    assert all(r.code and r.text and r.scope == "group/delays" for r in decision.reasons)


@settings(max_examples=50)
@given(st.floats(1e-9, 1e-3), st.floats(1, 1e12))
def test_NoOverflow(rate: float, arrival: float) -> None:  # noqa: N802
    seen = snapshot(2, policy={"node_rate": rate})
    seen = replace(seen, signals=replace(seen.signals, arrival=Sample(arrival, NOW, Quality.OK)))
    assert run(seen, GroupMemory()).wanted <= 20
