"""One group judged: each dimension on its own evidence, then hysteresis, then the worst of them.

    members    do those that should report do so, and how many are bad            by bounds over the inventory
    capacity   are as many machines in service as are wanted                      the cloud's own word, never metrics
    lag        share of events later than the SLO, in a fast and a slow window    or extrapolated from what waits
    errors     share of messages that failed, in both windows                     against the availability SLO
    progress   does the committed offset move while something waits               the broker's own word

A dimension without evidence is UNKNOWN; it takes nothing away from badness found elsewhere. Without members by
intent, or without traffic, a group is IDLE, which is not dead: members and capacity are judged all the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from services.observer.domain.evidence import Failed, FleetMembers, GroupFacts, Offsets, Readings
from services.observer.domain.hysteresis import Committed, Confirmations, commit
from services.observer.domain.judging import (
    Rates,
    Raw,
    judge_capacity,
    judge_errors,
    judge_lag,
    judge_members,
    judge_progress,
)
from services.observer.domain.lag import quantile
from services.observer.domain.verdict import Coverage, worst
from shared.domain.health import GOOD, VerdictState
from shared.domain.reason import Reason

OFFSETS_KEPT_S = 600.0


class Dimension(StrEnum):
    """What a group is judged by."""

    MEMBERS = "members"
    CAPACITY = "capacity"
    LAG = "lag"
    ERRORS = "errors"
    PROGRESS = "progress"


@dataclass(frozen=True, slots=True)
class HealthPolicy:
    """Named numbers of judging; seconds unless said otherwise."""

    lag_burn_max: float = 6.0
    error_burn_max: float = 14.4
    bad_share_max: float = 0.2
    warm_up_s: float = 120.0  # a member is not expected to report before
    launch_s_max: float = 600.0  # a pending member is excused so long
    appear_s: float = 30.0  # a group that was just made may have no Auto Scaling Group to be seen: AWS tells it late
    stall_s: float = 120.0  # committed offsets stand still while something waits
    report_age_s_max: float = 45.0
    confirmations: Confirmations = field(default_factory=Confirmations)


@dataclass(frozen=True, slots=True)
class GroupEvidence:
    """What was read about one group; `offsets` None: it consumes nothing."""

    facts: GroupFacts
    fleets: tuple[FleetMembers, ...] | Failed
    readings: Readings
    offsets: Offsets | Failed | None = None
    fast_s: float = 300.0
    slow_s: float = 1800.0


@dataclass(frozen=True, slots=True)
class GroupMemory:
    """What the last ticks left behind."""

    dimensions: Mapping[Dimension, Committed] = field(default_factory=dict)
    in_service_since: Mapping[str, float] = field(default_factory=dict)
    pending_since: Mapping[str, float] = field(default_factory=dict)
    produced: tuple[tuple[float, int], ...] = ()  # (time, sum of end offsets), oldest first
    moved_at: float | None = None  # when the committed offsets last moved, or nothing waited
    committed_sum: int = -1
    silent_since: float | None = None
    making_at: float | None = None  # when it was last seen being made; None once a fleet of it has been seen


@dataclass(frozen=True, slots=True)
class GroupJudgement:
    """A group after one tick."""

    state: VerdictState
    reasons: tuple[Reason, ...]
    coverage: Coverage
    signals: Mapping[str, float]
    dimensions: Mapping[Dimension, Committed]
    raws: Mapping[Dimension, Raw]
    silent_for_s: float = 0.0


def judge_group(
    seen: GroupEvidence, before: GroupMemory | None, policy: HealthPolicy, now: float
) -> tuple[GroupJudgement, GroupMemory]:
    """One tick of one group."""
    memory = _remember(seen, before, policy, now)
    rates = _rates(seen, memory, now)
    scope = f"group/{seen.facts.name}"
    capacity = judge_capacity(scope, seen, memory, before is not None and _was_idle(before), policy, now)
    members, coverage = judge_members(scope, seen, memory.in_service_since, policy, now)
    raws: dict[Dimension, Raw] = {
        Dimension.CAPACITY: capacity,
        Dimension.MEMBERS: members,
        Dimension.LAG: judge_lag(scope, seen, rates, _state(before, Dimension.LAG), policy, now),
        Dimension.ERRORS: judge_errors(scope, seen, rates, _state(before, Dimension.ERRORS), policy),
        Dimension.PROGRESS: judge_progress(scope, seen, memory.moved_at, policy, now),
    }
    by_intent = capacity.state is VerdictState.IDLE
    if by_intent:
        raws = {d: Raw(VerdictState.IDLE) for d in Dimension} | {Dimension.CAPACITY: capacity}
        committed = {d: Committed(VerdictState.IDLE, _since(before, d, now)) for d in Dimension}
    else:
        old = before.dimensions if before else {}
        committed = {d: commit(old.get(d), raw.state, now, policy.confirmations) for d, raw in raws.items()}
    state = worst([c.state for c in committed.values()])
    if state in GOOD:
        state = VerdictState.IDLE if by_intent or not rates.traffic else VerdictState.HEALTHY
    reasons = (
        tuple(
            r for d, raw in raws.items() if committed[d].state not in GOOD or raw.state not in GOOD for r in raw.reasons
        )
        or capacity.reasons
    )
    memory = replace(memory, dimensions=committed, silent_since=_silent_since(memory, coverage, now))
    silent_for_s = now - memory.silent_since if memory.silent_since is not None else 0.0
    signals = _signals(seen, rates, now)
    return GroupJudgement(state, reasons, coverage, signals, committed, raws, silent_for_s), memory


def _state(before: GroupMemory | None, dimension: Dimension) -> VerdictState | None:
    found = before.dimensions.get(dimension) if before else None
    return found.state if found else None


def _since(before: GroupMemory | None, dimension: Dimension, now: float) -> float:
    found = before.dimensions.get(dimension) if before else None
    return found.since if found and found.state is VerdictState.IDLE else now


def _was_idle(before: GroupMemory) -> bool:
    return _state(before, Dimension.CAPACITY) in (None, VerdictState.IDLE)


def _remember(seen: GroupEvidence, before: GroupMemory | None, policy: HealthPolicy, now: float) -> GroupMemory:
    memory = before or GroupMemory()
    in_service_since, pending_since = memory.in_service_since, memory.pending_since
    making_at = now if seen.facts.settling else memory.making_at
    if not isinstance(seen.fleets, Failed):
        members = [m for fleet in seen.fleets for m in fleet.members]
        making_at = None if seen.fleets else making_at
        # Whoever is in service when the Observer first looks has warmed up long ago.
        first = now if before else now - policy.warm_up_s
        in_service_since = {m.id: in_service_since.get(m.id, first) for m in members if m.in_service}
        pending_since = {m.id: pending_since.get(m.id, now) for m in members if m.pending}
    produced, moved_at, committed_sum = memory.produced, memory.moved_at, memory.committed_sum
    if isinstance(seen.offsets, Offsets):
        moved = seen.offsets.committed_sum != committed_sum or seen.offsets.backlog == 0
        kept_s = max(OFFSETS_KEPT_S, seen.fast_s * 2)
        first = next((n for n, p in enumerate(produced) if now - p[0] <= kept_s), len(produced))  # oldest first
        produced = (*produced[first:], (now, seen.offsets.end_sum))
        committed_sum = seen.offsets.committed_sum
        moved_at = now if moved or moved_at is None else moved_at
    return replace(
        memory,
        in_service_since=in_service_since,
        pending_since=pending_since,
        produced=produced,
        moved_at=moved_at,
        committed_sum=committed_sum,
        making_at=making_at,
    )


def _rates(seen: GroupEvidence, memory: GroupMemory, now: float) -> Rates:
    fast, name = seen.readings.fast, seen.facts.name
    by_fleet = {} if isinstance(fast, Failed) else {f: r for (g, f), r in fast.rates.items() if g == name}
    processed = None if isinstance(fast, Failed) else sum(r.processed for r in by_fleet.values())
    arrival = _arrival(memory, seen, now)
    if arrival is None and seen.offsets is None:
        arrival = processed
    backlog = seen.offsets.backlog if isinstance(seen.offsets, Offsets) else None
    if seen.offsets is None:
        backlog = 0
    return Rates(processed, arrival, backlog)


def _arrival(memory: GroupMemory, seen: GroupEvidence, now: float) -> float | None:
    """d(end offset)/dt over about the fast window."""
    if not isinstance(seen.offsets, Offsets) or len(memory.produced) < 2:  # noqa: PLR2004  a slope needs two points
        return None
    at, count = next((p for p in reversed(memory.produced) if now - p[0] >= seen.fast_s), memory.produced[0])
    return max(0.0, (memory.produced[-1][1] - count) / (now - at)) if now > at else None


def _silent_since(memory: GroupMemory, coverage: Coverage, now: float) -> float | None:
    if coverage.expected == 0 or coverage.reporting > 0:
        return None
    return memory.silent_since if memory.silent_since is not None else now


def _signals(seen: GroupEvidence, rates: Rates, now: float) -> dict[str, float]:
    """The numbers that other services read; what is not known is absent."""
    name, readings = seen.facts.name, seen.readings
    found: dict[str, float | None] = {
        "arrival_rate": rates.arrival,
        "processed_rate": rates.processed,
        "backlog": rates.backlog,
        "busy_ratio": readings.busy.get(name),
        "cpu_cores": readings.cpu.get(name),
    }
    if not isinstance(readings.oldest, Failed) and name in readings.oldest:
        found["oldest_age_s"] = max(0.0, now - readings.oldest[name])
    if not isinstance(readings.fast, Failed):
        found["lag_p95_s"] = quantile(0.95, readings.fast.lag.get(name, {}))
        failed = sum(r.failed for (g, _), r in readings.fast.rates.items() if g == name)
        total = max(rates.processed or 0.0, failed)
        found["error_ratio"] = failed / total if total > 0 else None
    if not isinstance(seen.fleets, Failed):
        found["desired"] = float(sum(f.desired for f in seen.fleets))
        found["in_service"] = float(sum(m.in_service for f in seen.fleets for m in f.members))
    return {k: round(v, 6) for k, v in found.items() if v is not None}
