"""One round of alarms a tick: step each, open new ones, resolve what is over; record before anybody is told."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from services.observer.domain.activities import Activity
from services.observer.domain.alarms import Alarm, AlarmState, Notification, step_alarm
from services.observer.domain.ports import History
from services.observer.domain.quieting import Firing, Holder, QuietWindow
from services.observer.domain.topology import Topology
from shared.domain.reason import Reason
from shared.domain.scope import Scope, ScopeKind

Conditions = Mapping[tuple[Scope, str], tuple[Firing, tuple[Reason, ...]]]


@dataclass(frozen=True, slots=True)
class RoundInput:
    """What a round is judged by."""

    conditions: Conditions
    windows: Sequence[QuietWindow]
    activities: Sequence[Activity]
    topology: Topology
    flapping: frozenset[Scope]
    pending_s: float
    hold_telemetry: bool  # a telemetry outage: one finding for the system, no page per scope


@dataclass(frozen=True, slots=True)
class RoundResult:
    """What changed, what to say, and which scopes have a quieted alarm."""

    changed: tuple[Alarm, ...]
    notifications: tuple[Notification, ...]
    quieted: frozenset[Scope]


def alarm_round(open_alarms: Sequence[Alarm], given: RoundInput, now: float, new_id: Callable[[], str]) -> RoundResult:
    """Step every open alarm and every new condition."""
    known = {(a.scope, a.alarm_class): a for a in open_alarms}
    holders = {str(a.id): Holder(int(a.token), a.expires_at - a.ttl_s, max(60.0, a.ttl_s)) for a in given.activities}
    changed: list[Alarm] = []
    said: list[Notification] = []
    quieted: set[Scope] = set()
    for key in sorted(known.keys() | given.conditions.keys(), key=lambda k: (str(k[0]), k[1])):
        scope, alarm_class = key
        firing, reasons = given.conditions.get(key, (None, ()))
        if given.hold_telemetry and alarm_class == "telemetry" and scope.kind is not ScopeKind.SYSTEM:
            continue
        before = known.get(key)
        if before is None and firing is None:
            continue
        alarm = before or Alarm(new_id(), scope, alarm_class, AlarmState.PENDING, now)
        step = step_alarm(
            alarm,
            firing,
            now,
            pending_s=given.pending_s,
            windows=given.windows,
            contains=containing(given.topology, scope),
            holders=holders,
            flapping=scope in given.flapping,
        )
        after = replace(step.alarm, reasons=reasons or alarm.reasons)
        if after != before:
            changed.append(after)
        if step.notification:
            said.append(step.notification)
        if after.state is AlarmState.QUIETED:
            quieted.add(scope)
    return RoundResult(tuple(changed), tuple(said), frozenset(quieted))


def containing(topology: Topology, scope: Scope) -> tuple[Scope, ...]:
    """The scopes that a scope lies in, the system excepted: a window never covers everything."""
    wider = topology.judged_scopes(scope, with_system=False)
    return (
        tuple(s for s in wider if s != scope and s.kind is not ScopeKind.SYSTEM)
        if scope.kind is ScopeKind.GROUP
        else ()
    )


async def record(history: History, result: RoundResult, at: float) -> None:
    """Keep alarms and notifications together."""
    await history.save_alarms(result.changed, result.notifications, at)
