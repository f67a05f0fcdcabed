"""Scaling as workflows, the Autoscaler and the API speak it."""

from typing import Literal

from pydantic import Field

from shared.contracts.admission import LeaseModel
from shared.contracts.base import Contract, ReasonModel


class ReserveInput(Contract):
    """`autoscaler.reserve`: floor and share of one fleet under an activity's lease; the group's sizes are set at once.

    `share` is the part of the group's total that this fleet gets; the other fleets split the rest.
    """

    group: str
    fleet: str
    floor: int = Field(ge=0)
    share: float = Field(ge=0, le=1)
    other_floor: int = Field(default=0, ge=0)  # kept in each other fleet meanwhile
    ttl_s: float
    lease: LeaseModel


class ReserveAnswer(Contract):
    """The sizes that were set."""

    group: str
    total: int
    desired: dict[str, int] = Field(default_factory=dict)  # fleet -> nodes
    reasons: tuple[ReasonModel, ...] = ()


class ReleaseInput(Contract):
    """`autoscaler.release`: all floors and shares of an activity."""

    group: str
    activity_id: str
    token: int


class ScaleInput(Contract):
    """Workflow `ScaleGroup`: absolute sizes, decided before."""

    group: str
    decision_id: str
    direction: Literal["out", "in"]
    desired: dict[str, int]  # fleet -> nodes, all fleets of the group
    previous: dict[str, int]
    reasons: tuple[ReasonModel, ...] = ()
    signal_age_s: float = 0.0
    decided_at_s: float | None = None  # seconds since the epoch; None from a release that did not say


class SetDesiredInput(Contract):
    """`autoscaler.set_desired`: the intent row is written before the call, the result after it."""

    scale: ScaleInput
    lease: LeaseModel


class WaitInServiceInput(Contract):
    """`autoscaler.wait_in_service`."""

    scale: ScaleInput
    timeout_s: float


class ScaleResult(Contract):
    """`autoscaler.record_outcome`, and the answer of the two above."""

    decision_id: str
    outcome: Literal["set", "in_service", "gave_up", "refused", "failed"]
    in_service: dict[str, int] = Field(default_factory=dict)
    text: str = ""
    reasons: tuple[ReasonModel, ...] = ()


class DecisionModel(Contract):
    """One line of `scaling explain`: inputs, every intermediate, and why; times are seconds since the epoch."""

    id: str
    group: str
    at: float
    action: Literal["hold", "out", "in"]
    current: int
    wanted: int
    inputs: dict[str, float] = Field(default_factory=dict)
    intermediates: dict[str, float] = Field(default_factory=dict)
    reasons: tuple[ReasonModel, ...] = ()
    outcome: str = ""
