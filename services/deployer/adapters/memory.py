"""The store in memory: for the simulator and for tests, held to PostgreSQL's by a differential test."""

from collections.abc import Sequence
from dataclasses import replace

from services.deployer.domain.ports import ANALYSES_MAX
from services.deployer.domain.records import Analysis, Deployment, StepRecord
from services.deployer.domain.revision import Artifact, RevisionRecord
from shared.domain.errors import Conflict, NotFound
from shared.domain.names import DeploymentId, GroupName, RequestId, RevisionNumber


class MemoryStore:
    """Everything in dictionaries."""

    def __init__(self) -> None:
        self._revisions: dict[tuple[GroupName, RevisionNumber], RevisionRecord] = {}
        self._deployments: dict[DeploymentId, Deployment] = {}
        self._steps: dict[tuple[DeploymentId, int, str], StepRecord] = {}
        self._analyses: dict[tuple[DeploymentId, float], Analysis] = {}

    async def revisions(self, group: GroupName) -> Sequence[RevisionRecord]:
        """Newest first."""
        found = [r for (g, _), r in self._revisions.items() if g == group]
        return sorted(found, key=lambda r: r.revision.number, reverse=True)

    async def add_revision(self, record: RevisionRecord) -> None:
        """Conflict when the number is taken by another content."""
        key = (record.revision.group, record.revision.number)
        kept = self._revisions.get(key)
        if kept is not None and not kept.revision.same_content(record.revision):
            raise number_taken(record)
        self._revisions.setdefault(key, record)

    async def mark_bad(self, group: GroupName, number: RevisionNumber, reason: str) -> None:
        """The first reason stays."""
        kept = self._revisions.get((group, number))
        if kept is not None and not kept.bad:
            self._revisions[group, number] = replace(kept, bad=True, bad_reason=reason)

    async def open(self, deployment: Deployment, revision: RevisionRecord) -> Deployment:
        """Both at once, once a request."""
        kept = await self.by_request(deployment.request)
        if kept is not None:
            return kept
        if (revision.revision.group, revision.revision.number) in self._revisions:
            raise number_taken(revision)
        await self.add_revision(revision)
        self._deployments[deployment.id] = deployment
        return deployment

    async def by_request(self, request: RequestId) -> Deployment | None:
        """The deployment of a request."""
        return next((d for d in self._deployments.values() if d.request == request), None)

    async def deployment(self, deployment: DeploymentId) -> Deployment:
        """NotFound names it."""
        found = self._deployments.get(deployment)
        if found is None:
            raise no_deployment(deployment)
        return found

    async def deployments(self, group: GroupName | None, limit: int) -> Sequence[Deployment]:
        """Newest first."""
        found = [d for d in self._deployments.values() if group is None or d.group == group]
        return sorted(found, key=lambda d: (d.started_at, d.id), reverse=True)[:limit]

    async def save(self, deployment: Deployment, seen: Deployment, step: StepRecord | None = None) -> bool:
        """Compare and set."""
        if self._deployments.get(seen.id) != seen:
            return False
        self._deployments[seen.id] = deployment
        if step is not None:
            self._steps[step.deployment, step.step, step.state] = step
        return True

    async def steps(self, deployment: DeploymentId) -> Sequence[StepRecord]:
        """In order of step, then time."""
        found = [s for (d, _, _), s in self._steps.items() if d == deployment]
        return sorted(found, key=lambda s: (s.step, s.at, s.state))

    async def add_analysis(self, analysis: Analysis) -> None:
        """The same window again replaces it."""
        self._analyses[analysis.deployment, analysis.until_s] = analysis

    async def analyses(self, deployment: DeploymentId) -> Sequence[Analysis]:
        """The newest, oldest first."""
        found = [a for (d, _), a in self._analyses.items() if d == deployment]
        return sorted(found, key=lambda a: a.until_s)[-ANALYSES_MAX:]


class MemoryArtifacts:
    """A bundle store that has everything but what is named `gone`."""

    def __init__(self, gone: frozenset[str] = frozenset()) -> None:
        self.gone = gone

    async def exists(self, artifact: Artifact) -> bool:
        """Whether it is there."""
        return artifact.url not in self.gone


def number_taken(record: RevisionRecord) -> Conflict:
    """Somebody else made a revision of that number."""
    revision = record.revision
    return Conflict(f"revision {revision.number} of group {revision.group} exists already", remedy="plan again")


def no_deployment(deployment: DeploymentId) -> NotFound:
    """Names it."""
    return NotFound(f"deployment {deployment} does not exist", remedy="`headrace get deployments` lists them")
