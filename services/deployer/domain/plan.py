"""A deployment's plan: frozen steps that leave no choice to whoever carries them out, and a text that people read.

`unsafe` states what every plan must keep, whichever strategy made it: growth before removal, never less serving
capacity than the group had, never more members than partitions, nothing judged that has no traffic, the old fleet last
to go.
"""

from dataclasses import dataclass
from typing import Literal, assert_never

from services.deployer.domain.revision import Revision
from shared.domain.names import DeploymentId, FleetId, GroupName

ALL_PERCENT = 100


@dataclass(frozen=True, slots=True)
class AddFleet:
    """Make the new fleet with its first nodes, no traffic."""

    fleet: FleetId
    nodes: int
    kind: Literal["add_fleet"] = "add_fleet"


@dataclass(frozen=True, slots=True)
class Share:
    """Give the new fleet its share: size both fleets, wait until the new nodes serve, then route."""

    fleet: FleetId
    percent: int
    floor: int  # nodes of the new fleet
    old_floor: int  # nodes kept in the old fleet
    kind: Literal["share"] = "share"


@dataclass(frozen=True, slots=True)
class Bake:
    """Let it run."""

    seconds: float
    kind: Literal["bake"] = "bake"


@dataclass(frozen=True, slots=True)
class Judge:
    """Compare new with old since the last share."""

    fleet: FleetId
    against: FleetId
    kind: Literal["judge"] = "judge"


@dataclass(frozen=True, slots=True)
class RemoveFleet:
    """Take a fleet away that has no traffic any more."""

    fleet: FleetId
    kind: Literal["remove_fleet"] = "remove_fleet"


Step = AddFleet | Share | Bake | Judge | RemoveFleet


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything a deployment will do; `nodes` is the group's total when it was planned."""

    deployment_id: DeploymentId
    group: GroupName
    revision: Revision
    old_fleet: FleetId
    new_fleet: FleetId
    strategy: str
    nodes: int
    steps: tuple[Step, ...]
    warnings: tuple[str, ...] = ()


def unsafe(plan: Plan, partitions: int = 0) -> list[str]:
    """What is wrong with a plan, by name; empty for every plan that a strategy makes."""
    shares = [s for s in plan.steps if isinstance(s, Share)]
    kinds = [s.kind for s in plan.steps]
    removed = kinds.index("remove_fleet") if "remove_fleet" in kinds else len(kinds)
    judged = kinds.index("judge") if "judge" in kinds else len(kinds)
    checks = {
        "NewFleetFirst": kinds[:1] == ["add_fleet"],
        "EndsWithAll": bool(shares) and shares[-1].percent == ALL_PERCENT,
        "SharesGrow": [s.percent for s in shares] == sorted({s.percent for s in shares}),
        "JudgedWithTraffic": judged == len(kinds) or "share" in kinds[:judged],
        "RemovalLast": all(k == "remove_fleet" for k in kinds[removed:]),
        "NewFleetStays": all(s.fleet != plan.new_fleet for s in plan.steps if isinstance(s, RemoveFleet)),
        "NeverLessCapacity": all(_capacity_of(s) >= plan.nodes for s in shares),
        "NoTrafficToNobody": all(min(s.floor, s.old_floor) >= 1 for s in shares if plan.nodes and not _is_all(s)),
        "MembersWithinPartitions": not partitions
        or all(s.floor + s.old_floor <= partitions for s in shares if not _is_all(s)),
    }
    return [name for name, held in checks.items() if not held]


def _is_all(share: Share) -> bool:
    return share.percent == ALL_PERCENT


def _capacity_of(share: Share) -> int:
    """Nodes with traffic once the share is given."""
    return share.floor if _is_all(share) else share.floor + share.old_floor


def step_text(step: Step) -> str:
    """One step as a sentence.

    >>> step_text(Bake(300.0))
    'bake for 5 min'
    """
    match step:
        case AddFleet():
            return f"make fleet {step.fleet} with {_nodes(step.nodes)}, no traffic"
        case Share():
            kept = f", {step.old_floor} kept in the old fleet" if step.old_floor else ""
            return f"give {step.fleet} {step.percent} %: at least {_nodes(step.floor)} in service first{kept}"
        case Bake():
            return f"bake for {_duration(step.seconds)}"
        case Judge():
            return f"judge {step.fleet} against {step.against}; roll back if it fails"
        case RemoveFleet():
            return f"remove fleet {step.fleet}"
        case _:
            assert_never(step)


def render(plan: Plan) -> str:
    """The plan as an operator reads it."""
    fleets = f"{plan.old_fleet} -> {plan.new_fleet}"
    lines = [
        f"Deployment {plan.deployment_id} of group {plan.group}: {fleets}, {plan.strategy}, {_nodes(plan.nodes)}",
        *(f"{number:>3}. {step_text(step)}" for number, step in enumerate(plan.steps, start=1)),
        *(f"  !  {warning}" for warning in plan.warnings),
    ]
    return "\n".join(lines)


def _nodes(count: int) -> str:
    return f"{count} node" if count == 1 else f"{count} nodes"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    if minutes and not rest:
        return f"{minutes:.0f} min"
    return f"{seconds:g} s"
