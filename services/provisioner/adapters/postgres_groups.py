"""Groups, fleets, fences and pipelines in PostgreSQL; each method is one transaction."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.provisioner.adapters import rows
from services.provisioner.adapters.tables import FENCES, FLEETS, GROUPS, PIPELINES
from services.provisioner.domain.group import Fleet, Group, GroupIntent, StageSeat
from services.provisioner.domain.pipeline import PipelineIntent, PipelineState
from shared.database import Database
from shared.domain.errors import Conflict, StaleLease
from shared.domain.names import FleetId, GroupName, PipelineName, StageName
from shared.domain.scope import group_scope


def stale_generation(kind: str, name: str, given: int, known: int) -> Conflict:
    """An intent older than the one we have."""
    return Conflict(
        f"{kind} {name}: generation {given} is older than {known}, which is known already",
        field="generation",
        remedy="read it again and apply your change to the newest",
    )


class PostgresGroups:
    """`GroupStore`."""

    def __init__(self, database: Database) -> None:
        """On the service's own schema."""
        self._database = database

    async def register(self, intent: GroupIntent) -> Group:
        """Keep the intent."""
        async with self._database.transaction() as c:
            write = insert(GROUPS).values(
                name=intent.name,
                generation=intent.generation,
                intent=rows.document(intent),
                phase="PENDING",
                detail="",
            )
            write = write.on_conflict_do_update(
                index_elements=[GROUPS.c.name],
                set_={"generation": write.excluded.generation, "intent": write.excluded.intent},
                where=GROUPS.c.generation <= write.excluded.generation,
            )
            if (await c.execute(write.returning(GROUPS.c.name))).first() is None:
                known = (await c.execute(select(GROUPS.c.generation).where(GROUPS.c.name == intent.name))).scalar_one()
                raise stale_generation("group", intent.name, intent.generation, known)
            return (await _groups(c, intent.name))[0]

    async def get(self, name: GroupName) -> Group | None:
        """One group."""
        async with self._database.transaction() as c:
            return next(iter(await _groups(c, name)), None)

    async def all(self) -> tuple[Group, ...]:
        """Every group."""
        async with self._database.transaction() as c:
            return await _groups(c, None)

    async def set_phase(self, name: GroupName, phase: str, detail: str) -> None:
        """How far it is."""
        async with self._database.transaction() as c:
            await c.execute(update(GROUPS).where(GROUPS.c.name == name).values(phase=phase, detail=detail))

    async def put_fleet(self, fleet: Fleet) -> Fleet:
        """Add a fleet, or find it."""
        async with self._database.transaction() as c:
            write = insert(FLEETS).values(
                id=fleet.id,
                group_name=fleet.group,
                revision=fleet.revision,
                weight=fleet.weight,
                leaving=fleet.leaving,
                detail=rows.fleet_detail(fleet),
            )
            write = write.on_conflict_do_update(index_elements=[FLEETS.c.id], set_={"leaving": False})
            row = (await c.execute(write.returning(FLEETS))).one()
            return rows.fleet(row)

    async def mark_leaving(self, fleet: FleetId) -> None:
        """No longer part of the stack."""
        async with self._database.transaction() as c:
            await c.execute(update(FLEETS).where(FLEETS.c.id == fleet).values(leaving=True, weight=0))

    async def drop_fleet(self, fleet: FleetId) -> None:
        """Gone."""
        async with self._database.transaction() as c:
            await c.execute(delete(FLEETS).where(FLEETS.c.id == fleet))

    async def set_weights(self, group: GroupName, weights: Mapping[FleetId, int], token: int) -> None:
        """Absolute weights, fenced in the same transaction: between a check and a write a process may stand still."""
        async with self._database.transaction() as c:
            await _fenced(c, str(group_scope(group)), token)
            for fleet in sorted(weights):
                await c.execute(
                    update(FLEETS)
                    .where(FLEETS.c.id == fleet, FLEETS.c.group_name == group)
                    .values(weight=weights[fleet])
                )

    async def seat(self, pipeline: PipelineName, seats: Mapping[GroupName, StageSeat]) -> tuple[GroupName, ...]:
        """Stages onto groups."""
        changed: set[GroupName] = set()
        async with self._database.transaction() as c:
            freed = await c.execute(
                update(GROUPS)
                .where(GROUPS.c.pipeline == pipeline, GROUPS.c.name.not_in(list(seats)))
                .values(pipeline=None, stage=None)
                .returning(GROUPS.c.name)
            )
            changed.update(freed.scalars())
            for group in sorted(seats):
                seat = seats[group]
                wrote = await c.execute(
                    update(GROUPS)
                    .where(
                        GROUPS.c.name == group,
                        or_(
                            GROUPS.c.pipeline.is_distinct_from(seat.pipeline),
                            GROUPS.c.stage.is_distinct_from(seat.stage),
                        ),
                    )
                    .values(pipeline=seat.pipeline, stage=seat.stage)
                    .returning(GROUPS.c.name)
                )
                changed.update(wrote.scalars())
        return tuple(sorted(changed))

    async def remove(self, name: GroupName) -> None:
        """Gone, with its fleets."""
        async with self._database.transaction() as c:
            await c.execute(delete(GROUPS).where(GROUPS.c.name == name))


