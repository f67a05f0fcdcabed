"""A decision and everything that led to it, so that anyone can see why a group has the size it has."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.domain.names import FleetId, GroupName
from shared.domain.reason import Compared, Reason

HOLD, OUT, IN = "hold", "out", "in"
SHRINK_AGE_S_MAX = 30.0  # a decision to take machines away that is older is made anew, from what the load is then


@dataclass(frozen=True, slots=True)
class Decision:
    """`wanted` is the group's total; `desired` and `previous` are the sizes of its fleets."""

    id: str
    group: GroupName
    at_s: float
    action: str
    current: int
    wanted: int
    inputs: Mapping[str, float] = field(default_factory=dict)
    intermediates: Mapping[str, float] = field(default_factory=dict)
    reasons: tuple[Reason, ...] = ()
    desired: Mapping[FleetId, int] = field(default_factory=dict)
    previous: Mapping[FleetId, int] = field(default_factory=dict)
    signal_age_s: float = 0.0

    def same_as(self, other: "Decision | None") -> bool:
        """Whether it says nothing new: same action, sizes and reason codes."""
        return other is not None and (self.action, self.current, self.wanted, codes(self)) == (
            other.action,
            other.current,
            other.wanted,
            codes(other),
        )


def codes(decision: Decision) -> tuple[str, ...]:
    """The reason codes, in order."""
    return tuple(r.code for r in decision.reasons)


def explained(decision: Decision) -> str:
    """The decision as an operator reads it."""
    head = (
        f"{decision.group}: hold at {decision.current}"
        if decision.action == HOLD
        else f"{decision.group}: {decision.action} {decision.current} -> {decision.wanted}"
    )
    lines = [head]
    lines += [f"  {name} = {value:g}" for name, value in decision.inputs.items()]
    lines += [f"  {name} = {value:g}" for name, value in decision.intermediates.items()]
    lines += [f"  fleet {f}: {decision.previous.get(f, 0)} -> {n}" for f, n in decision.desired.items()]
    for reason in decision.reasons:
        compared = "; ".join(map(str, reason.compared))
        lines.append(f"  {reason.code}: {reason.text}" + (f" [{compared}]" if compared else ""))
    return "\n".join(lines)


def decision_old(scope: str, age_s: float) -> Reason | None:
    """Why a decision takes no machines away any more, though nothing is known to have changed: the load may have."""
    if age_s <= SHRINK_AGE_S_MAX:
        return None
    text = f"the decision is {age_s:.0f} s old; one to take machines away holds for {SHRINK_AGE_S_MAX:.0f} s"
    return Reason("DecisionOld", scope, text, (Compared("age_s", age_s, "<=", SHRINK_AGE_S_MAX),))
