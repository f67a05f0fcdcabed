"""The store in PostgreSQL."""

from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Row, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.deployer.adapters.memory import no_deployment, number_taken
from services.deployer.adapters.tables import analyses, deployments, revisions, steps
from services.deployer.domain.judge import Judged
from services.deployer.domain.lifecycle import Phase
from services.deployer.domain.plan import Plan
from services.deployer.domain.ports import ANALYSES_MAX
from services.deployer.domain.records import Analysis, Deployment, StepRecord
from services.deployer.domain.revision import Revision, RevisionRecord
from shared.database import Database
from shared.domain.names import DeploymentId, GroupName, RequestId, RevisionNumber
from shared.domain.reason import Reason

_PLAN = TypeAdapter(Plan)
_REVISION = TypeAdapter(Revision)
_JUDGED = TypeAdapter(Judged)
_REASONS = TypeAdapter(tuple[Reason, ...])


class PostgresStore:
    """One transaction a call."""

    def __init__(self, database: Database) -> None:
        """The Deployer's own schema."""
        self._database = database

    async def revisions(self, group: GroupName) -> Sequence[RevisionRecord]:
        """Newest first."""
        query = select(revisions).where(revisions.c.group_name == group).order_by(revisions.c.number.desc())
        async with self._database.transaction() as connection:
            return [_record(row) for row in await connection.execute(query)]

    async def add_revision(self, record: RevisionRecord) -> None:
        """Conflict when the number is taken by another content."""
        async with self._database.transaction() as connection:
            await connection.execute(upsert(revisions).values(_revision_row(record)).on_conflict_do_nothing())
            query = select(revisions).where(
                revisions.c.group_name == record.revision.group, revisions.c.number == record.revision.number
            )
            kept = _record((await connection.execute(query)).one())
        if not kept.revision.same_content(record.revision):
            raise number_taken(record)

    async def mark_bad(self, group: GroupName, number: RevisionNumber, reason: str) -> None:
        """The first reason stays."""
        change = (
            update(revisions)
            .where(revisions.c.group_name == group, revisions.c.number == number, revisions.c.bad.is_(False))
            .values(bad=True, bad_reason=reason)
        )
        async with self._database.transaction() as connection:
            await connection.execute(change)

    async def open(self, deployment: Deployment, revision: RevisionRecord) -> Deployment:
        """Both at once, once a request."""
        try:
            async with self._database.transaction() as connection:
                kept = await _by_request(connection, deployment.request)
                if kept is not None:
                    return kept
                await connection.execute(insert(revisions).values(_revision_row(revision)))
                await connection.execute(insert(deployments).values(_deployment_row(deployment)))
        except IntegrityError as e:
            kept = await self.by_request(deployment.request)
            if kept is not None:
                return kept
            raise number_taken(revision) from e
        return deployment

    async def by_request(self, request: RequestId) -> Deployment | None:
        """The deployment of a request."""
        async with self._database.transaction() as connection:
            return await _by_request(connection, request)

    async def deployment(self, deployment: DeploymentId) -> Deployment:
        """NotFound names it."""
        async with self._database.transaction() as connection:
            row = (await connection.execute(select(deployments).where(deployments.c.id == deployment))).one_or_none()
        if row is None:
            raise no_deployment(deployment)
        return _deployment(row)

    async def deployments(self, group: GroupName | None, limit: int) -> Sequence[Deployment]:
        """Newest first."""
        query = select(deployments).order_by(deployments.c.started_at_s.desc(), deployments.c.id.desc()).limit(limit)
        if group is not None:
            query = query.where(deployments.c.group_name == group)
        async with self._database.transaction() as connection:
            return [_deployment(row) for row in await connection.execute(query)]

    async def save(self, deployment: Deployment, seen: Deployment, step: StepRecord | None = None) -> bool:
        """Compare and set under a row lock."""
        async with self._database.transaction() as connection:
            query = select(deployments).where(deployments.c.id == seen.id).with_for_update()
            row = (await connection.execute(query)).one_or_none()
            if row is None or _deployment(row) != seen:
                return False
            await connection.execute(
                update(deployments).where(deployments.c.id == seen.id).values(_deployment_row(deployment))
            )
            if step is not None:
                await _upsert(connection, steps, _step_row(step), ("deployment", "step", "state"))
        return True

    async def steps(self, deployment: DeploymentId) -> Sequence[StepRecord]:
        """In order of step, then time."""
        query = (
            select(steps).where(steps.c.deployment == deployment).order_by(steps.c.step, steps.c.at_s, steps.c.state)
        )
        async with self._database.transaction() as connection:
            rows = (await connection.execute(query)).all()
        return [StepRecord(DeploymentId(r.deployment), r.step, r.state, r.note, r.at_s) for r in rows]

    async def add_analysis(self, analysis: Analysis) -> None:
        """The same window again replaces it."""
        values = {
            "deployment": analysis.deployment,
            "until_s": analysis.until_s,
            "judged": _JUDGED.dump_python(analysis.judged, mode="json"),
        }
        async with self._database.transaction() as connection:
            await _upsert(connection, analyses, values, ("deployment", "until_s"))

    async def analyses(self, deployment: DeploymentId) -> Sequence[Analysis]:
        """The newest, oldest first."""
        query = (
            select(analyses)
            .where(analyses.c.deployment == deployment)
            .order_by(analyses.c.until_s.desc())
            .limit(ANALYSES_MAX)
        )
        async with self._database.transaction() as connection:
            rows = (await connection.execute(query)).all()
        return [
            Analysis(DeploymentId(r.deployment), r.until_s, _JUDGED.validate_python(r.judged)) for r in reversed(rows)
        ]


