"""The memory ledger held to PostgreSQL's: one random history into both, equal answers and equal rows at every step."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import text

from localcloud.servers.postgres import SchemaAccess
from services.observer.adapters.memory_ledger import MemoryLedger
from services.observer.adapters.memory_verdicts import MemoryVerdicts
from services.observer.adapters.postgres_ledger import PostgresLedger
from services.observer.domain.activities import Request
from services.observer.domain.ports import Ledger
from services.observer.operations.admit import Admission, Admitted
from services.observer.operations.people import ByHand
from shared.database import Database
from shared.domain.activity import ActivityKind as K
from shared.domain.activity import ActivityOutcome
from shared.domain.errors import HeadraceError
from shared.domain.names import ActivityId, FencingToken, RequestId
from shared.domain.scope import Scope
from tests.observer.requests import LIMITS, SCOPES, TOPOLOGY, A, B, C, P, verdict
from tests.observer.store_clock import CountedIds, HandClock, admission_over

Step = tuple[str, Any]
SCOPES_ASKED = st.sampled_from([A, B, C, P])
STEPS = st.one_of(
    st.tuples(st.just("begin"), st.tuples(st.sampled_from(list(K)), SCOPES_ASKED, st.integers(0, 2), st.booleans())),
    st.tuples(st.just("beat"), st.tuples(st.integers(0, 5), st.booleans(), st.booleans())),
    st.tuples(st.just("end"), st.tuples(st.integers(0, 5), st.sampled_from(list(ActivityOutcome)))),
    st.tuples(st.just("pass"), st.sampled_from([0.5, 20.0, 31.0, 61.0])),
    st.tuples(st.just("sweep"), st.none()),
    st.tuples(st.just("quiet"), st.tuples(SCOPES_ASKED, st.integers(0, 2))),
    st.tuples(st.just("lift"), SCOPES_ASKED),
)


class Side:
    """One store with the operations over it."""

    def __init__(self, ledger: Ledger, clock: HandClock) -> None:
        self.ledger, self.clock = ledger, clock
        self.verdicts = MemoryVerdicts()
        ids = CountedIds()
        self.admission: Admission = admission_over(ledger, self.verdicts, ids)
        self.by_hand = ByHand(self.admission, ledger, ids)
        self.known: list[tuple[ActivityId, FencingToken]] = []

    async def apply(self, step: Step) -> Any:
        try:
            return await self._apply(*step)
        except HeadraceError as e:
            return e.code, e.message

    async def _apply(self, verb: str, given: Any) -> Any:
        match verb:
            case "begin":
                kind, scope, number, override = given
                name = f"{kind}-{scope}-{number}"
                request = Request(
                    RequestId(name),
                    kind,
                    scope,
                    f"holder-{name}",
                    60.0,
                    signal_age_s=0.0,
                    override_reason="r" if override else "",
                    quiets=("capacity", "lag_warn"),
                )
                answer = await self.admission.begin(request)
                if isinstance(answer, Admitted):
                    self.known.append((answer.activity.id, answer.activity.token))
                return answer
            case "beat" if self.known:
                number, parked, before_step = given
                activity, token = self.known[number % len(self.known)]
                return await self.admission.heartbeat(activity, token, parked=parked, before_step=before_step)
            case "end" if self.known:
                number, outcome = given
                activity, token = self.known[number % len(self.known)]
                return await self.admission.end(activity, token, outcome, "said so")
            case "sweep":
                return list(await self.admission.sweep())
            case "quiet":
                scope, number = given
                name = RequestId(f"quiet-{scope}-{number}")
                return await self.by_hand.quiet(scope, ("lag_warn",), 600, "ann", "", name)
            case "lift":
                return list(await self.by_hand.lift(given, "ann"))
            case _:  # nothing is known yet that could beat or end
                return None

    async def rows(self) -> tuple[Sequence[Any], Any]:
        now, windows = await self.ledger.windows()
        every = list(await self.ledger.activities(None, include_ended=True, limit=500))
        return every, (now, sorted(windows, key=lambda w: w.id))


@pytest.fixture
def schema(database: Callable[[str], SchemaAccess]) -> SchemaAccess:
    return database("observer")


@pytest.fixture
def both(schema: SchemaAccess) -> Iterator[Callable[[Sequence[Step]], set[str]]]:
    """Runs steps on both sides, over one pool of connections."""
    with asyncio.Runner() as runner:
        store = Database(SecretStr(schema.url), schema.schema, "test")
        yield lambda steps: runner.run(_both(store, steps))
        runner.run(store.close())


async def _both(store: Database, steps: Sequence[Step]) -> set[str]:
    """Run the steps on both sides; the verbs that did something."""
    clock = HandClock()
    async with store.transaction() as c:
        await c.execute(text("TRUNCATE activities, waiting, quiet_windows, topology"))
        await c.execute(text("ALTER SEQUENCE fencing_tokens RESTART"))
    quarantine = LIMITS.call_deadline_s_max
    ledger = PostgresLedger(store, quarantine, hand_clock=clock.seconds)
    try:
        return await _compare(ledger, clock, steps)
    finally:
        await ledger.close()


async def _compare(ledger: PostgresLedger, clock: HandClock, steps: Sequence[Step]) -> set[str]:
    quarantine = LIMITS.call_deadline_s_max
    real = Side(ledger, clock)
    memory = Side(MemoryLedger(clock.seconds, quarantine), clock)
    did: set[str] = set()
    for side in (real, memory):
        await side.ledger.keep_topology(TOPOLOGY)
        await side.verdicts.write([replace(verdict(s), ttl_s=1e9) for s in SCOPES])
    for verb, given_ in steps:
        if verb == "pass":
            clock.at += given_
            continue
        answers = [await side.apply((verb, given_)) for side in (real, memory)]
        assert answers[0] == answers[1], (verb, given_)
        rows = [await side.rows() for side in (real, memory)]
        assert rows[0] == rows[1], (verb, given_)
        did.add(verb if not isinstance(answers[0], tuple) else f"{verb} refused")
        did.add(type(answers[0]).__name__)
    return did


def test_memory_and_postgres_answer_alike(both: Callable[[Sequence[Step]], set[str]]) -> None:
    did: set[str] = set()

    @settings(
        max_examples=12,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(st.lists(STEPS, min_size=8, max_size=30))
    def compare(steps: list[Step]) -> None:
        did.update(both(steps))

    compare()
    assert did >= {"begin", "beat", "end", "sweep", "Admitted", "Blocked", "Held"}, "every kind did something"


def test_a_known_story_on_both(both: Callable[[Sequence[Step]], set[str]]) -> None:
    """Kinds that chance may miss: yielding, taking over, superseding, lapsing, lifting."""
    story: list[Step] = [
        ("begin", (K.DEPLOY, A, 0, False)),
        ("begin", (K.DEPLOY, A, 1, False)),
        ("begin", (K.DEPLOY, A, 2, False)),
        ("begin", (K.DEPLOY, A, 1, False)),
        ("begin", (K.SCALE_OUT, A, 0, False)),
        ("beat", (0, True, True)),
        ("begin", (K.SCALE_OUT, A, 0, False)),
        ("end", (1, ActivityOutcome.DONE)),
        ("beat", (0, True, False)),
        ("begin", (K.ROLLBACK, A, 0, False)),
        ("beat", (0, False, False)),
        ("begin", (K.FREEZE, B, 0, False)),
        ("lift", B),
        ("lift", B),
        ("quiet", (B, 1)),
        ("quiet", (B, 1)),
        ("pass", 61.0),
        ("begin", (K.SCALE_IN, A, 0, False)),
        ("sweep", None),
        ("pass", 31.0),
        ("begin", (K.SCALE_IN, A, 0, False)),
        ("begin", (K.DEPLOY, A, 2, False)),
    ]
    assert both(story) >= {"Yielding", "Admitted", "Blocked", "lift", "lift refused", "quiet"}


async def test_one_holder_under_real_concurrency(schema: SchemaAccess) -> None:
    """Forty requests at once for one group, over two processes' worth of pools: one is granted."""
    stores = [Database(SecretStr(schema.url), schema.schema, f"racer-{i}") for i in range(2)]
    ledgers = [PostgresLedger(s, LIMITS.call_deadline_s_max) for s in stores]
    await ledgers[0].keep_topology(TOPOLOGY)
    verdicts = MemoryVerdicts()
    ids = CountedIds()
    desks = [Admission(ledger, verdicts, ids, LIMITS) for ledger in ledgers]

    def racer(i: int) -> Request:
        scope = (A, P, Scope.parse("stage/p/first"))[i % 3]
        return Request(RequestId(f"r{i}"), K.SCALE_OUT, scope, f"h{i}", 60.0, signal_age_s=0.0)

    answers = await asyncio.gather(*(desks[i % 2].begin(racer(i)) for i in range(40)))
    assert sum(isinstance(a, Admitted) for a in answers) == 1
    one = Request(RequestId("same"), K.SCALE_OUT, C, "h", 60.0, signal_age_s=0.0)
    same = await asyncio.gather(*(desks[i % 2].begin(one) for i in range(10)))
    assert len({a.activity.id for a in same if isinstance(a, Admitted)}) == 1
    assert all(isinstance(a, Admitted) for a in same)
    for ledger, s in zip(ledgers, stores, strict=True):
        await ledger.close()
        await s.close()


async def test_a_topology_that_changes_is_noticed_under_the_locks(schema: SchemaAccess) -> None:
    stores = [Database(SecretStr(schema.url), schema.schema, f"t-{i}") for i in range(2)]
    mine, theirs = (PostgresLedger(s, 30.0) for s in stores)
    await mine.keep_topology(TOPOLOGY)
    assert await theirs.topology() == TOPOLOGY
    wider = replace(TOPOLOGY, groups=TOPOLOGY.groups | {"new"})
    await mine.keep_topology(wider)
    async with theirs.admission(A) as tx:
        assert tx.topology == wider
    await theirs.close()
    for s in stores:
        await s.close()
