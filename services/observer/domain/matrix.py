"""Admission as data: what may run beside what, which verdict each kind needs, and which alarms it may quiet.

`admission.decide` reads these tables and holds no rule of its own about a pair of kinds;
`docs/reference/admission.md` is generated from them, so the document cannot drift from what runs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from shared.domain.activity import ActivityKind as K
from shared.domain.health import VerdictState as V


class Cell(StrEnum):
    """What happens to a request (row) while something is held (column) on the same group."""

    OK = "ok"  # admitted beside it
    WAIT = "wait"  # blocked until it ends
    YIELD = "yield"  # the holder parks at its next safe point, then admitted
    QUEUE = "queue"  # blocked; the newest waiting request supersedes older waiting ones
    TAKE_OVER = "takes it over"  # the holder is told to stop, and the request is admitted


COLUMNS = (K.ROLLBACK, K.SCALE_OUT, K.DEPLOY, K.RAMP, K.PROVISION, K.DRIFT_REPAIR, K.SCALE_IN, K.FREEZE)


def _row(*cells: Cell) -> Mapping[K, Cell]:
    return dict(zip(COLUMNS, cells, strict=True))


_O, _W, _Y, _Q, _T = Cell.OK, Cell.WAIT, Cell.YIELD, Cell.QUEUE, Cell.TAKE_OVER

MATRIX: Mapping[K, Mapping[K, Cell]] = {
    # requested \ held     ROLLBACK  SCALE_OUT  DEPLOY  RAMP  PROVISION  DRIFT_REPAIR  SCALE_IN  FREEZE
    K.ROLLBACK: _row(_W, _O, _T, _Y, _W, _Y, _Y, _O),
    K.SCALE_OUT: _row(_O, _W, _Y, _O, _O, _O, _Y, _O),
    K.DEPLOY: _row(_W, _W, _Q, _W, _W, _W, _W, _W),
    K.RAMP: _row(_W, _W, _W, _W, _W, _W, _W, _W),
    K.PROVISION: _row(_W, _W, _W, _W, _W, _W, _W, _W),
    K.DRIFT_REPAIR: _row(_W, _W, _W, _W, _W, _W, _W, _W),
    K.SCALE_IN: _row(_W, _W, _W, _W, _W, _W, _W, _W),
    K.FREEZE: _row(_O, _O, _O, _O, _O, _O, _O, _O),
}

OVERRIDDEN: Mapping[tuple[K, K], Cell] = {(K.DEPLOY, K.RAMP): _Y}
"""Cells of requests for which a person gave a reason: a ramp that stands before bad health makes way for what mends it."""


def cell(requested: K, held: K, *, overridden: bool) -> Cell:
    """What happens to a request while something is held; `overridden`: a person gave a reason to pass the verdicts."""
    plain = MATRIX[requested][held]
    return OVERRIDDEN.get((requested, held), plain) if overridden else plain


WAITS_AT_MOST_FOR_PARKING = frozenset({K.SCALE_OUT, K.ROLLBACK})
"""After `Limits.park_wait_s` they go ahead: shares and floors make growth beside a deployment safe."""

ONE_CHANGE_PER_PIPELINE = frozenset({K.DEPLOY, K.RAMP, K.PROVISION})
"""On other groups of the same pipeline these wait for one another: attribution needs one change at a time."""


class Judged(StrEnum):
    """Which scopes' verdicts a rule reads."""

    NONE = "none"
    SYSTEM = "the system"
    GROUP_AND_PIPELINES = "the group, its stages and its pipelines"
    ALL = "the group, its stages, its pipelines and the system"


@dataclass(frozen=True, slots=True)
class VerdictRule:
    """A row of the verdict table; `allowed` are effective states."""

    judged: Judged
    allowed: frozenset[V] = frozenset()
    overridable: bool = False  # a person may pass it with a reason
    signal_fresh: bool = False  # the signal that asks must be fresh
    no_backlog: bool = False

    @property
    def text(self) -> str:
        """The rule as a sentence for the documentation."""
        parts = []
        if self.allowed:
            states = " or ".join(s.value for s in V if s in self.allowed)
            parts.append(f"{states} for {self.judged.value}")
        if self.signal_fresh:
            parts.append("none for the group; the signal that asks must be fresh")
        if self.no_backlog:
            parts.append("no backlog")
        if self.overridable:
            parts.append("a person may override with a reason")
        return "; ".join(parts) or "none"


