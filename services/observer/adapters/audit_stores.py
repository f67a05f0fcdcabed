"""Loss audits in PostgreSQL, and in memory; both keep one cumulative sketch per node, minute and point."""

from collections.abc import Iterable, Sequence

from sqlalchemy import func, select, tuple_
from sqlalchemy.dialects.postgresql import insert as upsert

from services.observer.adapters import tables
from services.observer.adapters.theta import checked_sketch, compare_sketches, size_of
from services.observer.domain.audits import AuditComparison, AuditPoint, AuditProgress, AuditReport, AuditSpan
from shared.database import Database

COMPARED_AT_ONCE = 32  # minutes; a minute has a sketch of up to 32 KiB for each node and stage


class PostgresAudits:
    """A repeated or older report of a node changes nothing: sketches are cumulative, so the larger count wins."""

    def __init__(self, database: Database) -> None:
        """In the Observer's own schema."""
        self._database = database

    async def add(self, reports: Sequence[AuditReport]) -> int:
        """Keep them; gives how many counted."""
        if not reports:
            return 0
        a = tables.audits
        counted = 0
        async with self._database.transaction() as connection:
            for r in reports:
                statement = upsert(a).values(
                    pipeline=r.pipeline,
                    minute=r.minute,
                    stage=r.at.stage,
                    point=r.at.point,
                    node=r.node,
                    report=r.id,
                    sketch=checked_sketch(r.sketch),
                    count=r.count,
                    dropped=sum(r.dropped.values()),
                    watermark=r.watermark,
                )
                kept = ("report", "sketch", "count", "dropped", "watermark")
                done = await connection.execute(
                    statement.on_conflict_do_update(
                        index_elements=["pipeline", "minute", "stage", "point", "node"],
                        set_={k: statement.excluded[k] for k in kept},
                        where=(a.c.report != statement.excluded.report) & (a.c.count <= statement.excluded.count),
                    ).returning(a.c.node)
                )
                counted += len(done.all())
        return counted

    async def progress(self, spans: Sequence[AuditSpan], since: int) -> Sequence[AuditProgress]:
        """Two queries, however many spans."""
        a, pipelines = tables.audits, [s.pipeline for s in spans]
        reported = (
            select(a.c.pipeline, a.c.minute)
            .where(a.c.pipeline.in_(pipelines), a.c.minute >= since)
            .distinct()
            .order_by(a.c.pipeline, a.c.minute)
        )
        latest = (
            select(a.c.pipeline, a.c.stage, a.c.point, func.max(a.c.watermark).label("mark"))
            .where(a.c.pipeline.in_(pipelines), a.c.minute >= since)
            .group_by(a.c.pipeline, a.c.stage, a.c.point, a.c.node)
        )
        minutes: dict[str, list[int]] = {}
        marks: dict[tuple[str, AuditPoint], list[float]] = {}
        async with self._database.transaction() as connection:
            for pipeline, minute in await connection.execute(reported):
                minutes.setdefault(pipeline, []).append(minute)
            for pipeline, stage, point, mark in await connection.execute(latest):
                marks.setdefault((pipeline, AuditPoint(stage, point)), []).append(float(mark))
        return [
            AuditProgress(
                tuple(minutes.get(s.pipeline, ())),
                min((m for at in s.target for m in marks.get((s.pipeline, at), ())), default=None),
            )
            for s in spans
        ]

    async def compare(self, asked: Sequence[tuple[AuditSpan, int]]) -> Sequence[AuditComparison]:
        """A query for each so many of them: their sketches are in memory together."""
        return [
            one
            for first in range(0, len(asked), COMPARED_AT_ONCE)
            for one in await self._compare(asked[first : first + COMPARED_AT_ONCE])
        ]

    async def _compare(self, asked: Sequence[tuple[AuditSpan, int]]) -> list[AuditComparison]:
        a = tables.audits
        query = select(a).where(tuple_(a.c.pipeline, a.c.minute).in_([(s.pipeline, minute) for s, minute in asked]))
        reports: dict[tuple[str, int], list[AuditReport]] = {}
        async with self._database.transaction() as connection:
            for r in (await connection.execute(query)).mappings():
                report = AuditReport(
                    id=r["report"],
                    node=r["node"],
                    pipeline=r["pipeline"],
                    at=AuditPoint(r["stage"], r["point"]),
                    minute=r["minute"],
                    sketch=r["sketch"],
                    count=r["count"],
                    watermark=r["watermark"],
                    dropped={"declared": r["dropped"]},
                )
                reports.setdefault((report.pipeline, report.minute), []).append(report)
        return [compare_reports(reports.get((s.pipeline, minute), ()), s) for s, minute in asked]

    async def forget(self, before: int) -> None:
        """Drop old minutes."""
        a = tables.audits
        async with self._database.transaction() as connection:
            await connection.execute(a.delete().where(a.c.minute < before))


