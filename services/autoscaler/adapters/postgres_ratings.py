"""Ratings in PostgreSQL; each function runs in the caller's transaction."""

from typing import Any

from sqlalchemy import Row, delete, select
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.autoscaler.adapters.tables import ratings
from services.autoscaler.domain.ratings import KEPT_MAX, Rating
from shared.domain.names import GroupName, RevisionNumber

NEWEST_FIRST = (ratings.c.rated_at_s.desc(), ratings.c.id)


async def add(c: AsyncConnection, rating: Rating) -> None:
    """Keep it once; the oldest of its group go."""
    row = insert(ratings).values(
        id=rating.id,
        group_name=rating.group,
        revision=rating.revision,
        node_type=rating.node_type,
        rated_at_s=rating.rated_at_s,
        rate=rating.rate,
        low=rating.low,
        high=rating.high,
        bound=rating.bound,
        document=rating.document,
    )
    await c.execute(row.on_conflict_do_nothing())
    mine = ratings.c.group_name == rating.group
    old = select(ratings.c.id).where(mine).order_by(*NEWEST_FIRST).offset(KEPT_MAX)
    await c.execute(delete(ratings).where(ratings.c.id.in_(old)))


async def newest_of(c: AsyncConnection, group: GroupName, limit: int) -> tuple[Rating, ...]:
    """Of one group, newest first."""
    query = select(ratings).where(ratings.c.group_name == group).order_by(*NEWEST_FIRST).limit(limit)
    return tuple(_rating(r) for r in await c.execute(query))


async def newest(c: AsyncConnection) -> tuple[Rating, ...]:
    """Of each group and type of node."""
    key = (ratings.c.group_name, ratings.c.node_type)
    rows = await c.execute(select(ratings).ext(distinct_on(*key)).order_by(*key, *NEWEST_FIRST))
    return tuple(sorted((_rating(r) for r in rows), key=lambda r: (r.group, r.node_type)))


def _rating(r: Row[Any]) -> Rating:
    return Rating(
        id=r.id,
        group=GroupName(r.group_name),
        revision=RevisionNumber(r.revision),
        node_type=r.node_type,
        rated_at_s=r.rated_at_s,
        rate=r.rate,
        low=r.low,
        high=r.high,
        bound=r.bound,
        document=r.document,
    )
