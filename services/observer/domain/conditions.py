"""Which alarms a judged group or pipeline raises: the class of each bad dimension, and what may pierce a window."""

from services.observer.domain.group_health import Dimension, GroupJudgement
from services.observer.domain.quieting import Firing
from services.observer.domain.rollup import LossFinding
from shared.domain.health import VerdictState
from shared.domain.reason import Reason
from shared.domain.scope import Scope

_CLASSES: dict[tuple[Dimension, VerdictState], str] = {
    (Dimension.LAG, VerdictState.UNHEALTHY): "lag_page",
    (Dimension.LAG, VerdictState.DEGRADED): "lag_warn",
    (Dimension.PROGRESS, VerdictState.UNHEALTHY): "lag_page",
    (Dimension.ERRORS, VerdictState.UNHEALTHY): "errors",
    (Dimension.CAPACITY, VerdictState.UNHEALTHY): "capacity",
    (Dimension.MEMBERS, VerdictState.UNHEALTHY): "instance_unhealthy",
    (Dimension.MEMBERS, VerdictState.UNKNOWN): "telemetry",
}


def group_conditions(scope: Scope, j: GroupJudgement, now: float) -> dict[str, tuple[Firing, tuple[Reason, ...]]]:
    """By alarm class."""
    fast_burn = any(raw.fast_burn for raw in j.raws.values())
    silent = (j.coverage.expected - j.coverage.reporting) / j.coverage.expected if j.coverage.expected else 0.0
    found: dict[str, tuple[Firing, tuple[Reason, ...]]] = {}
    for dimension, committed in j.dimensions.items():
        alarm_class = _CLASSES.get((dimension, committed.state))
        if not alarm_class:
            continue
        raw = j.raws[dimension]
        firing = Firing(
            scope,
            alarm_class,
            now,
            value_over_threshold=raw.over if dimension is Dimension.LAG else 0.0,
            error_fast_burn=fast_burn,
            silent_share=silent,
            silent_for_s=j.silent_for_s,
            bad_share=raw.bad_share,
        )
        found[alarm_class] = (firing, raw.reasons)
    return found


def loss_condition(scope: Scope, loss: LossFinding, now: float) -> dict[str, tuple[Firing, tuple[Reason, ...]]]:
    """The loss alarm of a pipeline."""
    if loss.state is not VerdictState.UNHEALTHY:
        return {}
    return {"loss": (Firing(scope, "loss", now, value_over_threshold=loss.over), loss.reasons)}
