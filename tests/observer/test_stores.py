"""Each store port, real and in memory, by the same tests: verdicts, history, leadership, audits."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace

import pytest
from datasketches import update_theta_sketch
from pydantic import SecretStr

from localcloud.servers.postgres import SchemaAccess
from localcloud.servers.valkey import ValkeyServer
from services.observer.adapters.audit_stores import MemoryAudits, PostgresAudits
from services.observer.adapters.memory_verdicts import MemoryHistory, MemoryLeadership, MemoryVerdicts
from services.observer.adapters.postgres_history import PostgresHistory, PostgresLeadership
from services.observer.adapters.redis_verdicts import RedisVerdicts
from services.observer.domain.alarms import Alarm, AlarmState, Notification
from services.observer.domain.audits import AuditPoint, AuditProgress, AuditReport, AuditSpan
from services.observer.domain.ports import AuditStore, History, Leadership, Verdicts
from services.observer.domain.verdict import Coverage, Verdict
from shared.database import Database
from shared.domain.errors import InvalidInput, Unavailable
from shared.domain.health import VerdictState as V
from shared.domain.reason import Compared, Reason
from shared.redis import redis_client
from shared.system import SystemClock
from tests.observer.requests import A, B, P, verdict
from tests.waiting import eventually

SIDES = pytest.mark.parametrize("side", ["real", "memory"])
WHY = Reason("LagOverSlo", "group/a", "late", (Compared("late_share", 0.4, "<=", 0.1),), retry_after_s=2.0)


@pytest.fixture
async def store(database: Callable[[str], SchemaAccess]) -> AsyncIterator[Database]:
    access = database("observer")
    made = Database(SecretStr(access.url), access.schema, "test")
    yield made
    await made.close()


@pytest.fixture
async def verdicts(side: str, empty_valkey: ValkeyServer) -> AsyncIterator[Verdicts]:
    client = redis_client(SecretStr(empty_valkey.url))
    yield RedisVerdicts(client, "default") if side == "real" else MemoryVerdicts()
    await client.aclose()


@SIDES
async def test_verdicts_round_trip_and_are_fenced(verdicts: Verdicts) -> None:
    full = verdict(
        A,
        V.UNHEALTHY,
        epoch=7,
        seq=3,
        reasons=(WHY,),
        coverage=Coverage(5, 4),
        cause="act-1",
        quieted=True,
        flapping=True,
        signals={"backlog": 3.0},
        observed_generation=9,
    )
    assert await verdicts.write([full]) == 1
    assert await verdicts.read((A, B)) == {A: full}

    async def write(epoch: int, seq: int) -> int:
        return await verdicts.write([replace(full, state=V.HEALTHY, epoch=epoch, seq=seq)])

    assert await write(6, 99) == 0  # a deposed leader
    assert await write(7, 3) == 0  # a replay
    assert (await verdicts.read((A,)))[A].state is V.UNHEALTHY
    assert await write(7, 4) == 1
    assert await write(8, 1) == 1
    assert await write(10, 1) == 1  # compared as numbers, not as text
    assert await write(9, 1) == 0
    await verdicts.remove((A,), 9)
    assert list(await verdicts.read_all()) == [A]
    await verdicts.remove((A,), 10)
    assert await verdicts.read_all() == {}


async def test_a_redis_that_is_gone_is_unavailable() -> None:
    client = redis_client(SecretStr("redis://127.0.0.1:1/0"))
    gone = RedisVerdicts(client, "default")
    for work in (gone.read((A,)), gone.read_all(), gone.write([verdict(A, epoch=1)]), gone.remove((A,), 1)):
        with pytest.raises(Unavailable, match="verdict store"):
            await work
    await client.aclose()


@pytest.fixture
def history(side: str, store: Database) -> History:
    return PostgresHistory(store) if side == "real" else MemoryHistory()


@SIDES
async def test_changes_are_kept_in_order(history: History) -> None:
    assert await history.last_position() == 0
    await history.record_changes([])
    await history.record_changes([verdict(A, V.UNHEALTHY, reasons=(WHY,)), verdict(B)])
    await history.record_changes([verdict(A)])
    found = await history.changes_after(0, 10)
    assert [(v.scope, v.state) for _, v in found] == [(A, V.UNHEALTHY), (B, V.HEALTHY), (A, V.HEALTHY)]
    assert found[0][1].reasons == (WHY,)
    assert await history.changes_after(found[1][0], 10) == [found[2]]
    assert await history.last_position() == found[2][0]


@SIDES
async def test_alarms_are_kept_with_their_notifications(history: History) -> None:
    fired = Alarm("al-1", A, "errors", AlarmState.FIRING, 100.0, (WHY,), notified=True)
    await history.save_alarms([fired], [Notification(fired, "firing", "errors on group/a")], 100.0)
    assert list(await history.open_alarms()) == [fired]
    resolved = replace(fired, state=AlarmState.RESOLVED, resolved_at=200.0)
    await history.save_alarms([resolved], [Notification(resolved, "resolved", "over")], 200.0)
    assert list(await history.open_alarms()) == []
    assert list(await history.alarms(A, include_resolved=True, limit=9)) == [resolved]
    assert list(await history.alarms(None, include_resolved=False, limit=9)) == []
    assert list(await history.alarms(B, include_resolved=True, limit=9)) == []


@pytest.fixture
def leadership(side: str, store: Database) -> Leadership:
    clock = SystemClock()
    return PostgresLeadership(store) if side == "real" else MemoryLeadership(lambda: clock.now().timestamp())


@SIDES
async def test_one_leads_and_each_term_has_a_greater_epoch(leadership: Leadership) -> None:
    assert await leadership.hold("one", 60, fresh=True) == 1
    assert await leadership.hold("two", 60, fresh=True) is None
    assert await leadership.hold("one", 60, fresh=False) == 1
    assert await leadership.hold("one", 0.05, fresh=True) == 2  # restarted under its name

    async def taken() -> int | None:
        return await leadership.hold("two", 60, fresh=False)

    assert await eventually(taken) == 3
    assert await leadership.hold("one", 60, fresh=False) is None


async def test_of_many_that_want_to_lead_one_does(store: Database) -> None:
    leadership = PostgresLeadership(store)
    found = await asyncio.gather(*(leadership.hold(f"o-{i}", 60, fresh=True) for i in range(8)))
    assert [e for e in found if e is not None] == [1]


@pytest.fixture
def audits(side: str, store: Database) -> AuditStore:
    return PostgresAudits(store) if side == "real" else MemoryAudits()


OUT, DONE = AuditPoint("ingest", "out"), AuditPoint("transmit", "out")
SPAN = AuditSpan("p", (OUT,), (DONE,))


def report(at: AuditPoint, node: str, ids: Sequence[int], **changes: object) -> AuditReport:
    sketch = update_theta_sketch(12)
    for i in ids:
        sketch.update(f"event-{i}")
    made = AuditReport(
        id=f"{at.stage}-{node}-{len(ids)}",
        node=node,
        pipeline="p",
        at=at,
        minute=60,
        sketch=sketch.compact().serialize(),
        count=len(ids),
        watermark=130.0,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


@SIDES
async def test_audits_are_unions_of_nodes_compared_as_sets(audits: AuditStore) -> None:
    """Exact to four thousand ids: 4,000 in at two nodes, 3,960 out at two others, with overlap."""
    sent = [report(OUT, "a", range(2500)), report(OUT, "b", range(2000, 4000))]
    seen = [report(DONE, "c", range(2500), watermark=125.0), report(DONE, "d", range(2400, 3960))]
    assert await audits.add([*sent, *seen]) == 4
    assert await audits.add(sent) == 0  # repeated reports count once
    found = (await audits.compare([(SPAN, 60)]))[0]
    assert found.source == 4000
    assert found.compared is not None
    assert (found.compared.lost, found.compared.unexpected, found.compared.error) == (40, 0, 0)
    assert found.nodes == ("c", "d")
    elsewhere = AuditSpan("p", (OUT,), (AuditPoint("x", "in"),))
    of_another = AuditSpan("q", (OUT,), (DONE,))
    assert await audits.progress([SPAN, elsewhere, of_another], 0) == [
        AuditProgress((60,), 125.0), AuditProgress((60,), None), AuditProgress((), None)
    ]  # fmt: skip
    assert await audits.progress([SPAN], 61) == [AuditProgress((), None)]
    both = await audits.compare([(of_another, 60), (SPAN, 60), (SPAN, 120)])
    assert [c.source for c in both] == [None, 4000, None]


@SIDES
async def test_a_cumulative_report_replaces_and_an_old_one_does_not(audits: AuditStore) -> None:
    await audits.add([report(OUT, "a", range(100)), report(DONE, "c", range(50))])
    await audits.add([report(DONE, "c", range(100))])
    await audits.add([report(DONE, "c", range(70), id="late")])
    found = (await audits.compare([(SPAN, 60)]))[0]
    assert found.compared is not None
    assert found.compared.lost == 0


@SIDES
async def test_missing_audits_are_missing_and_drops_are_declared(audits: AuditStore) -> None:
    assert (await audits.compare([(SPAN, 60)]))[0].source is None
    await audits.add([report(OUT, "a", range(10))])
    half = (await audits.compare([(SPAN, 60)]))[0]
    assert (half.source, half.compared) == (10, None)
    await audits.add([report(DONE, "c", range(8), dropped={"filter": 2})])
    found = (await audits.compare([(SPAN, 60)]))[0]
    assert found.compared is not None
    assert (found.compared.lost, found.compared.dropped) == (2, 2)
    await audits.forget(61)
    assert await audits.progress([SPAN], 0) == [AuditProgress((), None)]


@SIDES
async def test_a_sketch_that_is_none_is_refused(audits: AuditStore) -> None:
    with pytest.raises(InvalidInput, match="not a compact Theta sketch"):
        await audits.add([report(OUT, "a", range(3), sketch=b"xx")])


def test_verdict_of_a_newer_peer_reads_unknown() -> None:
    from services.observer.adapters.verdict_documents import document_of_verdict, verdict_of_document

    text = document_of_verdict(verdict(P)).replace("HEALTHY", "SPLENDID")
    found: Verdict = verdict_of_document(text)
    assert found.state is V.UNKNOWN