async def _groups(c: AsyncConnection, name: str | None) -> tuple[Group, ...]:
    groups, fleets = select(GROUPS).order_by(GROUPS.c.name), select(FLEETS).order_by(FLEETS.c.revision)
    if name is not None:
        groups, fleets = groups.where(GROUPS.c.name == name), fleets.where(FLEETS.c.group_name == name)
    of: dict[str, list[Fleet]] = {}
    for row in await c.execute(fleets):
        of.setdefault(row.group_name, []).append(rows.fleet(row))
    return tuple(_group(row, tuple(of.get(row.name, ()))) for row in await c.execute(groups))


def _group(row: Any, fleets: tuple[Fleet, ...]) -> Group:
    seat = StageSeat(PipelineName(row.pipeline), StageName(row.stage)) if row.pipeline else None
    return Group(rows.group_intent(row.intent), row.phase, row.detail, seat, fleets)


class PostgresFences:
    """`Fences`."""

    def __init__(self, database: Database) -> None:
        """On the service's own schema."""
        self._database = database

    async def check(self, scope: str, token: int) -> None:
        """Remember the highest token of a scope."""
        async with self._database.transaction() as c:
            await _fenced(c, scope, token)


async def _fenced(c: AsyncConnection, scope: str, token: int) -> None:
    """Until the transaction ends nobody else passes the scope's fence."""
    write = insert(FENCES).values(scope=scope, token=token)
    write = write.on_conflict_do_update(
        index_elements=[FENCES.c.scope],
        set_={"token": func.greatest(FENCES.c.token, write.excluded.token)},
    )
    seen = (await c.execute(write.returning(FENCES.c.token))).scalar_one()
    if seen > token:
        raise superseded(scope, token, seen)


def superseded(scope: str, token: int, seen: int) -> StaleLease:
    """A holder of a later token was here."""
    return StaleLease(
        f"{scope}: token {token} was superseded by {seen}", remedy="stop: another activity holds the scope"
    )


class PostgresPipelines:
    """`PipelineStore`."""

    def __init__(self, database: Database) -> None:
        """On the service's own schema."""
        self._database = database

    async def register(self, intent: PipelineIntent) -> PipelineState:
        """Keep the intent; a new pipeline admits nothing yet."""
        async with self._database.transaction() as c:
            write = insert(PIPELINES).values(
                name=intent.name,
                generation=intent.generation,
                intent=rows.document(intent),
                phase="CREATING",
                detail="",
                ramp_percent=0,
            )
            write = write.on_conflict_do_update(
                index_elements=[PIPELINES.c.name],
                set_={"generation": write.excluded.generation, "intent": write.excluded.intent},
                where=PIPELINES.c.generation <= write.excluded.generation,
            )
            row = (await c.execute(write.returning(PIPELINES))).first()
            if row is None:
                stored = select(PIPELINES.c.generation).where(PIPELINES.c.name == intent.name)
                known = (await c.execute(stored)).scalar_one()
                raise stale_generation("pipeline", intent.name, intent.generation, known)
            return _pipeline(row)

    async def get(self, name: PipelineName) -> PipelineState | None:
        """One pipeline."""
        async with self._database.transaction() as c:
            row = (await c.execute(select(PIPELINES).where(PIPELINES.c.name == name))).first()
        return _pipeline(row) if row else None

    async def all(self) -> tuple[PipelineState, ...]:
        """Every pipeline."""
        async with self._database.transaction() as c:
            return tuple(_pipeline(r) for r in await c.execute(select(PIPELINES).order_by(PIPELINES.c.name)))

    async def set_phase(self, name: PipelineName, phase: str, detail: str) -> None:
        """How far it is."""
        async with self._database.transaction() as c:
            await c.execute(update(PIPELINES).where(PIPELINES.c.name == name).values(phase=phase, detail=detail))

    async def set_ramp(self, name: PipelineName, percent: int) -> None:
        """Share admitted."""
        async with self._database.transaction() as c:
            await c.execute(update(PIPELINES).where(PIPELINES.c.name == name).values(ramp_percent=percent))

    async def remove(self, name: PipelineName) -> None:
        """Gone."""
        async with self._database.transaction() as c:
            await c.execute(delete(PIPELINES).where(PIPELINES.c.name == name))


def _pipeline(row: Any) -> PipelineState:
    return PipelineState(rows.pipeline_intent(row.intent), row.phase, row.detail, row.ramp_percent)
