"""The admission ledger in PostgreSQL.

Atomicity: a transaction takes advisory locks on everything that its scope meets (its groups and pipelines, and the
system as a reader), in one order, and only then reads the clock and the rows. Two requests that could conflict are
therefore decided one after the other, and requests that cannot run side by side. Lease time is PostgreSQL's, read
after the locks.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from hashlib import blake2b

from psycopg.rows import dict_row
from sqlalchemy import Double, bindparam, func, literal_column, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from services.observer.adapters import tables
from services.observer.adapters.driver_connections import Driver, DriverConnections
from services.observer.adapters.ledger_rows import (
    activity_of_row,
    topology_document,
    topology_of_document,
    waiting_of_row,
    window_of_row,
)
from services.observer.adapters.postgres_transaction import PostgresTransaction, Seen
from services.observer.domain.activities import Activity, Waiting
from services.observer.domain.matrix import ONE_CHANGE_PER_PIPELINE
from services.observer.domain.quieting import QuietWindow
from services.observer.domain.topology import Topology
from shared.database import Database
from shared.domain.activity import ActivityKind
from shared.domain.errors import Conflict
from shared.domain.names import ActivityId, FencingToken, RequestId
from shared.domain.scope import SYSTEM, Scope

LIST_MAX = 1_000
ADMISSIONS_AT_ONCE = 6  # fewer than the pool keeps open: more would pay for new connections, and be slower for it
SCOPES_KEPT_MAX = 20_000
TOPOLOGY_CHANGES_MAX = 5  # times that the topology may change under one admission before it gives up
DEPLOYMENTS_KEY = "deployments"

# The statements of the hot path go to the driver as they are: compiling and adapting them costs more than they do.
_OPEN = (
    "SELECT o.seen_at, o.topology_version, o.drawn, (o.a).* FROM open_admission(%(whole)s, %(system)s,"
    " %(keys)s::bigint[], %(near)s::text[], %(deployments)s, %(quarantine)s::float8, %(request)s::text,"
    " %(activity)s::text, %(draws)s, %(hand_now)s::float8) AS o"
)
_NOW = text("SELECT coalesce(CAST(:hand_now AS float8), extract(epoch FROM clock_timestamp())::float8)")
_CLOCK = literal_column("extract(epoch FROM clock_timestamp())::float8", Double)


def lock_number(key: str) -> int:
    """A key's 64-bit advisory lock; a collision locks too much, never too little."""
    return int.from_bytes(blake2b(f"headrace/observer/{key}".encode(), digest_size=8).digest(), "big", signed=True)


class _TopologyChanged(Exception):
    """The locks were taken for another topology."""


