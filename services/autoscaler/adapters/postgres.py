"""The store in PostgreSQL. Leases are counted by its clock, in the transaction that grants or checks them."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Row, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.autoscaler.adapters import postgres_ratings
from services.autoscaler.adapters.tables import decisions, fences, group_states, intents, leader, reservations
from services.autoscaler.domain.decision import OUT, Decision
from services.autoscaler.domain.group import LastOutcome, Reservation
from services.autoscaler.domain.memory import GroupMemory
from services.autoscaler.domain.ratings import Rating
from services.autoscaler.domain.records import GroupRecord, Held, Intent, Kept, Lane, OpenIntent, Outcome, Swept
from shared.database import Database
from shared.domain.names import ActivityId, FencingToken, FleetId, GroupName

LEADER_ROW = 1
SWEEP_ROWS_MAX = 10_000  # of one kind in one sweep
FAILED = frozenset({"gave_up", "failed"})
MEMORY: TypeAdapter[GroupMemory] = TypeAdapter(GroupMemory)
DECISION: TypeAdapter[Decision] = TypeAdapter(Decision)
LAST: TypeAdapter[LastOutcome] = TypeAdapter(LastOutcome)
NOW = func.clock_timestamp()


class PostgresStore:
    """Implements `ports.Store`."""

    def __init__(self, database: Database) -> None:
        """The pool of the Autoscaler's schema."""
        self._database = database

    async def lead(self, holder: str, ttl_s: float) -> bool:
        """See `ports.Store`."""
        until = NOW + timedelta(seconds=ttl_s)
        take = insert(leader).values(id=LEADER_ROW, holder=holder, expires_at=until)
        take = take.on_conflict_do_update(
            index_elements=[leader.c.id],
            set_={"holder": holder, "expires_at": until},
            where=or_(leader.c.holder == holder, leader.c.expires_at <= NOW),
        )
        async with self._database.transaction() as c:
            return (await c.execute(take.returning(leader.c.id))).first() is not None

    async def load(self) -> Mapping[GroupName, GroupRecord]:
        """See `ports.Store`."""
        async with self._database.transaction() as c:
            rows = (await c.execute(select(group_states))).all()
        return {
            GroupName(r.group_name): GroupRecord(
                memory=MEMORY.validate_python(r.memory) if r.memory else GroupMemory(),
                latest=DECISION.validate_python(r.latest) if r.latest else None,
                row_at_s=r.row_at_s,
                last_outcome=LAST.validate_python(r.last_outcome) if r.last_outcome else None,
            )
            for r in rows
        }

    async def keep(self, kept: Sequence[Kept]) -> None:
        """See `ports.Store`."""
        if not kept:
            return
        states = insert(group_states)
        new = states.excluded
        states = states.on_conflict_do_update(
            index_elements=[group_states.c.group_name],
            set_={
                "memory": new.memory,
                "latest": new.latest,
                "row_at_s": func.greatest(group_states.c.row_at_s, new.row_at_s),
                "updated_at": new.updated_at,
            },
        )
        async with self._database.transaction() as c:
            await c.execute(
                states.values(
                    [
                        {
                            "group_name": k.group,
                            "memory": MEMORY.dump_python(k.memory, mode="json"),
                            "latest": DECISION.dump_python(k.decision, mode="json"),
                            "row_at_s": k.decision.at_s if k.row else 0.0,
                            "updated_at": NOW,
                        }
                        for k in kept
                    ]
                )
            )
            rows = [_decision_row(k.decision) for k in kept if k.row]
            if rows:
                await c.execute(insert(decisions).values(rows).on_conflict_do_nothing())

    async def decisions(self, group: GroupName, limit: int) -> tuple[tuple[Decision, str], ...]:
        """See `ports.Store`."""
        query = select(decisions.c.body, decisions.c.outcome).where(decisions.c.group_name == group)
        query = query.order_by(decisions.c.at_s.desc(), decisions.c.id.desc()).limit(limit)
        async with self._database.transaction() as c:
            return tuple((DECISION.validate_python(r.body), r.outcome) for r in await c.execute(query))

    async def end(self, outcome: Outcome) -> None:
        """See `ports.Store`."""
        text = f"{outcome.outcome}: {outcome.text}" if outcome.text else outcome.outcome
        change = update(decisions).where(decisions.c.id == outcome.decision_id).values(outcome=text)
        async with self._database.transaction() as c:
            row = (await c.execute(change.returning(decisions.c.group_name, decisions.c.action))).first()
            if row is None:
                return
            await _ensure_state(c, row.group_name)
            of_group = group_states.c.group_name == row.group_name
            held = await c.execute(select(group_states.c.last_outcome).where(of_group).with_for_update())
            old = LAST.validate_python(before) if (before := held.scalar()) else None
            failed = row.action == OUT and outcome.outcome in FAILED
            last = LastOutcome(
                direction=row.action,
                outcome=outcome.outcome,
                text=outcome.text,
                at_s=outcome.at_s,
                failures=(old.failures if old else 0) + 1 if failed else 0,
                retry_after_s=outcome.retry_after_s,
            )
            value = LAST.dump_python(last, mode="json")
            await c.execute(update(group_states).where(of_group).values(last_outcome=value))

    async def reservations(self, group: GroupName | None = None) -> tuple[Reservation, ...]:
        """See `ports.Store`."""
        async with self._database.transaction() as c:
            return await _living(c, group)

    async def reserve(self, reservation: Reservation) -> Held:
        """See `ports.Store`."""
        r = reservation
        row = {
            "token": r.token,
            "floor": r.floor,
            "share": r.share,
            "other_floor": r.other_floor,
            "ttl_s": r.ttl_s,
            "expires_at": NOW + timedelta(seconds=r.ttl_s),
        }
        key = {"group_name": r.group, "fleet": r.fleet, "activity": r.activity}
        record = insert(reservations).values(**key, **row)
        record = record.on_conflict_do_update(index_elements=list(key), set_=row)
        async with self._database.transaction() as c:
            seen = await _fenced(c, r.group, Lane.SHARES, r.token)
            if seen == r.token:
                of_group = reservations.c.group_name == r.group
                await c.execute(delete(reservations).where(of_group, reservations.c.token < r.token))
                await c.execute(record)
            return Held(seen, await _living(c, r.group))

    async def release(self, group: GroupName, activity: ActivityId, token: FencingToken) -> None:
        """See `ports.Store`."""
        mine = (reservations.c.group_name == group, reservations.c.activity == activity, reservations.c.token <= token)
        async with self._database.transaction() as c:
            await c.execute(delete(reservations).where(*mine))

    async def renew(self, group: GroupName, activities: frozenset[ActivityId]) -> None:
        """See `ports.Store`."""
        longer = NOW + func.make_interval(0, 0, 0, 0, 0, 0, reservations.c.ttl_s)
        held = (
            reservations.c.group_name == group,
            reservations.c.activity.in_(sorted(activities)),
            reservations.c.expires_at > NOW,
        )
        async with self._database.transaction() as c:
            await c.execute(update(reservations).where(*held).values(expires_at=longer))

    async def fence(self, group: GroupName, lane: Lane, token: FencingToken) -> FencingToken:
        """See `ports.Store`."""
        async with self._database.transaction() as c:
            return await _fenced(c, group, lane, token)

    async def intend(self, intent: Intent) -> int:
        """See `ports.Store`."""
        row = insert(intents).values(
            group_name=intent.group,
            fleet=intent.fleet,
            asg=intent.asg,
            activity=intent.activity,
            token=intent.token,
            previous=intent.previous,
            wanted=intent.wanted,
            at_s=intent.at_s,
        )
        async with self._database.transaction() as c:
            return int((await c.execute(row.returning(intents.c.number))).scalar_one())

    async def settle(self, number: int, result: str) -> None:
        """See `ports.Store`."""
        change = update(intents).where(intents.c.number == number).values(result=result, settled_at=NOW)
        async with self._database.transaction() as c:
            await c.execute(change)

    async def unsettled(self, older_than_s: float) -> tuple[OpenIntent, ...]:
        """See `ports.Store`."""
        old = intents.c.at_s <= func.extract("epoch", NOW) - older_than_s
        query = select(intents).where(intents.c.result.is_(None), old).order_by(intents.c.number).limit(SWEEP_ROWS_MAX)
        async with self._database.transaction() as c:
            return tuple(OpenIntent(r.number, _intent(r)) for r in await c.execute(query))

    async def add_rating(self, rating: Rating) -> None:
        """See `ports.Store`."""
        async with self._database.transaction() as c:
            await postgres_ratings.add(c, rating)

    async def ratings(self, group: GroupName, limit: int) -> tuple[Rating, ...]:
        """See `ports.Store`."""
        async with self._database.transaction() as c:
            return await postgres_ratings.newest_of(c, group, limit)

    async def newest_ratings(self) -> tuple[Rating, ...]:
        """See `ports.Store`."""
        async with self._database.transaction() as c:
            return await postgres_ratings.newest(c)

    async def sweep(self, retention_s: float) -> Swept:
        """See `ports.Store`."""
        oldest = func.extract("epoch", NOW) - retention_s
        rows = select(decisions.c.id).where(decisions.c.at_s < oldest).limit(SWEEP_ROWS_MAX)
        done = select(intents.c.number).where(intents.c.at_s < oldest, intents.c.result.is_not(None))
        lapsed = delete(reservations).where(reservations.c.expires_at <= NOW).returning(*_columns())
        async with self._database.transaction() as c:
            ended = [_reservation(r) for r in await c.execute(lapsed)]
            dropped = await c.execute(delete(decisions).where(decisions.c.id.in_(rows)))
            settled = await c.execute(delete(intents).where(intents.c.number.in_(done.limit(SWEEP_ROWS_MAX))))
        ended.sort(key=lambda r: (r.group, r.fleet, r.activity))
        return Swept(tuple(ended), dropped.rowcount, settled.rowcount)


