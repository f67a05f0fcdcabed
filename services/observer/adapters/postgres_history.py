"""Verdict changes, alarms, notifications and leadership in PostgreSQL."""

import json
from collections.abc import Sequence

from sqlalchemy import func, insert, select, text
from sqlalchemy.dialects.postgresql import insert as upsert

from services.observer.adapters import tables
from services.observer.adapters.verdict_documents import alarm_of_row, model_of_verdict, row_of_alarm, verdict_of_model
from services.observer.domain.alarms import Alarm, Notification
from services.observer.domain.verdict import Verdict
from shared.contracts.admission import VerdictModel
from shared.database import Database
from shared.domain.scope import Scope

CHANGES_KEPT_S = 30 * 86_400.0


class PostgresHistory:
    """What must not be lost about verdicts and alarms."""

    def __init__(self, database: Database) -> None:
        """In the Observer's own schema."""
        self._database = database

    async def record_changes(self, verdicts: Sequence[Verdict]) -> None:
        """One row a change; old ones go."""
        if not verdicts:
            return
        c = tables.verdict_changes
        rows = [
            {
                "scope": str(v.scope),
                "at": v.as_of,
                "verdict": json.loads(model_of_verdict(v, v.as_of).model_dump_json()),
            }
            for v in verdicts
        ]
        async with self._database.transaction() as connection:
            await connection.execute(insert(c), rows)
            await connection.execute(c.delete().where(c.c.at < verdicts[0].as_of - CHANGES_KEPT_S))

    async def changes_after(self, position: int, limit: int) -> Sequence[tuple[int, Verdict]]:
        """In order."""
        c = tables.verdict_changes
        query = select(c.c.position, c.c.verdict).where(c.c.position > position).order_by(c.c.position).limit(limit)
        async with self._database.transaction() as connection:
            rows = (await connection.execute(query)).all()
        return [(p, verdict_of_model(VerdictModel.model_validate(v))) for p, v in rows]

    async def last_position(self) -> int:
        """Of the newest change; 0 when there is none."""
        async with self._database.transaction() as connection:
            return int(
                await connection.scalar(select(func.coalesce(func.max(tables.verdict_changes.c.position), 0))) or 0
            )

    async def open_alarms(self) -> Sequence[Alarm]:
        """Those not resolved."""
        a = tables.alarms
        async with self._database.transaction() as connection:
            rows = (await connection.execute(select(a).where(a.c.state != "resolved"))).mappings()
            return [alarm_of_row(dict(r)) for r in rows]

    async def alarms(self, scope: Scope | None, *, include_resolved: bool, limit: int) -> Sequence[Alarm]:
        """Newest first."""
        a = tables.alarms
        query = select(a).order_by(a.c.since.desc(), a.c.id).limit(limit)
        if scope is not None:
            query = query.where(a.c.scope == str(scope))
        if not include_resolved:
            query = query.where(a.c.state != "resolved")
        async with self._database.transaction() as connection:
            return [alarm_of_row(dict(r)) for r in (await connection.execute(query)).mappings()]

    async def save_alarms(self, alarms: Sequence[Alarm], notifications: Sequence[Notification], at: float) -> None:
        """One transaction: an alarm says "notified" only together with its notification."""
        if not alarms:
            return
        async with self._database.transaction() as connection:
            statement = upsert(tables.alarms)
            changed = ("state", "reasons", "quieted_by", "notified", "resolved_at")
            await connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["id"], set_={k: statement.excluded[k] for k in changed}
                ),
                [row_of_alarm(a) for a in alarms],
            )
            rows = [
                {"alarm": n.alarm.id, "scope": str(n.alarm.scope), "event": n.event, "text": n.text, "at": at}
                for n in notifications
            ]
            if rows:
                await connection.execute(insert(tables.notifications), rows)


class PostgresLeadership:
    """A lease in one row; PostgreSQL's clock decides."""

    def __init__(self, database: Database) -> None:
        """In the Observer's own schema."""
        self._database = database

    async def hold(self, me: str, ttl_s: float, *, fresh: bool) -> int | None:
        """One statement: take it when it is free or mine; a new holder, or one that had lost it, gets a new epoch."""
        statement = text(
            "INSERT INTO leadership AS l (id, holder, epoch, expires_at)"
            " VALUES (1, :me, 1, extract(epoch from clock_timestamp()) + :ttl)"
            " ON CONFLICT (id) DO UPDATE SET holder = :me,"
            " epoch = l.epoch + CASE WHEN NOT :fresh AND l.holder = :me"
            " AND l.expires_at > extract(epoch from clock_timestamp()) THEN 0 ELSE 1 END,"
            " expires_at = extract(epoch from clock_timestamp()) + :ttl"
            " WHERE l.holder = :me OR l.expires_at <= extract(epoch from clock_timestamp())"
            " RETURNING epoch"
        )
        async with self._database.transaction() as connection:
            epoch = (await connection.execute(statement, {"me": me, "ttl": ttl_s, "fresh": fresh})).scalar_one_or_none()
        return int(epoch) if epoch is not None else None
