"""Strategies compose plans; they do not act. Each is a function registered under the name of its declaration.

New nodes at a share of p % of n:

    floor(p, n)     = ceil(p * n / 100), at least 1
    old_floor(p, n) = n - floor(p, n), at least 1 while the old fleet has traffic

    n = 4:   25 % -> 1 new, 3 old     50 % -> 2 new, 2 old     100 % -> 4 new, 2 old kept warm until it is judged
    n = 1:   25 % -> 1 new, 1 old     (50 % would be the same machines: left out where members are the share)

Where members of a consumer group are the share (stages), they are never more than its partitions.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from services.deployer.domain.plan import ALL_PERCENT, AddFleet, Bake, Judge, Plan, RemoveFleet, Share, Step
from services.deployer.domain.revision import Revision
from shared.domain.names import DeploymentId, FleetId
from shared.domain.reason import Reason, Remedy


@dataclass(frozen=True, slots=True)
class RolloutWish:
    """The declared rollout: its type and numbers."""

    type: str
    percents: tuple[int, ...] = ()
    percent: int = 10
    bake_s: float = 300.0


@dataclass(frozen=True, slots=True)
class Situation:
    """What a plan is made for."""

    deployment_id: DeploymentId
    revision: Revision
    old_fleet: FleetId
    nodes: int  # the group's total now
    rollout: RolloutWish
    partitions: int = 0  # of the topic it consumes; 0: traffic is balanced by weights
    leftovers: tuple[FleetId, ...] = ()  # fleets without traffic that an earlier deployment left


Strategy = Callable[[Situation], Plan | Reason]
_STRATEGIES: dict[str, Strategy] = {}


def strategy(name: str) -> Callable[[Strategy], Strategy]:
    """Register a strategy under the `type` of its declaration."""

    def register(made: Strategy) -> Strategy:
        _STRATEGIES[name] = made
        return made

    return register


def strategies() -> tuple[str, ...]:
    """Names, sorted."""
    return tuple(sorted(_STRATEGIES))


def compose(situation: Situation) -> Plan | Reason:
    """The plan of the declared strategy, or why there is none."""
    made = _STRATEGIES.get(situation.rollout.type)
    if made is None:
        text = f"rollout {situation.rollout.type!r} is not a strategy: use one of {', '.join(strategies())}"
        return Reason("UnknownStrategy", _scope(situation), text)
    plan = made(situation)
    if isinstance(plan, Reason) or not situation.leftovers:
        return plan
    extra = tuple(RemoveFleet(f) for f in situation.leftovers)
    warning = f"{', '.join(situation.leftovers)} without traffic is left from before and goes too"
    return replace(plan, steps=(*plan.steps, *extra), warnings=(*plan.warnings, warning))


@strategy("rolling")
def rolling(situation: Situation) -> Plan:
    """Growing shares, each baked and judged."""
    return _by_shares(situation, situation.rollout.percents or (ALL_PERCENT,))


@strategy("canary")
def canary(situation: Situation) -> Plan:
    """One judged share, then everything."""
    return _by_shares(situation, (situation.rollout.percent, ALL_PERCENT))


@strategy("blue_green")
def blue_green(situation: Situation) -> Plan:
    """A full new fleet beside the full old one, then one switch."""
    return _by_shares(situation, (ALL_PERCENT,), warm=situation.nodes)


@strategy("in_place")
def in_place(situation: Situation) -> Reason:
    """Refused: nothing to compare with, and its way back is as slow as its way there."""
    text = (
        f"group {situation.revision.group}: in-place replacement has no second fleet, so nothing can be judged against "
        "the old version and there is no fast way back"
    )
    remedy = Remedy("declare Rolling, Canary or BlueGreen, or ask for one with the deployment")
    return Reason("StrategyRefused", _scope(situation), text, remedy=(remedy,))


def floor_of(percent: int, nodes: int) -> int:
    """Nodes of the new fleet at a share.

    >>> [floor_of(p, 10) for p in (1, 25, 50, 100)], floor_of(25, 1), floor_of(25, 0)
    ([1, 3, 5, 10], 1, 0)
    """
    return max(1, math.ceil(percent * nodes / ALL_PERCENT)) if nodes else 0


def _by_shares(situation: Situation, percents: tuple[int, ...], warm: int | None = None) -> Plan:
    """Add, then per share: share, bake, judge; then remove. `warm`: old nodes kept at 100 % (else as before it)."""
    new, old, nodes = situation.revision.fleet, situation.old_fleet, situation.nodes
    steps: list[Step] = [AddFleet(new, 0)]
    warnings: list[str] = []
    before: Share | None = None
    for percent in percents if nodes else (ALL_PERCENT,):
        share = _share(situation, percent, before, warm)
        members = share.floor + share.old_floor
        if percent < ALL_PERCENT and situation.partitions and members > situation.partitions:
            warnings.append(
                f"{percent} % is left out: {members} members are more than {situation.partitions} partitions"
            )
            continue
        if _same_machines(situation, share, before):
            warnings.append(f"{percent} % is left out: it would be the same machines as the share before")
            continue
        steps.append(share)
        before = share
        if nodes:
            steps += [Bake(situation.rollout.bake_s), Judge(new, old)]
    if not nodes:
        warnings.append(f"group {situation.revision.group} has no nodes: there is nothing to bake or judge")
    steps.append(RemoveFleet(old))
    return Plan(
        situation.deployment_id,
        situation.revision.group,
        situation.revision,
        old,
        new,
        situation.rollout.type,
        nodes,
        tuple(steps),
        tuple(warnings),
    )


def _share(situation: Situation, percent: int, before: Share | None, warm: int | None) -> Share:
    nodes = situation.nodes
    floor = floor_of(percent, nodes)
    if percent < ALL_PERCENT:
        return Share(situation.revision.fleet, percent, floor, max(1, nodes - floor))
    kept = warm if warm is not None else before.old_floor if before is not None else nodes
    return Share(situation.revision.fleet, percent, floor, kept)


def _same_machines(situation: Situation, share: Share, before: Share | None) -> bool:
    """Members are the share: the same machines get the same work."""
    return (
        situation.partitions > 0
        and before is not None
        and share.percent < ALL_PERCENT
        and (share.floor, share.old_floor) == (before.floor, before.old_floor)
    )


def _scope(situation: Situation) -> str:
    return f"group/{situation.revision.group}"
