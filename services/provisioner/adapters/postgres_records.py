"""Environments, stack runs, drift findings, routes and joined machines in PostgreSQL; a method is a transaction."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, literal, select, update
from sqlalchemy.dialects.postgresql import JSONB, insert

from services.provisioner.adapters import rows
from services.provisioner.adapters.postgres_groups import stale_generation
from services.provisioner.adapters.tables import DRIFT_FINDINGS, ENVIRONMENTS, NODES, ROUTES, STACK_RUNS, STACKS
from services.provisioner.domain.declared import DeclaredFields
from services.provisioner.domain.drift import Finding
from services.provisioner.domain.environment import EnvironmentIntent, EnvironmentState
from services.provisioner.domain.group import Bundle
from services.provisioner.domain.runs import ProcessMark, StackRun
from services.provisioner.domain.traffic import GroupRoutes
from shared.database import Database
from shared.domain.names import FleetId, GroupName

FINDINGS_LISTED_MAX = 1000


class PostgresEnvironments:
    """`EnvironmentStore`."""

    def __init__(self, database: Database) -> None:
        """On the service's own schema."""
        self._database = database

    async def register(self, intent: EnvironmentIntent) -> EnvironmentState:
        """Keep the intent; one that is READY stays so."""
        async with self._database.transaction() as c:
            where = ENVIRONMENTS.c.name == intent.name
            row = (await c.execute(select(ENVIRONMENTS).where(where).with_for_update())).first()
            if row and row.generation > intent.generation:
                raise stale_generation("environment", intent.name, intent.generation, row.generation)
            same = row is not None and _same_build(rows.environment_intent(row.intent), intent) and row.phase == "READY"
            kept = {"phase": "READY"} if same else {"phase": "BUILDING", "detail": ""}
            values = {"generation": intent.generation, "intent": rows.document(intent), **kept}
            write = insert(ENVIRONMENTS).values(
                **{"name": intent.name, "detail": "", "digest": "", "bundle": None, "locked": "", **values}
            )
            write = write.on_conflict_do_update(index_elements=[ENVIRONMENTS.c.name], set_=values)
            return _environment((await c.execute(write.returning(ENVIRONMENTS))).one())

    async def get(self, name: str) -> EnvironmentState | None:
        """One environment."""
        async with self._database.transaction() as c:
            row = (await c.execute(select(ENVIRONMENTS).where(ENVIRONMENTS.c.name == name))).first()
        return _environment(row) if row else None

    async def all(self) -> tuple[EnvironmentState, ...]:
        """Every environment."""
        async with self._database.transaction() as c:
            return tuple(_environment(r) for r in await c.execute(select(ENVIRONMENTS).order_by(ENVIRONMENTS.c.name)))

    async def finish(self, name: str, generation: int, digest: str, bundle: Bundle, locked: str) -> None:
        """Built."""
        await self._set(
            name,
            generation,
            {"phase": "READY", "detail": "", "digest": digest, "bundle": rows.document(bundle), "locked": locked},
        )

    async def fail(self, name: str, generation: int, detail: str) -> None:
        """Not built."""
        await self._set(name, generation, {"phase": "ERROR", "detail": detail})

    async def _set(self, name: str, generation: int, values: dict[str, Any]) -> None:
        where = (ENVIRONMENTS.c.name == name, ENVIRONMENTS.c.generation == generation)
        async with self._database.transaction() as c:
            await c.execute(update(ENVIRONMENTS).where(*where).values(**values))

    async def remove(self, name: str) -> None:
        """Gone."""
        async with self._database.transaction() as c:
            await c.execute(delete(ENVIRONMENTS).where(ENVIRONMENTS.c.name == name))


def _same_build(a: EnvironmentIntent, b: EnvironmentIntent) -> bool:
    return (a.requirements, a.python) == (b.requirements, b.python)


def _environment(row: Any) -> EnvironmentState:
    return EnvironmentState(
        rows.environment_intent(row.intent), row.phase, row.detail, row.digest, rows.bundle(row.bundle), row.locked
    )


class PostgresStacks:
    """`StackStore`."""

    def __init__(self, database: Database) -> None:
        """On the service's own schema."""
        self._database = database

    async def open(self, run: StackRun) -> None:
        """The intent of a run."""
        async with self._database.transaction() as c:
            await c.execute(
                insert(STACK_RUNS).values(
                    id=run.id,
                    stack=run.stack,
                    group_name=run.group,
                    operation=run.operation,
                    activity=run.activity,
                    token=run.token,
                    began_at=run.began_at,
                    state=run.state,
                    detail=run.detail,
                    processes=[rows.document(p) for p in run.processes],
                )
            )

    async def note_process(self, run: str, process: ProcessMark) -> None:
        """One process more."""
        async with self._database.transaction() as c:
            more = literal([rows.document(process)], JSONB)
            await c.execute(
                update(STACK_RUNS).where(STACK_RUNS.c.id == run).values(processes=STACK_RUNS.c.processes.op("||")(more))
            )

    async def close(self, run: str, state: str, detail: str, at: datetime) -> None:
        """The result of a run."""
        async with self._database.transaction() as c:
            where = (STACK_RUNS.c.id == run, STACK_RUNS.c.ended_at.is_(None))
            await c.execute(update(STACK_RUNS).where(*where).values(state=state, detail=detail, ended_at=at))

    async def runs(self, stack: str, limit: int) -> tuple[StackRun, ...]:
        """Newest first."""
        query = select(STACK_RUNS).where(STACK_RUNS.c.stack == stack)
        query = query.order_by(STACK_RUNS.c.began_at.desc(), STACK_RUNS.c.id.desc()).limit(limit)
        async with self._database.transaction() as c:
            return tuple(_run(r) for r in await c.execute(query))

    async def running(self) -> tuple[StackRun, ...]:
        """Not closed."""
        query = select(STACK_RUNS).where(STACK_RUNS.c.ended_at.is_(None))
        async with self._database.transaction() as c:
            rows_ = await c.execute(query.order_by(STACK_RUNS.c.began_at, STACK_RUNS.c.id))
            return tuple(_run(r) for r in rows_)

    async def declare(self, group: GroupName, fields: DeclaredFields) -> None:
        """What the stack holds."""
        document = {resource: dict(values) for resource, values in fields.items()}
        async with self._database.transaction() as c:
            write = insert(STACKS).values(group_name=group, declared=document)
            write = write.on_conflict_do_update(index_elements=[STACKS.c.group_name], set_={"declared": document})
            await c.execute(write)

    async def declared(self) -> Mapping[GroupName, DeclaredFields]:
        """Of every group."""
        async with self._database.transaction() as c:
            found = await c.execute(select(STACKS).order_by(STACKS.c.group_name))
            return {GroupName(r.group_name): r.declared for r in found}

    async def forget(self, group: GroupName) -> None:
        """Gone."""
        async with self._database.transaction() as c:
            await c.execute(delete(STACKS).where(STACKS.c.group_name == group))


