"""Objects, plans and code bundles in PostgreSQL."""

from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.admin_api.adapters import tables
from services.admin_api.domain.ports import CodeRecord
from services.admin_api.domain.records import ObjectKey, ObjectKind, Plan, Spec, StoredObject
from shared.domain.names import Workspace

OBJECTS_MAX = 20_000
INTENT_LOCK = 0x1EAD  # advisory lock of all writers of intent; two-key form, the second is the workspace's hash
PLAN = TypeAdapter(Plan)


class PostgresObjects:
    """`Objects`."""

    def __init__(self, connection: AsyncConnection) -> None:
        """Within the connection's transaction."""
        self._connection = connection

    async def read(self, workspace: Workspace, *, lock: bool = False) -> dict[ObjectKey, StoredObject]:
        """All objects of a workspace."""
        if lock:
            await self._connection.execute(select(func.pg_advisory_xact_lock(INTENT_LOCK, func.hashtext(workspace))))
        t = tables.objects
        rows = await self._connection.execute(
            select(t).where(t.c.workspace == workspace).order_by(t.c.kind, t.c.name).limit(OBJECTS_MAX)
        )
        found = [_object(row) for row in rows]
        return {o.key: o for o in found}

    async def write(self, stored: StoredObject) -> None:
        """Keep it and its history."""
        values = {
            "workspace": stored.workspace,
            "kind": stored.key.kind.value,
            "name": stored.key.name,
            "generation": stored.generation,
            "spec": dict(stored.spec),
            "source": stored.source,
            "created_at": stored.created_at,
            "updated_at": stored.updated_at,
            "updated_by": stored.updated_by,
            "deleted": stored.deleted,
        }
        new = insert(tables.objects).values(values)
        await self._connection.execute(
            new.on_conflict_do_update(index_elements=["workspace", "kind", "name"], set_={**values})
        )
        await self._connection.execute(
            insert(tables.object_history).values(
                workspace=stored.workspace,
                kind=stored.key.kind.value,
                name=stored.key.name,
                generation=stored.generation,
                spec=dict(stored.spec),
                at=stored.updated_at,
                by=stored.updated_by,
                deleted=stored.deleted,
            )
        )

    async def spec_at(self, workspace: Workspace, key: ObjectKey, generation: int) -> Spec | None:
        """From the history."""
        t = tables.object_history
        spec: Spec | None = await self._connection.scalar(
            select(t.c.spec).where(
                t.c.workspace == workspace,
                t.c.kind == key.kind.value,
                t.c.name == key.name,
                t.c.generation == generation,
            )
        )
        return spec


class PostgresPlans:
    """`Plans`."""

    def __init__(self, connection: AsyncConnection) -> None:
        """Within the connection's transaction."""
        self._connection = connection

    async def add(self, plan: Plan) -> None:
        """Keep it."""
        await self._connection.execute(
            insert(tables.plans).values(
                id=plan.id,
                workspace=plan.workspace,
                body=PLAN.dump_python(plan, mode="json"),
                created_at=plan.created_at,
                operation="",
            )
        )

    async def get(self, plan_id: str, *, lock: bool = False) -> Plan | None:
        """One plan."""
        t = tables.plans
        query = select(t.c.body, t.c.operation).where(t.c.id == plan_id)
        row = (await self._connection.execute(query.with_for_update() if lock else query)).first()
        return PLAN.validate_python(row.body | {"operation": row.operation}) if row else None

    async def applied(self, plan_id: str, operation_id: str) -> None:
        """It was handed over."""
        await self._connection.execute(
            update(tables.plans).where(tables.plans.c.id == plan_id).values(operation=operation_id)
        )


class PostgresCode:
    """`CodeIndex`."""

    def __init__(self, connection: AsyncConnection) -> None:
        """Within the connection's transaction."""
        self._connection = connection

    async def add(self, record: CodeRecord, at: datetime, by: str) -> None:
        """Keep it once."""
        await self._connection.execute(
            insert(tables.code)
            .values(sha256=record.sha256, url=record.url, size=record.size, at=at, by=by)
            .on_conflict_do_nothing()
        )

    async def get(self, sha256: str) -> CodeRecord | None:
        """One bundle."""
        t = tables.code
        row = (await self._connection.execute(select(t.c.url, t.c.size).where(t.c.sha256 == sha256))).first()
        return CodeRecord(sha256, row.url, row.size) if row else None


def _object(row: Any) -> StoredObject:
    return StoredObject(
        workspace=Workspace(row.workspace),
        key=ObjectKey(ObjectKind(row.kind), row.name),
        generation=row.generation,
        spec=row.spec,
        source=row.source,
        created_at=row.created_at,
        updated_at=row.updated_at,
        updated_by=row.updated_by,
        deleted=row.deleted,
    )
