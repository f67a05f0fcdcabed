"""Quieting touches notifications, never the verdict that services read.

A window is data: an end, a scope, classes, and a living holder with the current token. What pierces it always
notifies; what still fires at its end (with its tail) notifies at once, with its full age; the resolve of an alarm
that was already notified always goes out. Windows have a budget per group, so that nobody can keep a group quiet for
ever.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from services.observer.domain.matrix import NEVER_QUIETED
from shared.domain.errors import InvalidInput, Refused
from shared.domain.scope import Scope, ScopeKind

BUDGET_S = 3600.0
BUDGET_WINDOW_S = 6 * 3600.0
WINDOW_S_MAX = 7200.0
HOLDER_SILENT_S_MAX = 60.0


@dataclass(frozen=True, slots=True)
class Pierce:
    """Limits past which an alarm notifies whatever window it is in."""

    lag_p95_factor: float = 3.0
    error_fast_burn: bool = True
    loss: bool = True
    all_instances_silent_s: float = 120.0
    bad_share_of_scope: float = 0.5


@dataclass(frozen=True, slots=True)
class QuietWindow:
    """Opened by an activity (its id and token) or by a person (`activity` is empty)."""

    id: str
    scope: Scope
    classes: frozenset[str]
    starts_at: float
    ends_at: float
    tail_s: float = 0.0
    activity: str = ""
    token: int = 0
    closed_at: float | None = None  # its activity ended, or lapsed
    pierce: Pierce = Pierce()
    holder: str = ""
    reason: str = ""

    @property
    def over_at(self) -> float:
        """When it quiets no more, tail included."""
        end = self.ends_at if self.closed_at is None else min(self.closed_at, self.ends_at)
        return end + self.tail_s


def checked_window(
    scope: Scope | None, classes: Sequence[str], starts_at: float, ends_at: float | None, seconds_max: float
) -> None:
    """Refuse what must not be: InvalidInput's message begins with the code."""
    if ends_at is None or ends_at <= starts_at:
        raise InvalidInput("EndRequired: a quiet window needs an end", field="seconds", remedy="say for how long")
    if scope is None or scope.kind is ScopeKind.SYSTEM:
        raise InvalidInput(
            "ScopeTooWide: a quiet window over everything", field="scope", remedy="name a group, stage or pipeline"
        )
    if ends_at - starts_at > seconds_max:
        raise InvalidInput(
            f"WindowTooLong: {ends_at - starts_at:.0f} s is over {seconds_max:.0f} s",
            field="seconds",
            remedy=f"ask for at most {seconds_max:.0f} s, and again if it takes longer",
        )
    forbidden = sorted(set(classes) & NEVER_QUIETED)
    if not classes or forbidden:
        raise InvalidInput(
            f"ClassNotQuietable: {', '.join(forbidden) or 'no class'}", field="classes", remedy="loss is never quieted"
        )


def budget_left(quiet_seconds: float, budget_s: float = BUDGET_S) -> float:
    """Seconds of quiet that the scope has left; Refused when there are none."""
    if quiet_seconds >= budget_s:
        raise Refused(
            f"QuietBudgetExhausted: {quiet_seconds:.0f} s of {budget_s:.0f} s in the last 6 h are used",
            field="seconds",
            remedy="look at what keeps this group noisy",
        )
    return budget_s - quiet_seconds


@dataclass(frozen=True, slots=True)
class Firing:
    """What fires, with what may pierce a window; shares are of the alarm's scope."""

    scope: Scope
    alarm_class: str
    at: float
    root_scope: Scope | None = None  # where the fault lies, when it is not the scope itself
    value_over_threshold: float = 0.0
    error_fast_burn: bool = False
    silent_share: float = 0.0
    silent_for_s: float = 0.0
    bad_share: float = 0.0


@dataclass(frozen=True, slots=True)
class Holder:
    """The window's holder as the ledger sees it now."""

    token: int
    seen_at: float
    ttl_s: float = HOLDER_SILENT_S_MAX


class Phase(StrEnum):
    """Where in a window an alarm fell."""

    WINDOW = "window"
    EXTENSION = "extension"


@dataclass(frozen=True, slots=True)
class Quieting:
    """Whether to notify, and why."""

    notify: bool
    quieted_by: str = ""
    phase: Phase | None = None
    pierced: str = ""
    ignored: str = ""  # why a window that would have matched does not count
    until: float = 0.0


_NO_HOLDERS: dict[str, Holder] = {}


def quieting(
    firing: Firing,
    windows: Sequence[QuietWindow],
    contains: Sequence[Scope] = (),
    holders: dict[str, Holder] = _NO_HOLDERS,
) -> Quieting:
    """Judge a firing alarm against the windows; `contains` are the scopes that the alarm's scope lies in."""
    within = {firing.scope, *contains}
    verdicts = [_by_window(firing, w, within, holders) for w in windows]
    quiet = [v for v in verdicts if v and not v.notify]
    pierced = [v for v in verdicts if v and v.pierced]
    if pierced:
        return pierced[0]
    if quiet:
        return max(quiet, key=lambda v: v.until)
    ignored = [v for v in verdicts if v]
    return ignored[0] if ignored else Quieting(notify=True)


def _by_window(firing: Firing, window: QuietWindow, within: set[Scope], holders: dict[str, Holder]) -> Quieting | None:
    """None when the window does not concern the alarm at all."""
    if window.scope not in within or firing.alarm_class not in window.classes or firing.alarm_class in NEVER_QUIETED:
        return None
    if not window.starts_at <= firing.at < window.over_at:
        return None
    if firing.root_scope is not None and firing.root_scope not in {*within, window.scope}:
        return Quieting(notify=True, ignored="RootScopeOutsideWindow")
    if window.activity:
        holder = holders.get(window.activity)
        if holder and window.token < holder.token:
            return Quieting(notify=True, ignored="StaleEpoch")
        if holder and window.closed_at is None and firing.at - holder.seen_at > holder.ttl_s:
            return Quieting(notify=True, ignored="ActorLost")
    name = _pierced(firing, window.pierce)
    if name:
        return Quieting(notify=True, pierced=name)
    end = window.over_at - window.tail_s
    phase = Phase.EXTENSION if firing.at >= end else Phase.WINDOW
    return Quieting(notify=False, quieted_by=window.id, phase=phase, until=window.over_at)


def _pierced(firing: Firing, pierce: Pierce) -> str:
    if firing.value_over_threshold >= pierce.lag_p95_factor > 0:
        return "lag_p95_factor"
    if pierce.error_fast_burn and firing.error_fast_burn:
        return "error_fast_burn"
    if firing.silent_share >= 1.0 and firing.silent_for_s >= pierce.all_instances_silent_s:
        return "all_instances_silent_s"
    if firing.bad_share > pierce.bad_share_of_scope:
        return "bad_share_of_scope"
    return ""


@dataclass(frozen=True, slots=True)
class ActionReport:
    """What an activity's windows quieted: the "would have paged" list."""

    activity: str
    alarms: tuple[str, ...] = field(default_factory=tuple)
