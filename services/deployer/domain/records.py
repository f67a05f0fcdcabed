"""What is kept of a deployment. Times are seconds since the epoch."""

from dataclasses import dataclass

from services.deployer.domain.judge import Judged
from services.deployer.domain.lifecycle import Phase
from services.deployer.domain.plan import Plan
from shared.domain.names import DeploymentId, GroupName, RequestId, RevisionNumber
from shared.domain.reason import Reason


@dataclass(frozen=True, slots=True)
class Deployment:
    """One deployment."""

    id: DeploymentId
    request: RequestId
    group: GroupName
    revision: RevisionNumber
    from_revision: RevisionNumber
    phase: Phase
    plan: Plan
    started_at: float
    step: int = 0
    step_text: str = ""
    requested_by: str = ""
    reason: str = ""
    ended_at: float | None = None
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class StepRecord:
    """Intent before the act, result after it: one row a step and state, the latest."""

    deployment: DeploymentId
    step: int
    state: str
    note: str
    at: float


@dataclass(frozen=True, slots=True)
class Analysis:
    """One judgement; the same window judged again is the same analysis."""

    deployment: DeploymentId
    until_s: float
    judged: Judged
