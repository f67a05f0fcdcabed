"""A group that can be made ill, tick by tick."""

import math
from dataclasses import dataclass, field

from services.observer.domain.evidence import (
    Failed,
    FleetMembers,
    FleetRates,
    GroupFacts,
    Member,
    Offsets,
    Readings,
    Windowed,
)
from services.observer.domain.group_health import GroupEvidence, GroupJudgement, GroupMemory, HealthPolicy, judge_group

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
