"""Decisions as the contracts speak them."""

from services.autoscaler.domain.decision import IN, Decision
from shared.contracts.base import ReasonModel
from shared.contracts.scaling import DecisionModel, ScaleInput


def decision_model(decision: Decision, outcome: str = "") -> DecisionModel:
    """What `scaling explain` shows."""
    sizes = {f"desired/{fleet}": float(n) for fleet, n in decision.desired.items()}
    return DecisionModel.model_validate(
        {
            "id": decision.id,
            "group": decision.group,
            "at": decision.at_s,
            "action": decision.action,
            "current": decision.current,
            "wanted": decision.wanted,
            "inputs": dict(decision.inputs),
            "intermediates": dict(decision.intermediates) | sizes,
            "reasons": [ReasonModel.of(r) for r in decision.reasons],
            "outcome": outcome,
        }
    )


def scale_input(decision: Decision) -> ScaleInput:
    """What the workflow `ScaleGroup` is started with."""
    return ScaleInput(
        group=decision.group,
        decision_id=decision.id,
        direction="in" if decision.action == IN else "out",
        desired={str(f): n for f, n in decision.desired.items()},
        previous={str(f): n for f, n in decision.previous.items()},
        reasons=tuple(ReasonModel.of(r) for r in decision.reasons),
        signal_age_s=decision.signal_age_s,
        decided_at_s=decision.at_s,
    )
