"""What the API tells about the system: verdicts, activities, routes, sizes and what happened. Times are seconds since the epoch."""

from pydantic import Field

from services.admin_api.operations.views import ReasonView
from shared.contracts.admission import ActivityModel, AlarmModel, VerdictModel
from shared.contracts.base import Contract
from shared.contracts.deployment import DeploymentModel
from shared.contracts.node import Routes
from shared.contracts.provisioning import DriftFinding
from shared.contracts.rating import RatingModel
from shared.contracts.scaling import DecisionModel


class Explanation(Contract):
    """Why a scope is as it is, and whether something may be done to it now."""

    scope: str
    do: str = ""
    outcome: str = ""  # granted, blocked or yielding; empty when nothing was asked; unknown when nobody answered
    reasons: tuple[ReasonView, ...] = ()
    retry_after_s: float | None = None
    verdicts: tuple[VerdictModel, ...] = ()
    activities: tuple[ActivityModel, ...] = ()
    lately: tuple[ActivityModel, ...] = ()  # ended, newest first
    drift: tuple[DriftFinding, ...] = ()
    decisions: tuple[DecisionModel, ...] = ()
    deployments: tuple[DeploymentModel, ...] = ()
    ratings: tuple[RatingModel, ...] = ()  # of a group, newest first
    alarms: tuple[AlarmModel, ...] = ()
    unanswered: tuple[ReasonView, ...] = ()


class TimelineEntry(Contract):
    """Something that happened; `kind` is activity, deployment, decision, verdict, drift, operation or object."""

    at: float
    kind: str
    scope: str
    text: str
    id: str = ""
    reasons: tuple[ReasonView, ...] = ()


class Timeline(Contract):
    """Newest first."""

    items: tuple[TimelineEntry, ...] = ()
    unanswered: tuple[ReasonView, ...] = ()


class Verdicts(Contract):
    """Current verdicts."""

    items: tuple[VerdictModel, ...] = ()


class Activities(Contract):
    """What is being done."""

    items: tuple[ActivityModel, ...] = ()


class Alarms(Contract):
    """Alarms."""

    items: tuple[AlarmModel, ...] = ()


class Drift(Contract):
    """Drift findings."""

    items: tuple[DriftFinding, ...] = ()


class Deployments(Contract):
    """Newest first."""

    items: tuple[DeploymentModel, ...] = ()


class RevisionView(Contract):
    """A revision, with what became of it."""

    group: str
    number: int
    environment: str = ""  # sha256
    code: str = ""  # sha256
    variables: dict[str, str] = Field(default_factory=dict)
    bad: bool = False
    made_at: float = 0.0


class Revisions(Contract):
    """Newest first."""

    items: tuple[RevisionView, ...] = ()


class RampView(Contract):
    """A pipeline's ramp."""

    pipeline: str
    phase: str = ""
    percent: int = 0
    detail: str = ""


class Ramps(Contract):
    """One per pipeline."""

    items: tuple[RampView, ...] = ()


class RoutesList(Contract):
    """One per group."""

    items: tuple[Routes, ...] = ()
    unanswered: tuple[ReasonView, ...] = ()


class ScalingView(Contract):
    """Why a group has the size it has."""

    group: str
    decision: DecisionModel
    node_rate: float | None = None  # messages/s one node was measured to sustain
    rated: RatingModel | None = None  # what sizing starts from until a node has been seen saturated
    floors: dict[str, int] = Field(default_factory=dict)
    decisions: tuple[DecisionModel, ...] = ()
