"""Alarms: a condition that a person may have to act on.

    pending --held long enough--> firing --window--> quieted --window over, still bad--> firing
    pending, firing, quieted --good again--> resolved

A transition may notify: when it starts to fire outside any window or pierces one, when a window ends over it, and when
an alarm that was notified is resolved, whatever window it is in by then. Flapping collapses repeats into the first.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from services.observer.domain.quieting import Firing, Holder, QuietWindow, quieting
from shared.domain.reason import Reason
from shared.domain.scope import Scope


class AlarmState(StrEnum):
    """Where an alarm stands."""

    PENDING = "pending"
    FIRING = "firing"
    QUIETED = "quieted"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm of one scope and class, from its first sign to its end."""

    id: str
    scope: Scope
    alarm_class: str
    state: AlarmState
    since: float
    reasons: tuple[Reason, ...] = ()
    quieted_by: str = ""
    notified: bool = False
    resolved_at: float | None = None


@dataclass(frozen=True, slots=True)
class Notification:
    """Something a person hears; `event` is firing or resolved."""

    alarm: Alarm
    event: str
    text: str


@dataclass(frozen=True, slots=True)
class Stepped:
    """An alarm after one tick."""

    alarm: Alarm
    notification: Notification | None = None


def step_alarm(  # noqa: PLR0913  an alarm is judged by this many things
    alarm: Alarm,
    firing: Firing | None,
    now: float,
    *,
    pending_s: float,
    windows: Sequence[QuietWindow] = (),
    contains: Sequence[Scope] = (),
    holders: dict[str, Holder] | None = None,
    flapping: bool = False,
) -> Stepped:
    """One tick of one alarm; `firing` is None when the condition is gone."""
    if firing is None:
        return _resolve(alarm, now)
    if alarm.state is AlarmState.PENDING and now - alarm.since < pending_s:
        return Stepped(alarm)
    judged = quieting(firing, windows, contains, holders or {})
    if not judged.notify:
        return Stepped(replace(alarm, state=AlarmState.QUIETED, quieted_by=judged.quieted_by))
    fired = replace(alarm, state=AlarmState.FIRING, quieted_by="")
    if alarm.notified or flapping:
        return Stepped(fired)
    during = f", during {alarm.quieted_by or 'a quiet window'} ({judged.pierced})" if judged.pierced else ""
    text = f"{alarm.alarm_class} on {alarm.scope} for {max(0.0, now - alarm.since):.0f} s{during}"
    notified = replace(fired, notified=True)
    return Stepped(notified, Notification(notified, "firing", text))


def _resolve(alarm: Alarm, now: float) -> Stepped:
    resolved = replace(alarm, state=AlarmState.RESOLVED, resolved_at=now)
    if not alarm.notified:
        return Stepped(resolved)
    text = f"{alarm.alarm_class} on {alarm.scope} is over after {max(0.0, now - alarm.since):.0f} s"
    return Stepped(resolved, Notification(resolved, "resolved", text))
