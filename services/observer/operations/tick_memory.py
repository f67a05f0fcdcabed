"""What a leader remembers from tick to tick, and what it makes of everything it has read."""

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from services.observer.domain.activities import Activity
from services.observer.domain.alarms import Alarm
from services.observer.domain.attribution import cause_of
from services.observer.domain.evidence import Failed, FleetMembers, Inventory, Readings
from services.observer.domain.group_health import GroupJudgement, GroupMemory
from services.observer.domain.rollup import Judged
from services.observer.domain.topology import Topology
from services.observer.domain.verdict import telemetry_outage
from shared.domain.errors import HeadraceError
from shared.domain.health import GOOD, VerdictState
from shared.domain.names import GroupName
from shared.domain.reason import Compared, Reason
from shared.domain.scope import SYSTEM, Scope, group_scope

LOG = structlog.get_logger()


@dataclass
class TickMemory:
    """What a leader remembers from tick to tick; a new leader starts with what the stores say."""

    groups: dict[str, GroupMemory] = field(default_factory=dict)
    since: dict[Scope, tuple[VerdictState, float]] = field(default_factory=dict)
    states: dict[Scope, tuple[VerdictState, ...]] = field(default_factory=dict)
    flapping: set[Scope] = field(default_factory=set)
    alarms: dict[str, Alarm] = field(default_factory=dict)
    traffic_since: dict[str, float] = field(default_factory=dict)
    inventory: Inventory | None = None


async def or_failed(read: Awaitable[Sequence[FleetMembers]]) -> Sequence[FleetMembers] | Failed:
    """What was read, or why it could not be."""
    try:
        return await read
    except HeadraceError as e:
        LOG.warning("machines could not be read", error=str(e))
        return Failed(str(e))


def blind_system(why: str) -> Judged:
    """The system while nobody knows what there is."""
    return Judged(SYSTEM, VerdictState.UNKNOWN, (Reason("InventoryUnavailable", "system", why),))


def outage_of(judged: Sequence[Judged], memory: TickMemory) -> Reason | None:
    """Most scopes blind at once: the telemetry failed, not they."""
    scopes = [j for j in judged if j.scope != SYSTEM]
    blind = sum(j.state is VerdictState.UNKNOWN for j in scopes)
    if not telemetry_outage(len(scopes), blind) or SYSTEM not in memory.since:
        return None
    numbers = Compared("scopes_unknown", blind, "<=", len(scopes) / 2)
    return Reason("TelemetryOutage", "system", f"{blind} of {len(scopes)} scopes are UNKNOWN at once", (numbers,))


def causes_of(
    inventory: Inventory,
    groups: Mapping[str, GroupJudgement],
    readings: Readings,
    activities: Sequence[Activity],
    topology: Topology,
) -> dict[Scope, str]:
    """Activities that a bad group, and its stages and pipelines, are laid on."""
    found: dict[Scope, str] = {}
    for name, j in groups.items():
        if j.state in GOOD:
            continue
        scope = group_scope(GroupName(name))
        mine = [a for a in activities if topology.meet(scope, a.scope)]
        cause = cause_of(inventory.groups[name], readings, mine)
        if cause:
            found |= dict.fromkeys(topology.judged_scopes(scope, with_system=False), cause)
    return found