def _run(row: Any) -> StackRun:
    return StackRun(
        id=row.id,
        stack=row.stack,
        group=GroupName(row.group_name),
        operation=row.operation,
        activity=row.activity,
        token=row.token,
        began_at=row.began_at,
        state=row.state,
        detail=row.detail,
        processes=tuple(ProcessMark(**p) for p in row.processes),
    )


class PostgresDrift:
    """`DriftStore`."""

    def __init__(self, database: Database) -> None:
        """On the service's own schema."""
        self._database = database

    async def put(self, findings: Sequence[Finding]) -> None:
        """By id."""
        async with self._database.transaction() as c:
            for finding in sorted(findings, key=lambda f: f.id):
                values = {("group_name" if k == "group" else k): v for k, v in rows.document(finding).items()}
                write = insert(DRIFT_FINDINGS).values(**values)
                changed = {k: v for k, v in values.items() if k != "id"}
                await c.execute(write.on_conflict_do_update(index_elements=[DRIFT_FINDINGS.c.id], set_=changed))

    async def list(self, group: GroupName | None, *, include_repaired: bool) -> tuple[Finding, ...]:
        """Oldest first; at most a thousand."""
        query = select(DRIFT_FINDINGS)
        if group is not None:
            query = query.where(DRIFT_FINDINGS.c.group_name == group)
        if not include_repaired:
            query = query.where(DRIFT_FINDINGS.c.state != "repaired")
        query = query.order_by(DRIFT_FINDINGS.c.found_at, DRIFT_FINDINGS.c.id).limit(FINDINGS_LISTED_MAX)
        async with self._database.transaction() as c:
            return tuple(_finding(r) for r in await c.execute(query))


def _finding(row: Any) -> Finding:
    values = dict(row._mapping)  # noqa: SLF001  SQLAlchemy's public name for it
    values["group"] = values.pop("group_name")
    return Finding(**values)


class PostgresRoutes:
    """`RouteStore`."""

    def __init__(self, database: Database) -> None:
        """On the service's own schema."""
        self._database = database

    async def all(self) -> Mapping[GroupName, GroupRoutes]:
        """Every group's routes."""
        async with self._database.transaction() as c:
            found = await c.execute(select(ROUTES).order_by(ROUTES.c.group_name))
            return {GroupName(r.group_name): rows.routes(r.detail) for r in found}

    async def save(self, routes: GroupRoutes, expected: int) -> bool:
        """Compare and set on the generation."""
        values = {"generation": routes.generation, "detail": rows.document(routes)}
        async with self._database.transaction() as c:
            if expected == 0:
                write = insert(ROUTES).values(group_name=routes.group, **values).on_conflict_do_nothing()
                return (await c.execute(write.returning(ROUTES.c.group_name))).first() is not None
            where = (ROUTES.c.group_name == routes.group, ROUTES.c.generation == expected)
            wrote = await c.execute(update(ROUTES).where(*where).values(**values).returning(ROUTES.c.group_name))
            return wrote.first() is not None


class PostgresNodes:
    """`NodeStore`."""

    def __init__(self, database: Database) -> None:
        """On the service's own schema."""
        self._database = database

    async def claim(self, machine: str, group: GroupName, fleet: FleetId, key_digest: str, at: datetime) -> str:
        """The first key of a machine counts."""
        async with self._database.transaction() as c:
            write = insert(NODES).values(
                machine=machine, group_name=group, fleet=fleet, key_digest=key_digest, joined_at=at
            )
            await c.execute(write.on_conflict_do_nothing())
            stored = select(NODES.c.key_digest).where(NODES.c.machine == machine)
            return str((await c.execute(stored)).scalar_one())

    async def all(self) -> Mapping[str, datetime]:
        """Who joined when."""
        async with self._database.transaction() as c:
            return {r.machine: r.joined_at for r in await c.execute(select(NODES).order_by(NODES.c.machine))}

    async def forget(self, machines: Sequence[str]) -> None:
        """Gone."""
        async with self._database.transaction() as c:
            await c.execute(delete(NODES).where(NODES.c.machine.in_(list(machines))))