_GOOD = frozenset({V.HEALTHY, V.IDLE})


class Situation(StrEnum):
    """A kind, split where its flags change the verdict that it needs."""

    ROLLBACK = "ROLLBACK"
    SCALE_OUT = "SCALE_OUT"
    DEPLOY = "DEPLOY"
    RAMP = "RAMP"
    PROVISION_NEW = "PROVISION of something new"
    PROVISION_SERVING = "PROVISION of something that serves"
    DRIFT_REPAIR = "DRIFT_REPAIR"
    DRIFT_REPAIR_SECURITY = "DRIFT_REPAIR of security drift"
    SCALE_IN = "SCALE_IN"
    FREEZE = "FREEZE"


VERDICT_RULES: Mapping[Situation, VerdictRule] = {
    Situation.ROLLBACK: VerdictRule(Judged.NONE),
    Situation.SCALE_OUT: VerdictRule(Judged.NONE, signal_fresh=True),
    Situation.DEPLOY: VerdictRule(Judged.ALL, _GOOD, overridable=True),
    Situation.RAMP: VerdictRule(Judged.ALL, _GOOD, overridable=True),
    Situation.PROVISION_NEW: VerdictRule(Judged.SYSTEM, frozenset({V.HEALTHY, V.IDLE, V.DEGRADED})),
    Situation.PROVISION_SERVING: VerdictRule(Judged.ALL, _GOOD),
    Situation.DRIFT_REPAIR: VerdictRule(Judged.ALL, _GOOD),
    Situation.DRIFT_REPAIR_SECURITY: VerdictRule(Judged.NONE),
    Situation.SCALE_IN: VerdictRule(Judged.GROUP_AND_PIPELINES, _GOOD, no_backlog=True),
    Situation.FREEZE: VerdictRule(Judged.NONE),
}


def situation(kind: K, *, creates: bool, security: bool) -> Situation:
    """The row of the verdict table for a request.

    >>> situation(K.PROVISION, creates=True, security=False).value
    'PROVISION of something new'
    """
    if kind is K.PROVISION:
        return Situation.PROVISION_NEW if creates else Situation.PROVISION_SERVING
    if kind is K.DRIFT_REPAIR and security:
        return Situation.DRIFT_REPAIR_SECURITY
    return Situation(kind.value)


@dataclass(frozen=True, slots=True)
class QuietRule:
    """Which alarm classes a kind may quiet on its own scope, for how long, and the tail after it ends."""

    classes: frozenset[str]
    seconds_max: float
    tail_s: float


_NOTHING = QuietRule(frozenset(), 0.0, 0.0)
QUIETABLE: Mapping[K, QuietRule] = {
    K.ROLLBACK: QuietRule(frozenset({"instance_churn", "capacity", "lag_warn"}), 3600.0, 120.0),
    K.SCALE_OUT: QuietRule(frozenset({"cpu_high", "lag_warn", "capacity", "instance_churn"}), 3600.0, 60.0),
    K.DEPLOY: QuietRule(frozenset({"instance_churn", "capacity", "lag_warn"}), 7200.0, 120.0),
    K.RAMP: QuietRule(frozenset({"lag_warn"}), 7200.0, 60.0),
    K.PROVISION: QuietRule(frozenset({"instance_churn", "capacity", "instance_unhealthy"}), 14400.0, 300.0),
    K.DRIFT_REPAIR: QuietRule(frozenset({"instance_churn", "capacity"}), 3600.0, 120.0),
    K.SCALE_IN: QuietRule(
        frozenset({"instance_missing", "connection_drain", "instance_churn", "capacity"}), 3600.0, 60.0
    ),
    K.FREEZE: _NOTHING,
}
NEVER_QUIETED = frozenset({"loss", "nonrecoverable"})
"""Not even a person may quiet these: data is gone, or work cannot go on."""