def _columns() -> list[Any]:
    return [*reservations.c, func.extract("epoch", reservations.c.expires_at).label("expires_at_s")]


async def _living(c: AsyncConnection, group: GroupName | None) -> tuple[Reservation, ...]:
    query = select(*_columns()).where(reservations.c.expires_at > NOW)
    if group is not None:
        query = query.where(reservations.c.group_name == group)
    order = (reservations.c.group_name, reservations.c.fleet, reservations.c.activity)
    rows = await c.execute(query.order_by(*order))
    return tuple(sorted((_reservation(r) for r in rows), key=lambda r: (r.group, r.fleet, r.activity)))


async def _fenced(c: AsyncConnection, group: GroupName, lane: Lane, token: FencingToken) -> FencingToken:
    take = insert(fences).values(group_name=group, lane=lane.value, token=token)
    take = take.on_conflict_do_update(
        index_elements=[fences.c.group_name, fences.c.lane],
        set_={"token": func.greatest(fences.c.token, take.excluded.token)},
    )
    return FencingToken(int((await c.execute(take.returning(fences.c.token))).scalar_one()))


async def _ensure_state(c: AsyncConnection, group: str) -> None:
    empty = MEMORY.dump_python(GroupMemory(), mode="json")
    row = insert(group_states).values(group_name=group, memory=empty, row_at_s=0.0, updated_at=NOW)
    await c.execute(row.on_conflict_do_nothing())


def _decision_row(decision: Decision) -> dict[str, Any]:
    return {
        "id": decision.id,
        "group_name": decision.group,
        "at_s": decision.at_s,
        "action": decision.action,
        "body": DECISION.dump_python(decision, mode="json"),
        "outcome": "",
    }


def _reservation(r: Row[Any]) -> Reservation:
    return Reservation(
        group=GroupName(r.group_name),
        fleet=FleetId(r.fleet),
        floor=r.floor,
        share=r.share,
        other_floor=r.other_floor,
        activity=ActivityId(r.activity),
        token=FencingToken(r.token),
        ttl_s=r.ttl_s,
        expires_at_s=float(r.expires_at_s),
    )


def _intent(r: Row[Any]) -> Intent:
    return Intent(
        group=GroupName(r.group_name),
        fleet=FleetId(r.fleet),
        asg=r.asg,
        activity=ActivityId(r.activity),
        token=FencingToken(r.token),
        previous=r.previous,
        wanted=r.wanted,
        at_s=r.at_s,
    )