async def _upsert(connection: AsyncConnection, table: Any, values: dict[str, Any], key: tuple[str, ...]) -> None:
    made = upsert(table).values(values)
    rest = {name: made.excluded[name] for name in values if name not in key}
    await connection.execute(made.on_conflict_do_update(index_elements=list(key), set_=rest))


async def _by_request(connection: AsyncConnection, request: RequestId) -> Deployment | None:
    row = (await connection.execute(select(deployments).where(deployments.c.request == request))).one_or_none()
    return None if row is None else _deployment(row)


def _revision_row(record: RevisionRecord) -> dict[str, Any]:
    return {
        "group_name": record.revision.group,
        "number": record.revision.number,
        "content": _REVISION.dump_python(record.revision, mode="json"),
        "made_at_s": record.made_at,
        "bad": record.bad,
        "bad_reason": record.bad_reason,
    }


def _record(row: Row[Any]) -> RevisionRecord:
    return RevisionRecord(_REVISION.validate_python(row.content), row.made_at_s, row.bad, row.bad_reason)


def _deployment_row(d: Deployment) -> dict[str, Any]:
    return {
        "id": d.id,
        "request": d.request,
        "group_name": d.group,
        "revision": d.revision,
        "from_revision": d.from_revision,
        "phase": d.phase.value,
        "plan": _PLAN.dump_python(d.plan, mode="json"),
        "started_at_s": d.started_at,
        "step": d.step,
        "step_text": d.step_text,
        "requested_by": d.requested_by,
        "reason": d.reason,
        "ended_at_s": d.ended_at,
        "reasons": _REASONS.dump_python(d.reasons, mode="json"),
    }


def _deployment(row: Row[Any]) -> Deployment:
    return Deployment(
        id=DeploymentId(row.id),
        request=RequestId(row.request),
        group=GroupName(row.group_name),
        revision=RevisionNumber(row.revision),
        from_revision=RevisionNumber(row.from_revision),
        phase=Phase(row.phase),
        plan=_PLAN.validate_python(row.plan),
        started_at=row.started_at_s,
        step=row.step,
        step_text=row.step_text,
        requested_by=row.requested_by,
        reason=row.reason,
        ended_at=row.ended_at_s,
        reasons=_REASONS.validate_python(row.reasons),
    )


def _step_row(step: StepRecord) -> dict[str, Any]:
    return {
        "deployment": step.deployment,
        "step": step.step,
        "state": step.state,
        "note": step.note,
        "at_s": step.at,
    }
