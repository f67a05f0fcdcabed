"""What the Deployer needs from outside."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from services.deployer.domain.judge import FleetSample
from services.deployer.domain.records import Analysis, Deployment, StepRecord
from services.deployer.domain.revision import Artifact, Revision, RevisionRecord
from shared.domain.names import DeploymentId, FleetId, GroupName, RequestId, RevisionNumber

ANALYSES_MAX = 20  # shown of a deployment, the newest


class Store(Protocol):
    """Revisions, deployments, steps and analyses; each call is one transaction."""

    async def revisions(self, group: GroupName) -> Sequence[RevisionRecord]:
        """Newest first."""
        ...

    async def add_revision(self, record: RevisionRecord) -> None:
        """Keep it; Conflict when the number is taken by another content."""
        ...

    async def mark_bad(self, group: GroupName, number: RevisionNumber, reason: str) -> None:
        """Mark a revision; again changes nothing."""
        ...

    async def open(self, deployment: Deployment, revision: RevisionRecord) -> Deployment:
        """Keep both at once; the same request again gives what was kept first. Conflict when the number is taken."""
        ...

    async def by_request(self, request: RequestId) -> Deployment | None:
        """The deployment of a request."""
        ...

    async def deployment(self, deployment: DeploymentId) -> Deployment:
        """One; NotFound."""
        ...

    async def deployments(self, group: GroupName | None, limit: int) -> Sequence[Deployment]:
        """Newest first."""
        ...

    async def save(self, deployment: Deployment, seen: Deployment, step: StepRecord | None = None) -> bool:
        """Replace phase, step, text, reasons and end if they are still as `seen`; with the step's record."""
        ...

    async def steps(self, deployment: DeploymentId) -> Sequence[StepRecord]:
        """In order of step, then time."""
        ...

    async def add_analysis(self, analysis: Analysis) -> None:
        """Keep it; the same window again replaces it."""
        ...

    async def analyses(self, deployment: DeploymentId) -> Sequence[Analysis]:
        """The newest `ANALYSES_MAX`, oldest first."""
        ...


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Measurements that could not be read, wholly or in part."""

    why: str


class Measurements(Protocol):
    """What fleets did."""

    async def read(
        self, group: GroupName, fleets: Sequence[FleetId], since_s: float, until_s: float
    ) -> dict[FleetId, FleetSample] | Unreadable:
        """A sample of each fleet; one that did nothing is all zero."""
        ...


class Artifacts(Protocol):
    """The bundle store."""

    async def exists(self, artifact: Artifact) -> bool:
        """Whether it can be fetched; Unavailable when nobody answers."""
        ...


__all__ = ["ANALYSES_MAX", "Artifacts", "Measurements", "Revision", "Store", "Unreadable"]
