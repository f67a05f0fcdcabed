"""Verdicts: what they say, how long they may be trusted, and how judgements combine.

By bounds, not by a default: a silent member is assumed bad when we would say HEALTHY and good when we would say
UNHEALTHY, so a state is said only when the best and the worst case agree. A stale HEALTHY reads UNKNOWN; a stale
UNHEALTHY stays.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from shared.domain.health import VerdictState
from shared.domain.reason import Reason
from shared.domain.scope import Scope

CLOCK_SKEW_S_MAX = 5.0
SHARE_TOLERANCE = 1e-9

_STAY_WHEN_STALE = frozenset({VerdictState.UNHEALTHY, VerdictState.FAILED})
_WORST_FIRST = (
    VerdictState.FAILED,
    VerdictState.UNHEALTHY,
    VerdictState.UNKNOWN,
    VerdictState.DEGRADED,
    VerdictState.HEALTHY,
    VerdictState.IDLE,
)


@dataclass(frozen=True, slots=True)
class Coverage:
    """Members that should report, and did."""

    expected: int = 0
    reporting: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement of a scope; `signals` are the numbers other services read."""

    scope: Scope
    state: VerdictState
    as_of: float
    since: float
    ttl_s: float
    epoch: int = 0
    seq: int = 0
    reasons: tuple[Reason, ...] = ()
    observed_generation: int = 0
    coverage: Coverage = Coverage()
    cause: str = ""
    quieted: bool = False
    flapping: bool = False
    signals: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Effective:
    """What a reader must act on; `code` says why it differs from the judged state."""

    state: VerdictState
    stale: bool = False
    code: str = ""


def effective(verdict: Verdict | None, now: float) -> Effective:
    """The state after freshness.

    With a ttl of 30 s: HEALTHY of 29 s ago is HEALTHY, of 31 s ago UNKNOWN; UNHEALTHY of 31 s ago stays.
    """
    if verdict is None:
        return Effective(VerdictState.UNKNOWN, code="NeverEvaluated")
    age_s = now - verdict.as_of
    if age_s < -CLOCK_SKEW_S_MAX:
        return Effective(VerdictState.UNKNOWN, code="ClockSkew")
    if age_s <= verdict.ttl_s:
        return Effective(verdict.state)
    if verdict.state in _STAY_WHEN_STALE:
        return Effective(verdict.state, stale=True, code="Stale")
    return Effective(VerdictState.UNKNOWN, stale=True, code="Stale")


def supersedes(write: tuple[int, int], stored: tuple[int, int] | None) -> bool:
    """Whether a write of (epoch, seq) may replace what is stored: a deposed leader and a replay may not.

    >>> supersedes((6, 99), (7, 3)), supersedes((7, 3), (7, 3)), supersedes((7, 4), (7, 3))
    (False, False, True)
    """
    return stored is None or write > stored


def describes(verdict: Verdict, generation: int) -> bool:
    """Whether the evidence is about the current intent; a promotion needs it."""
    return verdict.observed_generation >= generation


@dataclass(frozen=True, slots=True)
class Bounds:
    """Share of bad members in the best and the worst case."""

    best: float
    worst: float
    state: VerdictState


def bounds(expected: int, reporting: int, bad: int, bad_share_max: float) -> Bounds:
    """Judge members without guessing about silent ones.

    >>> bounds(10, 9, 1, 0.2).state, bounds(10, 7, 0, 0.2).state, bounds(10, 7, 3, 0.2).state
    (<VerdictState.HEALTHY: 'HEALTHY'>, <VerdictState.UNKNOWN: 'UNKNOWN'>, <VerdictState.UNHEALTHY: 'UNHEALTHY'>)
    """
    if expected <= 0:
        return Bounds(0.0, 0.0, VerdictState.IDLE)
    silent = max(0, expected - reporting)
    best, worst = bad / expected, (bad + silent) / expected
    if best > bad_share_max + SHARE_TOLERANCE:
        state = VerdictState.UNHEALTHY
    elif worst <= bad_share_max + SHARE_TOLERANCE:
        state = VerdictState.HEALTHY
    else:
        state = VerdictState.UNKNOWN
    return Bounds(best, worst, state)


def worst(states: Sequence[VerdictState]) -> VerdictState:
    """The worst of some states; HEALTHY beside IDLE is HEALTHY; IDLE when there are none.

    >>> worst([VerdictState.HEALTHY, VerdictState.UNKNOWN]).value, worst([]).value
    ('UNKNOWN', 'IDLE')
    """
    return min(states, key=_WORST_FIRST.index, default=VerdictState.IDLE)


def roll_up(children: Sequence[tuple[VerdictState, bool]]) -> VerdictState:
    """Worst of the required children; an optional one can at most degrade the whole."""
    capped = [
        state
        if required or _WORST_FIRST.index(state) >= _WORST_FIRST.index(VerdictState.DEGRADED)
        else VerdictState.DEGRADED
        for state, required in children
    ]
    return worst(capped)


WHILE_UNKNOWN: Mapping[str, bool] = {
    "deploy.continue": False,
    "deploy.promote": False,
    "scale_in": False,
    "terminate_instance": False,
    "scale_out": True,
    "hold": True,
    "rollback": True,
}
"""What a consumer may do on its own while a verdict is UNKNOWN; a test holds admission's tables to it."""

SYSTEM_BAD_SHARE_MAX = 0.1
SYSTEM_BAD_UNITS_MIN = 2
MASS_UNKNOWN_SHARE = 0.5


def telemetry_outage(scopes: int, turned_unknown: int) -> bool:
    """Whether so many scopes went blind in one tick that the telemetry is what failed."""
    return scopes > 0 and turned_unknown / scopes > MASS_UNKNOWN_SHARE


def roll_up_system(units: Sequence[VerdictState]) -> VerdictState:
    """The system from its independent units (pipelines, and groups that are in none).

    One bad pipeline among several is that pipeline's matter: the system is bad when at least two are, and they are
    more than a tenth; it is UNKNOWN when most are, or when the unknown ones could make it bad. A single unit speaks
    for the system.
    """
    if len(units) <= 1:
        return worst(units)
    live = [u for u in units if u is not VerdictState.IDLE]
    if not live:
        return VerdictState.IDLE
    bad = sum(u in _STAY_WHEN_STALE for u in live)
    unknown = sum(u is VerdictState.UNKNOWN for u in live)
    degraded = sum(u is VerdictState.DEGRADED for u in live)

    def is_bad(count: int) -> bool:
        return count >= min(SYSTEM_BAD_UNITS_MIN, len(live)) and count / len(units) > SYSTEM_BAD_SHARE_MAX

    if is_bad(bad):
        return VerdictState.UNHEALTHY
    if unknown and (unknown / len(units) > MASS_UNKNOWN_SHARE or is_bad(bad + unknown)):
        return VerdictState.UNKNOWN
    if degraded / len(units) > MASS_UNKNOWN_SHARE:
        return VerdictState.DEGRADED
    return VerdictState.HEALTHY
