"""The store in PostgreSQL, held to the one in memory: any sequence of calls gets the same answers.

The two clocks differ, so leases in the sequences are either far from their end or over at once.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import text

from localcloud.servers.postgres import SchemaAccess
from services.autoscaler.adapters.memory import MemoryStore
from services.autoscaler.adapters.postgres import PostgresStore
from services.autoscaler.adapters.tables import metadata
from services.autoscaler.domain.decide import decide
from services.autoscaler.domain.decision import Decision
from services.autoscaler.domain.group import Reservation
from services.autoscaler.domain.memory import GroupMemory, Recommended
from services.autoscaler.domain.ports import Store
from services.autoscaler.domain.ratings import KEPT_MAX, Rating
from services.autoscaler.domain.records import Intent, Kept, Lane, Outcome
from shared.database import Database
from shared.domain.names import ActivityId, FencingToken, FleetId, GroupName, RevisionNumber
from tests.autoscaler.groups import LIMITS, NOW, signals, snapshot, watched

GROUPS = st.sampled_from([GroupName("a"), GroupName("b")])
FLEETS = st.sampled_from([FleetId("r1"), FleetId("r2")])
HOLDERS = st.sampled_from([ActivityId("act-1"), ActivityId("act-2")])
TOKENS = st.integers(1, 4).map(FencingToken)
LONG_S, OVER_S = 3600.0, -1.0


@pytest.fixture
async def access(database: Callable[[str], SchemaAccess]) -> AsyncIterator[Database]:
    schema = database("autoscaler")
    made = Database(SecretStr(schema.url), schema.schema, "test")
    yield made
    await made.close()


@st.composite
def calls(draw: st.DrawFn) -> tuple[Any, ...]:  # noqa: PLR0911  one line a verb
    """One call, as data."""
    group, fleet, holder, token = draw(GROUPS), draw(FLEETS), draw(HOLDERS), draw(TOKENS)
    ttl_s = draw(st.sampled_from([LONG_S, LONG_S, OVER_S]))
    number, old = draw(st.integers(0, 3)), draw(st.booleans())
    verbs = ["reserve", "release", "renew", "fence", "keep", "end", "intend", "settle", "rate", "sweep"]
    match draw(st.sampled_from(verbs)):
        case "reserve":
            floor, share = draw(st.integers(0, 9)), draw(st.sampled_from([0.0, 0.25, 1.0]))
            return ("reserve", Reservation(group, fleet, floor, share, floor, holder, token, ttl_s, 0.0))
        case "release":
            return ("release", group, holder, token)
        case "renew":
            return ("renew", group, frozenset({holder}))
        case "fence":
            return ("fence", group, draw(st.sampled_from(list(Lane))), token)
        case "keep":
            return ("keep", group, number, draw(st.booleans()), old)
        case "end":
            outcome = draw(st.sampled_from(["in_service", "gave_up", "refused"]))
            return ("end", Outcome(f"dec-{group}-{number}", outcome, "why", NOW, draw(st.sampled_from([None, 3.0]))))
        case "intend":
            return ("intend", Intent(group, fleet, "asg", holder, token, 1, number, 0.0 if old else NOW * 1e4))
        case "settle":
            return ("settle", number + 1)
        case "rate":
            rate = Rating(f"op-{number}", group, RevisionNumber(number), str(fleet), float(token), 9, 8, 10, "", "{}")
            return ("rate", rate)
        case _:
            return ("sweep",)


def kept(group: GroupName, number: int, *, row: bool, old: bool, now_s: float) -> Kept:
    seen = replace(snapshot(4, signals=signals(100.0 * (number + 2))), group=group)
    decision, memory = decide(seen, watched(seen), LIMITS, NOW, f"dec-{group}-{number}")
    return Kept(group, memory, replace(decision, at_s=1.0 if old else now_s + number), row)


async def apply(store: Store, call: tuple[Any, ...], intents: list[int], now_s: float) -> Any:  # noqa: PLR0911  one line a verb
    """Make the call; what it answers, less what must differ."""
    match call:
        case ("reserve", reservation):
            held = await store.reserve(reservation)
            return held.token_seen, [timeless(r) for r in held.reservations]
        case ("release", group, holder, token):
            return await store.release(group, holder, token)
        case ("renew", group, holders):
            return await store.renew(group, holders)
        case ("fence", group, lane, token):
            return await store.fence(group, lane, token)
        case ("keep", group, number, row, old):
            return await store.keep([kept(group, number, row=row, old=old, now_s=now_s)])
        case ("end", outcome):
            return await store.end(outcome)
        case ("intend", intent):
            return intents.append(await store.intend(intent))
        case ("settle", number):
            return await store.settle(intents[number], "set") if number < len(intents) else None
        case ("rate", rating):
            await store.add_rating(rating)
            return await store.ratings(rating.group, 2)
        case _:
            swept = await store.sweep(1000.0)
            return [timeless(r) for r in swept.reservations], swept.decisions, swept.intents


def timeless(reservation: Reservation) -> Reservation:
    return replace(reservation, expires_at_s=0.0)


async def seen(store: Store) -> Any:
    """Everything that can be read."""
    rows: dict[str, tuple[tuple[Decision, str], ...]] = {g: await store.decisions(GroupName(g), 9) for g in ("a", "b")}
    return (
        dict(await store.load()),
        [timeless(r) for r in await store.reservations()],
        rows,
        [o.intent for o in await store.unsettled(100.0)],
        await store.newest_ratings(),
        [await store.ratings(GroupName(g), 9) for g in ("a", "b")],
    )


async def emptied(database: Database) -> None:
    async with database.transaction() as connection:
        names = ", ".join(t.name for t in metadata.sorted_tables)
        await connection.execute(text(f"TRUNCATE {names} RESTART IDENTITY"))


async def test_any_sequence_gets_the_same_answers_as_in_memory(access: Database) -> None:
    loop, tried = asyncio.get_running_loop(), 0

    async def compare(sequence: list[tuple[Any, ...]]) -> None:
        await emptied(access)
        now_s = datetime.now(UTC).timestamp()
        real, memory = PostgresStore(access), MemoryStore(lambda: now_s)
        stores: tuple[Store, Store] = (real, memory)
        intents: tuple[list[int], list[int]] = ([], [])
        for call in sequence:
            answers = [await apply(s, call, i, now_s) for s, i in zip(stores, intents, strict=True)]
            assert answers[0] == answers[1], call
        assert await seen(real) == await seen(memory)

    @settings(
        max_examples=60,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(st.lists(calls(), min_size=1, max_size=25))
    def run(sequence: list[tuple[Any, ...]]) -> None:
        nonlocal tried
        tried += 1
        asyncio.run_coroutine_threadsafe(compare(sequence), loop).result(120)

    await asyncio.to_thread(run)
    assert tried >= 60


async def test_the_oldest_ratings_of_a_group_go(access: Database) -> None:
    stores: tuple[Store, Store] = (PostgresStore(access), MemoryStore(lambda: NOW))
    of = GroupName("a")
    for n in range(KEPT_MAX + 2):
        for store in stores:
            await store.add_rating(Rating(f"op-{n}", of, RevisionNumber(1), "t", float(n), 9, 8, 10, "", "{}"))
    real, memory = [await store.ratings(of, 500) for store in stores]
    assert real == memory
    assert (len(real), real[-1].id) == (KEPT_MAX, "op-2")


async def test_one_leader_at_a_time_by_the_database_s_clock(access: Database) -> None:
    store = PostgresStore(access)
    assert await store.lead("one", LONG_S)
    assert await store.lead("one", LONG_S)
    assert not await store.lead("two", LONG_S)
    assert await store.lead("one", OVER_S)
    assert await store.lead("two", LONG_S)


async def test_of_two_tokens_at_once_the_newer_one_stays(access: Database) -> None:
    store = PostgresStore(access)
    base = Reservation(GroupName("a"), FleetId("r1"), 1, 0.5, 0, ActivityId("x"), FencingToken(0), LONG_S, 0.0)
    both = [replace(base, activity=ActivityId(f"act-{n}"), token=FencingToken(n)) for n in range(1, 9)]
    held = await asyncio.gather(*(store.reserve(r) for r in both))
    assert max(h.token_seen for h in held) == 8
    assert [r.token for r in await store.reservations()] == [8]


async def test_a_memory_survives_as_it_was(access: Database) -> None:
    memory = GroupMemory(node_rate=12.5, history=(Recommended(NOW, 3),), observed_since_s=NOW, ineffective=2)
    at = kept(GroupName("a"), 1, row=True, old=False, now_s=NOW)
    await PostgresStore(access).keep([replace(at, memory=memory)])
    record = (await PostgresStore(access).load())[GroupName("a")]
    assert record.memory == memory
    assert record.latest == at.decision
    assert record.row_at_s == at.decision.at_s


async def test_nothing_to_keep(access: Database) -> None:
    await PostgresStore(access).keep([])
    assert await PostgresStore(access).load() == {}
