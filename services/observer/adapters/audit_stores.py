"""Loss audits in PostgreSQL, and in memory; both keep one cumulative sketch per node, minute and point."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import func, select, tuple_
from sqlalchemy.dialects.postgresql import insert as upsert

from services.observer.adapters import tables
from services.observer.adapters.theta import checked_sketch, compare_sketches, size_of
from services.observer.domain.audits import AuditComparison, AuditPoint, AuditReport
from shared.database import Database


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

    async def minutes(self, pipeline: str, since: int) -> Sequence[int]:
        """In order."""
        a = tables.audits
        query = select(a.c.minute).where(a.c.pipeline == pipeline, a.c.minute >= since).distinct().order_by(a.c.minute)
        async with self._database.transaction() as connection:
            return list((await connection.execute(query)).scalars())

    async def compare(
        self, pipeline: str, minute: int, source: Sequence[AuditPoint], target: Sequence[AuditPoint]
    ) -> AuditComparison:
        """Both points of one minute."""
        a = tables.audits
        query = select(a).where(a.c.pipeline == pipeline, a.c.minute == minute)
        async with self._database.transaction() as connection:
            rows = (await connection.execute(query)).mappings().all()
        reports = [
            AuditReport(
                id=r["report"],
                node=r["node"],
                pipeline=pipeline,
                at=AuditPoint(r["stage"], r["point"]),
                minute=minute,
                sketch=r["sketch"],
                count=r["count"],
                watermark=r["watermark"],
                dropped={"declared": r["dropped"]},
            )
            for r in rows
        ]
        return compare_reports(reports, source, target)

    async def watermark(self, pipeline: str, points: Sequence[AuditPoint], since: int) -> float | None:
        """Least over nodes of the greatest watermark of each."""
        a = tables.audits
        latest = (
            select(func.max(a.c.watermark).label("mark"))
            .where(
                a.c.pipeline == pipeline,
                a.c.minute >= since,
                tuple_(a.c.stage, a.c.point).in_([(p.stage, p.point) for p in points]),
            )
            .group_by(a.c.stage, a.c.point, a.c.node)
            .subquery()
        )
        async with self._database.transaction() as connection:
            found = await connection.scalar(select(func.min(latest.c.mark)))
        return float(found) if found is not None else None

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
        self._compared: dict[tuple[str, int], dict[Any, AuditComparison]] = {}
        self._marks: dict[Any, float | None] = {}

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
                self._marks.clear()
                counted += 1
        return counted

    async def minutes(self, pipeline: str, since: int) -> Sequence[int]:
        """In order."""
        return sorted(minute for p, minute in self._kept if p == pipeline and minute >= since)

    async def compare(
        self, pipeline: str, minute: int, source: Sequence[AuditPoint], target: Sequence[AuditPoint]
    ) -> AuditComparison:
        """Both points of one minute."""
        known, asked = self._compared.setdefault((pipeline, minute), {}), (tuple(source), tuple(target))
        if asked not in known:
            known[asked] = compare_reports(self._kept.get((pipeline, minute), {}).values(), source, target)
        return known[asked]

    async def watermark(self, pipeline: str, points: Sequence[AuditPoint], since: int) -> float | None:
        """Least over nodes of the greatest watermark of each."""
        asked = (pipeline, tuple(points), since)
        if asked not in self._marks:
            self._marks[asked] = self._watermark(*asked)
        return self._marks[asked]

    def _watermark(self, pipeline: str, points: tuple[AuditPoint, ...], since: int) -> float | None:
        marks: dict[tuple[AuditPoint, str], float] = {}
        for (p, minute), bucket in self._kept.items():
            if p != pipeline or minute < since:
                continue
            for key, r in bucket.items():
                if key[0] in points and r.watermark >= marks.get(key, r.watermark):
                    marks[key] = r.watermark
        return min(marks.values(), default=None)

    async def forget(self, before: int) -> None:
        """Drop old minutes."""
        for kept in (self._kept, self._compared):
            for key in [k for k in kept if k[1] < before]:
                del kept[key]
                self._marks.clear()


def compare_reports(
    reports: Iterable[AuditReport], source: Sequence[AuditPoint], target: Sequence[AuditPoint]
) -> AuditComparison:
    """What the reports of one minute say; a missing side is missing, not empty."""
    every = sorted(reports, key=lambda r: (r.at.stage, r.at.point, r.node))
    sent = [r.sketch for r in every if r.at in source]
    seen = [r for r in every if r.at in target]
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
