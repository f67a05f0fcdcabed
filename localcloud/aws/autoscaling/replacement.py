"""How many instances may be replaced at once, and which of them go now. Pure.

After "Instance maintenance policies" in the user guide: while instances are replaced, what is in service, healthy and
warmed up does not fall below the minimum healthy percentage of the desired capacity, and what is in service or pending
does not rise above the maximum. Both are rounded up to whole units. A minimum of 100 with a maximum above it launches
before it terminates. Where the bounds leave no room at all, one instance at a time goes.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from localcloud.aws.autoscaling.records import Member

WHOLE = 100


@dataclass(slots=True, frozen=True)
class Cohort:
    """Instances to be replaced for the same reason, in the order in which they go; bounds in percent."""

    members: Sequence[Member]
    least: int
    most: int
    cause: str


@dataclass(slots=True)
class Plan:
    """What to do now: `units` to have in all, what is launched ahead included; who leaves, and why."""

    units: int
    leaving: list[tuple[Member, str]] = field(default_factory=list)


@dataclass(slots=True)
class _Tally:
    """Units as they are once those who leave are gone."""

    ready: int
    idle: int  # of those who are to be replaced, what does not serve
    moving: bool  # a replacement is under way


def plan(desired: int, capacity: Sequence[Member], cohorts: Sequence[Cohort], ready: Callable[[Member], bool]) -> Plan:
    """Which members of the cohorts leave now. `ready`: in service, healthy, warmed up."""
    going = {m.id for cohort in cohorts for m in cohort.members}
    made = Plan(desired)
    tally = _Tally(
        ready=sum(m.weight for m in capacity if ready(m)),
        idle=sum(m.weight for m in capacity if m.id in going and not ready(m)),
        moving=sum(m.weight for m in capacity) < desired or any(not ready(m) for m in capacity if m.id not in going),
    )
    for cohort in cohorts:
        _take(desired, cohort, ready, tally, made)
    return made


def _take(desired: int, cohort: Cohort, ready: Callable[[Member], bool], tally: _Tally, made: Plan) -> None:
    floor = math.ceil(desired * cohort.least / WHOLE)
    room = max(0, math.ceil(desired * cohort.most / WHOLE) - desired)
    launch_first = bool(room) and cohort.least >= WHOLE
    waiting = sum(m.weight for m in cohort.members)
    for member in cohort.members:
        if ready(member):
            alone = not room and not tally.moving
            may = tally.ready - member.weight >= floor or alone
        else:
            may = not launch_first or tally.ready + tally.idle - member.weight >= desired
        if not may:
            continue
        made.leaving.append((member, cohort.cause))
        waiting -= member.weight
        tally.moving = True
        if ready(member):
            tally.ready -= member.weight
        else:
            tally.idle -= member.weight
    made.units = max(made.units, desired + min(waiting, room))