class PostgresLedger:
    """`hand_clock` stands in for PostgreSQL's clock in tests of time, and nowhere else."""

    def __init__(self, database: Database, quarantine_s: float, hand_clock: Callable[[], float] | None = None) -> None:
        """`quarantine_s`: how long an expired activity still matters to others."""
        self._database = database
        self._quarantine_s = quarantine_s
        self._hand_clock = hand_clock
        self._topology: tuple[int, Topology] = (0, Topology())
        self._scopes: dict[ActivityId, Scope] = {}
        self._connections = DriverConnections(database, ADMISSIONS_AT_ONCE)

    @property
    def _hand_now(self) -> dict[str, float | None]:
        return {"hand_now": self._hand_clock() if self._hand_clock else None}

    @asynccontextmanager
    async def admission(
        self,
        scope: Scope,
        *,
        request: RequestId | None = None,
        activity: ActivityId | None = None,
        kind: ActivityKind | None = None,
    ) -> AsyncIterator[PostgresTransaction]:
        """Lock, read, hand over; commit at the end of the block."""
        for _ in range(TOPOLOGY_CHANGES_MAX):
            try:
                async with self._connections.transaction() as driver:
                    yield await self._open(driver, scope, request, activity, kind)
                    return
            except _TopologyChanged:
                await self._reload_topology()
        raise Conflict(
            f"{scope}: the topology changed {TOPOLOGY_CHANGES_MAX} times while it was locked", remedy="ask again"
        )

    async def _open(
        self,
        driver: Driver,
        scope: Scope,
        request: RequestId | None,
        activity: ActivityId | None,
        kind: ActivityKind | None,
    ) -> PostgresTransaction:
        version, topology = self._topology
        counts = kind is ActivityKind.DEPLOY
        changes = kind in ONE_CHANGE_PER_PIPELINE
        names = () if scope == SYSTEM else topology.lock_keys(scope, changes_pipeline=changes)
        given = {
            "whole": scope == SYSTEM,
            "system": lock_number(str(SYSTEM)),
            "near": None if (near := topology.near(scope)) is None else list(near),
            "deployments": counts,
            "keys": sorted(lock_number(k) for k in (*names, *((DEPLOYMENTS_KEY,) if counts else ()))),
            "quarantine": self._quarantine_s,
            "request": request,
            "activity": activity,
            "draws": request is not None,
            **self._hand_now,
        }
        async with driver.cursor(row_factory=dict_row) as cursor:
            rows = await (await cursor.execute(_OPEN, given)).fetchall()
        if rows[0]["topology_version"] != version:
            raise _TopologyChanged
        found = [activity_of_row(r) for r in rows if r["id"] is not None]
        waiting: list[Waiting] = []
        if counts:
            async with driver.cursor(row_factory=dict_row) as cursor:
                await cursor.execute("SELECT * FROM waiting WHERE scope = %s", (str(scope),))
                waiting = [waiting_of_row(r) for r in await cursor.fetchall()]
        seen = Seen(rows[0]["seen_at"], topology, found, waiting, FencingToken(rows[0]["drawn"] or 0))
        return PostgresTransaction(driver, seen, self._quarantine_s, self._scopes)

    async def close(self) -> None:
        """Give up the connections in hand."""
        await self._connections.close()

    async def _reload_topology(self) -> None:
        async with self._database.transaction() as connection:
            row = (
                (await connection.execute(select(tables.topology).where(tables.topology.c.id == 1))).mappings().first()
            )
        self._topology = (row["version"], topology_of_document(row["document"])) if row else (0, Topology())

    async def scope_of(self, activity: ActivityId) -> Scope | None:
        """The scope of an activity; it never changes, so it is asked for once."""
        if activity not in self._scopes:
            async with self._database.transaction() as connection:
                query = select(tables.activities.c.scope).where(tables.activities.c.id == activity)
                found = await connection.scalar(query)
            if not found:
                return None
            if len(self._scopes) >= SCOPES_KEPT_MAX:
                self._scopes.clear()
            self._scopes[activity] = Scope.parse(found)
        return self._scopes[activity]

    async def topology(self) -> Topology:
        """As last kept; a decision that needs a newer one notices under its locks."""
        if self._topology[0] == 0:
            await self._reload_topology()
        return self._topology[1]

    async def keep_topology(self, topology: Topology) -> None:
        """Keep it if it changed; the system is locked, so that no admission is under way meanwhile."""
        await self._reload_topology()
        if self._topology[1] == topology and self._topology[0]:
            return
        async with self._database.transaction() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:k)"), {"k": lock_number(str(SYSTEM))})
            row = {"id": 1, "version": 1, "document": topology_document(topology)}
            statement = upsert(tables.topology).values(row)
            await connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["id"],
                    set_={"version": tables.topology.c.version + 1, "document": statement.excluded.document},
                )
            )
        await self._reload_topology()

    async def sweep(self, kept_s: float, waiting_s: float) -> Sequence[Activity]:
        """One statement ends what has lapsed: a heartbeat in between has moved the expiry and keeps its row."""
        a, w, q = tables.activities, tables.waiting, tables.quiet_windows
        async with self._database.transaction() as connection:
            now = float((await connection.execute(_NOW, self._hand_now)).scalar_one())
            ended = (
                (
                    await connection.execute(
                        update(a)
                        .where(a.c.outcome.is_(None), a.c.expires_at <= now)
                        .values(
                            outcome="expired",
                            ended_at=now,
                            parked=False,
                            ask_request=None,
                            ask_asked_at=None,
                            ask_renewed_at=None,
                        )
                        .returning(a)
                    )
                )
                .mappings()
                .all()
            )
            for row in ended:
                await connection.execute(
                    update(q)
                    .where(q.c.activity == row["id"], q.c.closed_at.is_(None))
                    .values(closed_at=row["expires_at"])
                )
            await connection.execute(w.delete().where(w.c.asked_at < now - waiting_s))
            await connection.execute(a.delete().where(a.c.ended_at < now - kept_s))
            await connection.execute(q.delete().where(q.c.ends_at < now - kept_s))
        return sorted((activity_of_row(dict(r)) for r in ended), key=lambda x: x.token)

    async def activities(
        self, scope: Scope | None, *, include_ended: bool, limit: int, before: int = 0
    ) -> Sequence[Activity]:
        """Newest first."""
        a = tables.activities
        query = select(a).order_by(a.c.token.desc()).limit(min(limit, LIST_MAX))
        if scope is not None:
            query = query.where(a.c.scope == str(scope))
        if not include_ended:
            now = func.coalesce(bindparam("hand_now", self._hand_now["hand_now"], Double), _CLOCK)
            query = query.where(a.c.outcome.is_(None), a.c.expires_at > now)
        if before:
            query = query.where(a.c.token < before)
        async with self._database.transaction() as connection:
            return [activity_of_row(dict(r)) for r in (await connection.execute(query)).mappings()]

    async def windows(self) -> tuple[float, Sequence[QuietWindow]]:
        """Those not yet over, and the store's time."""
        q = tables.quiet_windows
        async with self._database.transaction() as connection:
            now = float((await connection.execute(_NOW, self._hand_now)).scalar_one())
            rows = await connection.execute(select(q).where(q.c.ends_at + q.c.tail_s > now))
            found = [window_of_row(dict(r)) for r in rows.mappings()]
        return now, [w for w in found if w.over_at > now]
