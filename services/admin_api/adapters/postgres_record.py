"""Operations, tokens, the audit log, events and kept answers in PostgreSQL.

The audit log and the events are appended under an advisory lock that is held to the end of the transaction, so that
numbers become visible in order: a reader that has seen 7 will never be shown a 6 later.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.admin_api.adapters import tables
from services.admin_api.domain.audit_chain import FIRST, digest_of
from services.admin_api.domain.ports import KeptAnswer
from services.admin_api.domain.records import (
    BOOTSTRAP_ID,
    AuditEntry,
    AuditRow,
    Event,
    Operation,
    OperationState,
    TokenRecord,
    name_taken,
)
from shared.domain.names import Workspace

AUDIT_LOCK, EVENTS_LOCK = 0x1EAD_0001, 0x1EAD_0002
OPERATION = TypeAdapter(Operation)
ENTRY = TypeAdapter(AuditEntry)


class PostgresOperations:
    """`Operations`."""

    def __init__(self, connection: AsyncConnection) -> None:
        """Within the connection's transaction."""
        self._connection = connection

    async def add(self, operation: Operation) -> None:
        """Keep it."""
        await self._connection.execute(
            insert(tables.operations).values(
                id=operation.id,
                workspace=operation.workspace,
                state=operation.state.value,
                body=OPERATION.dump_python(operation, mode="json"),
                created_at=operation.created_at,
            )
        )

    async def update(self, operation: Operation) -> None:
        """Keep its new state; an ended one stays as it ended."""
        t = tables.operations
        await self._connection.execute(
            update(t)
            .where(t.c.id == operation.id, t.c.state != OperationState.ENDED.value)
            .values(state=operation.state.value, body=OPERATION.dump_python(operation, mode="json"))
        )

    async def get(self, operation_id: str) -> Operation | None:
        """One operation."""
        body = await self._connection.scalar(
            select(tables.operations.c.body).where(tables.operations.c.id == operation_id)
        )
        return OPERATION.validate_python(body) if body else None

    async def unended(self, limit: int) -> list[Operation]:
        """Oldest first."""
        t = tables.operations
        rows = await self._connection.scalars(
            select(t.c.body).where(t.c.state != OperationState.ENDED.value).order_by(t.c.created_at).limit(limit)
        )
        return [OPERATION.validate_python(body) for body in rows]

    async def newest(self, workspace: Workspace, limit: int) -> list[Operation]:
        """Newest first."""
        t = tables.operations
        rows = await self._connection.scalars(
            select(t.c.body).where(t.c.workspace == workspace).order_by(t.c.created_at.desc()).limit(limit)
        )
        return [OPERATION.validate_python(body) for body in rows]


class PostgresTokens:
    """`Tokens`."""

    def __init__(self, connection: AsyncConnection) -> None:
        """Within the connection's transaction."""
        self._connection = connection

    async def add(self, record: TokenRecord, digest: str) -> None:
        """Keep it."""
        try:
            await self._connection.execute(insert(tables.tokens).values(**_token_values(record), digest=digest))
        except IntegrityError as e:
            raise name_taken(record) from e

    async def put_bootstrap(self, record: TokenRecord, digest: str) -> None:
        """In place of an earlier one."""
        values = {**_token_values(record), "id": BOOTSTRAP_ID, "digest": digest}
        await self._connection.execute(
            insert(tables.tokens).values(values).on_conflict_do_update(index_elements=["id"], set_={"digest": digest})
        )

    async def by_digest(self, digest: str) -> TokenRecord | None:
        """The token of that digest."""
        row = (await self._connection.execute(select(tables.tokens).where(tables.tokens.c.digest == digest))).first()
        return _token(row) if row else None

    async def newest(self) -> list[TokenRecord]:
        """All of them."""
        rows = await self._connection.execute(select(tables.tokens).order_by(tables.tokens.c.created_at.desc()))
        return [_token(row) for row in rows]

    async def revoke(self, token_id: str, at: datetime) -> bool:
        """False when there is none."""
        t = tables.tokens
        done = await self._connection.execute(
            update(t).where(t.c.id == token_id, t.c.revoked_at.is_(None)).values(revoked_at=at)
        )
        return bool(done.rowcount)


class PostgresAudit:
    """`Audit`."""

    def __init__(self, connection: AsyncConnection) -> None:
        """Within the connection's transaction."""
        self._connection = connection

    async def append(self, entry: AuditEntry) -> AuditRow:
        """Add to the chain."""
        await self._connection.execute(select(func.pg_advisory_xact_lock(AUDIT_LOCK)))
        t = tables.audit
        last = (await self._connection.execute(select(t.c.seq, t.c.digest).order_by(t.c.seq.desc()).limit(1))).first()
        kept = ENTRY.dump_python(entry, mode="json")
        as_kept = ENTRY.validate_python(kept)  # the digest is over what a reader will see
        previous = last.digest if last else FIRST
        row = AuditRow(last.seq + 1 if last else 1, as_kept, previous, digest_of(as_kept, previous))
        await self._connection.execute(
            insert(t).values(seq=row.seq, entry=kept, previous=row.previous, digest=row.digest)
        )
        return row

    async def newest(self, limit: int, before_seq: int | None = None) -> list[AuditRow]:
        """Newest first."""
        t = tables.audit
        query = select(t).order_by(t.c.seq.desc()).limit(limit)
        if before_seq is not None:
            query = query.where(t.c.seq < before_seq)
        rows = await self._connection.execute(query)
        return [AuditRow(r.seq, ENTRY.validate_python(r.entry), r.previous, r.digest) for r in rows]


