"""The store in PostgreSQL, held to the one in memory: any sequence of calls gets the same answers."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import text

from localcloud.servers.postgres import SchemaAccess
from services.deployer.adapters.memory import MemoryStore
from services.deployer.adapters.postgres import PostgresStore
from services.deployer.adapters.tables import metadata
from services.deployer.domain.judge import Question, judge, unreadable
from services.deployer.domain.lifecycle import Phase
from services.deployer.domain.plan import Plan
from services.deployer.domain.ports import Store
from services.deployer.domain.records import Analysis, Deployment, StepRecord
from services.deployer.domain.revision import RevisionRecord
from services.deployer.domain.strategies import RolloutWish, compose
from shared.database import Database
from shared.domain.errors import HeadraceError
from shared.domain.names import DeploymentId, GroupName, RequestId, RevisionNumber
from tests.deployer.plans import GROUP, new_sample, old_sample, revision, situation

NOW = 1_700_000_000.0
OTHER = GroupName("other")
NUMBERS = st.integers(1, 3)
VERBS = ["open", "add_revision", "mark_bad", "save", "save_stale", "analysis", "read"]


@pytest.fixture
async def access(database: Callable[[str], SchemaAccess]) -> AsyncIterator[Database]:
    schema = database("deployer")
    made = Database(SecretStr(schema.url), schema.schema, "test")
    yield made
    await made.close()


def deployment(number: int, request: int) -> Deployment:
    plan = compose(situation(RolloutWish("rolling", (50, 100), bake_s=1.5)))
    assert isinstance(plan, Plan)
    made = DeploymentId(f"dep-{number}-{request}")
    return Deployment(
        id=made,
        request=RequestId(f"request-{request}"),
        group=GROUP,
        revision=RevisionNumber(number),
        from_revision=RevisionNumber(number - 1),
        phase=Phase.PLANNED,
        plan=replace(plan, deployment_id=made),
        started_at=NOW + number,
    )


def judged(number: int) -> Any:
    question = Question(GROUP, 60.0, 0.001)
    return (
        unreadable(GROUP, "HTTP 500") if number == 1 else judge(question, new_sample(900, 100, 0.1), old_sample(9, 0))
    )


@st.composite
def calls(draw: st.DrawFn) -> tuple[Any, ...]:
    return (draw(st.sampled_from(VERBS)), draw(NUMBERS), draw(NUMBERS))


async def apply(store: Store, call: tuple[Any, ...]) -> Any:
    """Make the call; what it answers, or the code of its refusal."""
    verb, number, other = call
    wanted = deployment(number, other)
    try:
        match verb:
            case "open":
                return await store.open(wanted, RevisionRecord(revision(number, code=f"code-{other}"), NOW))
            case "add_revision":
                return await store.add_revision(RevisionRecord(revision(number, code=f"code-{other}"), NOW))
            case "mark_bad":
                return await store.mark_bad(GROUP, RevisionNumber(number), f"reason {other}")
            case "save" | "save_stale":
                found = await store.deployment(wanted.id)
                reasons = judged(number).reasons
                after = replace(found, phase=list(Phase)[other], step=number, reasons=reasons, ended_at=NOW + other)
                step = StepRecord(found.id, number, "done", f"note {other}", NOW + other)
                return await store.save(after, replace(found, step=99) if verb == "save_stale" else found, step)
            case "analysis":
                return await store.add_analysis(Analysis(wanted.id, NOW + number, judged(other)))
            case _:
                return await store.by_request(wanted.request)
    except HeadraceError as e:
        return e.code


async def seen(store: Store) -> Any:
    """Everything that can be read."""
    ids = [DeploymentId(f"dep-{n}-{r}") for n in (1, 2, 3) for r in (1, 2, 3)]
    return (
        list(await store.revisions(GROUP)),
        list(await store.deployments(None, 99)),
        list(await store.deployments(GROUP, 2)),
        list(await store.deployments(OTHER, 9)),
        [list(await store.steps(i)) for i in ids],
        [list(await store.analyses(i)) for i in ids],
    )


async def test_any_sequence_gets_the_same_answers_as_in_memory(access: Database) -> None:
    loop, tried = asyncio.get_running_loop(), 0

    async def compare(sequence: list[tuple[Any, ...]]) -> None:
        async with access.transaction() as connection:
            await connection.execute(text(f"TRUNCATE {', '.join(t.name for t in metadata.sorted_tables)}"))
        real, memory = PostgresStore(access), MemoryStore()
        for call in sequence:
            assert await apply(real, call) == await apply(memory, call), call
        assert await seen(real) == await seen(memory)

    @settings(
        max_examples=50,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(st.lists(calls(), min_size=1, max_size=20))
    def run(sequence: list[tuple[Any, ...]]) -> None:
        nonlocal tried
        tried += 1
        asyncio.run_coroutine_threadsafe(compare(sequence), loop).result(120)

    await asyncio.to_thread(run)
    assert tried >= 50


async def test_of_two_openings_of_one_request_at_once_one_is_kept(access: Database) -> None:
    store = PostgresStore(access)
    wanted = [replace(deployment(n, 1), request=RequestId("same")) for n in (1, 2, 3)]
    opened = await asyncio.gather(*(store.open(d, RevisionRecord(revision(d.revision), NOW)) for d in wanted))
    assert len({d.id for d in opened}) == 1
    assert len(await store.deployments(None, 9)) == 1


async def test_of_two_writers_at_once_one_has_seen_too_little(access: Database) -> None:
    store = PostgresStore(access)
    kept = await store.open(deployment(1, 1), RevisionRecord(revision(1), NOW))
    after = [replace(kept, step=n, phase=Phase.RUNNING) for n in (1, 2, 3, 4)]
    assert sorted(await asyncio.gather(*(store.save(a, kept) for a in after))) == [False, False, False, True]
