"""Admission a second time: the tables of the architecture as text, read cell by cell, and no code of the product.

`AdmissionMatrix` holds every grant to this. It is meant to be dull: whoever changes the product's tables must change
this text too, by hand.
"""

from collections.abc import Mapping
from typing import Any

from services.observer.domain.activities import Activity
from services.observer.domain.topology import Topology
from services.observer.domain.verdict import Verdict
from shared.domain.scope import Scope

TABLE = """
| requested \\ held | ROLLBACK | SCALE_OUT | DEPLOY        | RAMP  | PROVISION | DRIFT_REPAIR | SCALE_IN | FREEZE |
| ROLLBACK         | wait     | ok        | takes it over | yield | wait      | yield        | yield    | ok     |
| SCALE_OUT        | ok       | wait      | yield         | ok    | ok        | ok           | yield    | ok     |
| DEPLOY           | wait     | wait      | queue         | wait  | wait      | wait         | wait     | wait   |
| RAMP             | wait     | wait      | wait          | wait  | wait      | wait         | wait     | wait   |
| PROVISION        | wait     | wait      | wait          | wait  | wait      | wait         | wait     | wait   |
| DRIFT_REPAIR     | wait     | wait      | wait          | wait  | wait      | wait         | wait     | wait   |
| SCALE_IN         | wait     | wait      | wait          | wait  | wait      | wait         | wait     | wait   |
| FREEZE           | ok       | ok        | ok            | ok    | ok        | ok           | ok       | ok     |
"""
OVERRIDDEN = {("DEPLOY", "RAMP"): "yield"}  # what a person gives a reason for
ONE_A_PIPELINE = ("DEPLOY", "RAMP", "PROVISION")
PARK_WAIT_S = 30.0
GOOD = ("HEALTHY", "IDLE")


def _read() -> dict[tuple[str, str], str]:
    head, *rows = [[c.strip() for c in line.strip("|").split("|")] for line in TABLE.strip().splitlines()]
    return {(row[0], held): cell for row in rows for held, cell in zip(head[1:], row[1:], strict=True)}


CELLS = _read()


def cell_of(requested: str, held: str, *, overridden: bool) -> str:
    """The cell of one kind beside another."""
    plain = CELLS[requested, held]
    return OVERRIDDEN.get((requested, held), plain) if overridden else plain


def excludes(requested: str, held: str, *, overridden: bool = False) -> bool:
    """Whether the one is never begun while the other is held."""
    return cell_of(requested, held, overridden=overridden) in {"wait", "queue"}


def groups_of(scope: Scope, topology: Topology) -> set[str]:
    """Groups that a scope is about."""
    match str(scope).split("/"):
        case ["system"]:
            return set(topology.groups)
        case ["group", name]:
            return {name}
        case ["pipeline", name]:
            return set(topology.pipelines.get(name, {}).values())
        case [_, pipeline, stage]:
            group = topology.pipelines.get(pipeline, {}).get(stage)
            return {group} if group else set()
        case _:
            raise AssertionError(scope)


def pipelines_of(scope: Scope, topology: Topology) -> set[str]:
    """Pipelines whose traffic a scope is about."""
    match str(scope).split("/"):
        case ["system"]:
            return set(topology.pipelines)
        case ["group", name]:
            return {p for p, stages in topology.pipelines.items() if name in stages.values()}
        case [_, pipeline, *_]:
            return {pipeline}
        case _:
            raise AssertionError(scope)


def meet(one: Scope, other: Scope, topology: Topology) -> bool:
    """Whether two activities would touch the same thing."""
    names = {str(one), str(other)}
    if len(names) == 1 or "system" in names:
        return True
    kinds = {s.split("/")[0] for s in names}
    if kinds == {"pipeline", "stage"} and one.names[0] == other.names[0]:
        return True
    return bool(groups_of(one, topology) & groups_of(other, topology))


def against_held(
    new: Activity, held: Activity, topology: Topology, now: float, *, ended: bool, overridden: bool
) -> str:
    """Why `new` should not have been granted while `held` was live; empty when it may. `ended`: the grant ended it."""
    kind, other = new.kind.value, held.kind.value
    if meet(new.scope, held.scope, topology):
        cell = cell_of(kind, other, overridden=overridden)
        asked_s = now - held.ask.asked_at if held.ask else 0.0
        patient = kind in {"SCALE_OUT", "ROLLBACK"} and asked_s >= PARK_WAIT_S
        if cell in {"wait", "queue"}:
            return f"{kind} must wait for {other} ({held.id})"
        if cell == "yield" and not held.parked and not patient:
            return f"{held.id} has neither parked nor been asked for {PARK_WAIT_S:.0f} s (asked {asked_s:.1f} s ago)"
        if cell == "takes it over" and not ended:
            return f"{kind} takes {held.id} over, which goes on"
        return ""
    shared = pipelines_of(new.scope, topology) & pipelines_of(held.scope, topology)
    if shared and kind in ONE_A_PIPELINE and other in ONE_A_PIPELINE:
        return f"{held.id} changes pipeline {min(shared)} already"
    return ""


def judged_scopes(scope: Scope, topology: Topology) -> set[str]:
    """The scope, and the stages and pipelines it involves; not the system."""
    found = {str(scope)}
    match str(scope).split("/"):
        case ["group", name]:
            carried = {name}
        case ["stage", pipeline, _]:
            carried = groups_of(scope, topology)
            found |= {f"group/{g}" for g in carried} | {f"pipeline/{pipeline}"}
        case ["pipeline", name]:
            found |= {f"stage/{name}/{s}" for s in topology.pipelines.get(name, {})}
            carried = set()
        case _:
            carried = set()
    for pipeline, stages in topology.pipelines.items():
        for stage, group in stages.items():
            if group in carried:
                found |= {f"stage/{pipeline}/{stage}", f"pipeline/{pipeline}"}
    return found


def needed(new: Activity, topology: Topology, *, overridden: bool) -> tuple[set[str], tuple[str, ...]]:
    """Scopes whose verdicts the kind needs, and the states that will do; `overridden`: a person gave a reason."""
    kind = new.kind.value
    if kind in {"ROLLBACK", "FREEZE", "SCALE_OUT"} or (kind == "DRIFT_REPAIR" and new.security):
        return set(), ()
    if kind in {"DEPLOY", "RAMP"} and overridden:
        return set(), ()
    if kind == "PROVISION" and new.creates:
        return {"system"}, (*GOOD, "DEGRADED")
    scopes = judged_scopes(new.scope, topology)
    return scopes if kind == "SCALE_IN" else scopes | {"system"}, GOOD


def bad_verdict(new: Activity, topology: Topology, read: Mapping[Any, Verdict], now: float, *, overridden: bool) -> str:
    """Why the verdicts that were read do not allow the grant; empty when they do."""
    scopes, allowed = needed(new, topology, overridden=overridden)
    known = {str(s): v for s, v in read.items()}
    for scope in sorted(scopes):
        verdict = known.get(scope)
        if verdict is None:
            return f"{scope} has no verdict"
        age_s = now - verdict.as_of
        if age_s > verdict.ttl_s or age_s < -5.0:
            return f"the verdict of {scope} is {age_s:.1f} s old and lives {verdict.ttl_s:.0f} s"
        if verdict.state.value not in allowed:
            return f"{scope} is {verdict.state.value}"
    return ""
