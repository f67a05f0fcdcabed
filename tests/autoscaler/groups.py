"""Groups to decide about: a healthy stream group unless a test says otherwise."""

from dataclasses import replace
from typing import Any

from services.autoscaler.domain.decide import decide
from services.autoscaler.domain.decision import Decision
from services.autoscaler.domain.group import FleetState, GroupSnapshot, Reservation
from services.autoscaler.domain.memory import GroupMemory, Recommended
from services.autoscaler.domain.policy import Limits, Policy
from services.autoscaler.domain.signals import Quality, Sample, Signals
from shared.domain.health import VerdictState
from shared.domain.names import ActivityId, FencingToken, FleetId, GroupName

NOW = 1_000_000.0
LIMITS = Limits()
GROUP = GroupName("delays")


def ok(value: float, at_s: float = NOW) -> Sample:
    return Sample(value, at_s, Quality.OK)


def fleet(desired: int, revision: int = 1, **changes: Any) -> FleetState:
    base = FleetState(
        fleet=FleetId(f"delays-r{revision}"),
        revision=revision,
        desired=desired,
        in_service=desired,
        weight=100,
        nodes_min=0,
        nodes_max=50,
        asg=f"default-delays-r{revision}",
    )
    return replace(base, **changes)


def signals(arrival: float = 0.0, throughput: float | None = None, backlog: float = 0.0, **changes: Any) -> Signals:
    done = arrival if throughput is None else throughput
    base = Signals(arrival=ok(arrival), throughput=ok(done), backlog=ok(backlog), backlog_worst=ok(backlog / 12))
    return replace(base, **changes)


def snapshot(nodes: int = 4, policy: dict[str, Any] | None = None, **changes: Any) -> GroupSnapshot:
    base = GroupSnapshot(
        group=GROUP,
        policy=Policy(**{"nodes_min": 1, "nodes_max": 20, "node_rate": 100.0} | (policy or {})),
        fleets=(fleet(nodes),),
        signals=signals(),
        verdict=VerdictState.HEALTHY,
        stream=True,
        partitions=40,
        cores=2.0,
    )
    return replace(base, **changes)


def watched(seen: GroupSnapshot, recommended: int = 0, for_s: float = 10_000.0, **changes: Any) -> GroupMemory:
    """A memory that has watched the group without a gap and saw `recommended` nodes needed all the while."""
    base = GroupMemory(
        history=tuple(Recommended(NOW - s, recommended) for s in range(900, 0, -30)),
        observed_since_s=NOW - for_s,
        observed_last_s=NOW - 15.0,
        size_last=seen.current,
        ready_last=seen.ready,
        ready_changed_at_s=NOW - for_s,
    )
    return replace(base, **changes)


def decided(seen: GroupSnapshot, memory: GroupMemory | None = None, limits: Limits = LIMITS) -> Decision:
    return decide(seen, memory if memory is not None else watched(seen), limits, NOW, "dec-1")[0]


def reservation(revision: int, share: float, floor: int = 0, other_floor: int = 0, token: int = 7) -> Reservation:
    return Reservation(
        group=GROUP,
        fleet=FleetId(f"delays-r{revision}"),
        floor=floor,
        share=share,
        other_floor=other_floor,
        activity=ActivityId("act-1"),
        token=FencingToken(token),
        ttl_s=60.0,
        expires_at_s=NOW + 60,
    )