class PostgresEvents:
    """`Events`."""

    def __init__(self, connection: AsyncConnection) -> None:
        """Within the connection's transaction."""
        self._connection = connection

    async def append(  # noqa: PLR0913  an event has this many parts
        self, at: datetime, workspace: str, kind: str, name: str, generation: int, body: Mapping[str, Any] | None
    ) -> None:
        """Add one."""
        await self._connection.execute(select(func.pg_advisory_xact_lock(EVENTS_LOCK)))
        await self._connection.execute(
            insert(tables.events).values(
                at=at, workspace=workspace, kind=kind, name=name, generation=generation, body=body
            )
        )

    async def after(self, seq: int, limit: int) -> list[Event]:
        """Oldest first."""
        t = tables.events
        rows = await self._connection.execute(select(t).where(t.c.seq > seq).order_by(t.c.seq).limit(limit))
        return [_event(r) for r in rows]

    async def bounds(self) -> tuple[int, int]:
        """Oldest and newest `seq`."""
        t = tables.events
        row = (await self._connection.execute(select(func.min(t.c.seq), func.max(t.c.seq)))).one()
        return row[0] or 0, row[1] or 0

    async def newest(self, kinds: Sequence[str], limit: int) -> list[Event]:
        """Newest first."""
        t = tables.events
        rows = await self._connection.execute(
            select(t).where(t.c.kind.in_(kinds)).order_by(t.c.seq.desc()).limit(limit)
        )
        return [_event(r) for r in rows]

    async def latest_bodies(self, kinds: Sequence[str]) -> dict[tuple[str, str], Mapping[str, Any] | None]:
        """The newest body per kind and name."""
        t = tables.events
        rows = await self._connection.execute(
            select(t.c.kind, t.c.name, t.c.body)
            .where(t.c.kind.in_(kinds))
            .ext(distinct_on(t.c.kind, t.c.name))
            .order_by(t.c.kind, t.c.name, t.c.seq.desc())
        )
        return {(r.kind, r.name): r.body for r in rows}

    async def trim(self, keep: int) -> None:
        """Forget all but the newest."""
        t = tables.events
        newest = select(func.max(t.c.seq)).scalar_subquery()
        await self._connection.execute(delete(t).where(t.c.seq <= newest - keep))


class PostgresAnswers:
    """`Answers`."""

    def __init__(self, connection: AsyncConnection) -> None:
        """Within the connection's transaction."""
        self._connection = connection

    async def claim(
        self, owner: str, key: str, fingerprint: str, at: datetime, forget_before: datetime
    ) -> KeptAnswer | None:
        """None when the key is ours now."""
        t = tables.answers
        await self._connection.execute(delete(t).where(t.c.at < forget_before))
        claimed = await self._connection.execute(
            insert(t)
            .values(owner=owner, key=key, fingerprint=fingerprint, status=0, body=b"", at=at)
            .on_conflict_do_nothing()
            .returning(t.c.key)
        )
        if claimed.first() is not None:
            return None
        row = (
            await self._connection.execute(
                select(t.c.fingerprint, t.c.status, t.c.body).where(t.c.owner == owner, t.c.key == key)
            )
        ).one()
        return KeptAnswer(row.fingerprint, row.status, bytes(row.body))

    async def keep(self, owner: str, key: str, status: int, body: bytes) -> None:
        """Record the answer."""
        t = tables.answers
        await self._connection.execute(
            update(t).where(t.c.owner == owner, t.c.key == key).values(status=status, body=body)
        )

    async def release(self, owner: str, key: str) -> None:
        """The key may be used again."""
        t = tables.answers
        await self._connection.execute(delete(t).where(t.c.owner == owner, t.c.key == key))


def _token_values(record: TokenRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "name": record.name,
        "role": record.role,
        "workspace": record.workspace,
        "created_at": record.created_at,
        "created_by": record.created_by,
        "expires_at": record.expires_at,
        "revoked_at": record.revoked_at,
    }


def _token(row: Any) -> TokenRecord:
    return TokenRecord(
        row.id, row.name, row.role, row.workspace, row.created_at, row.created_by, row.expires_at, row.revoked_at
    )


def _event(row: Any) -> Event:
    return Event(row.seq, row.at, row.workspace, row.kind, row.name, row.generation, row.body)
