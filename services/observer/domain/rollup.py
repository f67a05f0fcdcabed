"""From groups to stages, pipelines and the system: worst of what is required, and each scope's own reasons."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from services.observer.domain.evidence import Inventory, PipelineFacts
from services.observer.domain.group_health import GroupJudgement
from services.observer.domain.topology import Topology
from services.observer.domain.verdict import Coverage, roll_up, roll_up_system
from shared.domain.health import GOOD, VerdictState
from shared.domain.names import GroupName, PipelineName, StageName
from shared.domain.reason import Compared, Reason
from shared.domain.scope import SYSTEM, Scope, group_scope, pipeline_scope, stage_scope

REASONS_MAX = 12
LOST_SIGNALS = ("lag_p95_s", "arrival_rate", "processed_rate", "backlog", "error_ratio", "oldest_age_s")


@dataclass(frozen=True, slots=True)
class LossFinding:
    """The loss dimension of a pipeline; `state` None: no closed bucket has said anything yet."""

    state: VerdictState | None = None
    reasons: tuple[Reason, ...] = ()
    ratio: float | None = None
    over: float = 0.0


@dataclass(frozen=True, slots=True)
class Judged:
    """A scope judged, before it gets its epoch, seq and age."""

    scope: Scope
    state: VerdictState
    reasons: tuple[Reason, ...] = ()
    coverage: Coverage = field(default_factory=Coverage)
    signals: Mapping[str, float] = field(default_factory=dict)
    generation: int = 0


def topology_of(inventory: Inventory) -> Topology:
    """Which groups carry which stages."""
    return Topology(frozenset(inventory.groups), {p.name: dict(p.stages) for p in inventory.pipelines.values()})


def roll_up_all(
    inventory: Inventory, groups: Mapping[str, GroupJudgement], losses: Mapping[str, LossFinding]
) -> list[Judged]:
    """Every scope of the inventory, groups first, the system last."""
    found = [
        Judged(
            group_scope(GroupName(name)),
            j.state,
            j.reasons[:REASONS_MAX],
            j.coverage,
            j.signals,
            inventory.groups[name].generation,
        )
        for name, j in sorted(groups.items())
    ]
    by_group = {j.scope.name: j for j in found}
    units: list[Judged] = []
    carried: set[str] = set()
    for _, facts in sorted(inventory.pipelines.items()):
        stages = [_stage(facts, stage, by_group.get(group)) for stage, group in facts.stages.items()]
        pipeline = _pipeline(facts, stages, losses.get(facts.name, LossFinding()))
        found += [*stages, pipeline]
        units.append(pipeline)
        carried |= set(facts.stages.values())
    units += [j for name, j in by_group.items() if name not in carried]
    found.append(_system(units, found))
    return found


def _stage(facts: PipelineFacts, stage: str, group: Judged | None) -> Judged:
    scope = stage_scope(PipelineName(facts.name), StageName(stage))
    if group is None:
        missing = Reason("GroupMissing", str(scope), f"its group {facts.stages[stage]} is not in the inventory")
        return Judged(scope, VerdictState.UNKNOWN, (missing,), generation=facts.generation)
    return Judged(scope, group.state, group.reasons, group.coverage, group.signals, facts.generation)


def _pipeline(facts: PipelineFacts, stages: Sequence[Judged], loss: LossFinding) -> Judged:
    scope = pipeline_scope(PipelineName(facts.name))
    states = [s.state for s in stages] + ([loss.state] if loss.state else [])
    state = roll_up([(s, True) for s in states])
    if state in GOOD and all(s.state is VerdictState.IDLE for s in stages):
        state = VerdictState.IDLE
    reasons = [r for s in stages if s.state not in GOOD for r in s.reasons] + list(loss.reasons)
    last = stages[-1].signals if stages else {}
    signals = {k: last[k] for k in LOST_SIGNALS if k in last}
    first = stages[0].signals if stages else {}
    if "arrival_rate" in first:
        signals["arrival_rate"] = first["arrival_rate"]
    if all("backlog" in s.signals for s in stages):
        signals["backlog"] = sum(s.signals["backlog"] for s in stages)
    if loss.ratio is not None:
        signals["loss_ratio"] = loss.ratio
    coverage = Coverage(sum(s.coverage.expected for s in stages), sum(s.coverage.reporting for s in stages))
    return Judged(scope, state, tuple(dict.fromkeys(reasons))[:REASONS_MAX], coverage, signals, facts.generation)


def _system(units: Sequence[Judged], every: Sequence[Judged]) -> Judged:
    state = roll_up_system([u.state for u in units])
    bad = [u for u in units if u.state not in GOOD]
    numbers = Compared("units_not_good", len(bad), "<=", 0)
    reasons = tuple(
        Reason("UnitNotGood", str(u.scope), f"{u.scope} is {u.state.value}", (numbers,)) for u in bad[:REASONS_MAX]
    )
    groups = [j for j in every if j.scope.kind.value == "group"]
    coverage = Coverage(sum(g.coverage.expected for g in groups), sum(g.coverage.reporting for g in groups))
    return Judged(SYSTEM, state, reasons, coverage, {"units": float(len(units)), "units_not_good": float(len(bad))})