class MemoryAudits:
    """For the simulator and tests; what was worked out from the reports is kept until somebody reports again."""

    def __init__(self) -> None:
        """Empty."""
        self._kept: dict[tuple[str, int], dict[tuple[AuditPoint, str], AuditReport]] = {}
        self._compared: dict[tuple[str, int], dict[AuditSpan, AuditComparison]] = {}
        self._progress: dict[tuple[AuditSpan, int], AuditProgress] = {}

    async def add(self, reports: Sequence[AuditReport]) -> int:
        """Keep them."""
        counted = 0
        for r in reports:
            checked_sketch(r.sketch)
            bucket = self._kept.setdefault((r.pipeline, r.minute), {})
            before = bucket.get((r.at, r.node))
            if before is None or (before.id != r.id and before.count <= r.count):
                bucket[r.at, r.node] = r
                self._compared.pop((r.pipeline, r.minute), None)
                self._progress.clear()
                counted += 1
        return counted

    async def progress(self, spans: Sequence[AuditSpan], since: int) -> Sequence[AuditProgress]:
        """Worked out once for each state of the reports."""
        return [self._progress.get((s, since)) or self._progress_of(s, since) for s in spans]

    def _progress_of(self, span: AuditSpan, since: int) -> AuditProgress:
        minutes = sorted(minute for p, minute in self._kept if p == span.pipeline and minute >= since)
        marks: dict[tuple[AuditPoint, str], float] = {}
        for minute in minutes:
            for key, r in self._kept[span.pipeline, minute].items():
                if key[0] in span.target and r.watermark >= marks.get(key, r.watermark):
                    marks[key] = r.watermark
        found = self._progress[span, since] = AuditProgress(tuple(minutes), min(marks.values(), default=None))
        return found

    async def compare(self, asked: Sequence[tuple[AuditSpan, int]]) -> Sequence[AuditComparison]:
        """Worked out once for each state of a minute's reports."""
        found: list[AuditComparison] = []
        for span, minute in asked:
            known = self._compared.setdefault((span.pipeline, minute), {})
            if span not in known:
                known[span] = compare_reports(self._kept.get((span.pipeline, minute), {}).values(), span)
            found.append(known[span])
        return found

    async def forget(self, before: int) -> None:
        """Drop old minutes."""
        for kept in (self._kept, self._compared):
            for key in [k for k in kept if k[1] < before]:
                del kept[key]
                self._progress.clear()


def compare_reports(reports: Iterable[AuditReport], span: AuditSpan) -> AuditComparison:
    """What the reports of one minute say; a missing side is missing, not empty."""
    every = sorted(reports, key=lambda r: (r.at.stage, r.at.point, r.node))
    sent = [r.sketch for r in every if r.at in span.source]
    seen = [r for r in every if r.at in span.target]
    if not sent:
        return AuditComparison(None, None)
    if not seen:
        return AuditComparison(size_of(sent), None)
    declared: dict[tuple[str, str], int] = {}  # a node counts its drops at both points: once is enough
    for r in every:
        key = (r.at.stage, r.node)
        declared[key] = max(declared.get(key, 0), sum(r.dropped.values()))
    dropped = sum(declared.values())
    compared = compare_sketches(sent, [r.sketch for r in seen], dropped)
    return AuditComparison(compared.source, compared, tuple(sorted({r.node for r in seen})))
