"""One random sequence of units into the memory store and into PostgreSQL: equal answers, equal errors, equal contents.

Some units are undone at their end. Seeds are fixed, so that a red run is the same run again; every kind of call must have
succeeded at least once.
"""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from localcloud.servers.postgres import SchemaAccess
from services.admin_api.adapters.memory import MemoryStore
from services.admin_api.adapters.postgres import PostgresStore
from services.admin_api.domain.ports import CodeRecord, Store, Unit
from services.admin_api.domain.records import (
    Action,
    AuditEntry,
    Change,
    FieldChange,
    ObjectKey,
    ObjectKind,
    Operation,
    OperationState,
    Plan,
    StoredObject,
    TokenRecord,
)
from shared.database import Database
from shared.domain.errors import HeadraceError
from shared.domain.names import Workspace
from shared.domain.reason import Compared, Reason

UNITS, CALLS_MAX, UNDONE = 120, 4, 0.2
START = datetime(2026, 11, 1, tzinfo=UTC)
HOME, OTHER = Workspace("default"), Workspace("other")
KINDS = ("server-group", "pipeline")
SUCCEEDED: Counter[str] = Counter()
Call = tuple[str, str, tuple[Any, ...], dict[str, Any]]


class UndoneError(Exception):
    """What a unit meets that fails at its end."""


def some_call(dice: random.Random, number: int) -> Call:
    """A store of the unit, its method, arguments; `number` makes times that are never equal."""
    now = START + timedelta(seconds=number)
    workspace = dice.choice((HOME, OTHER))
    key = ObjectKey(dice.choice(list(ObjectKind)), dice.choice(("delays", "fraud")))
    generation = number + 1
    spec = {"name": key.name, "number": dice.randint(0, 3), "nested": {"of": [1, None, "ü"]}}
    stored = StoredObject(workspace, key, generation, spec, "files", START, now, "sre", deleted=dice.random() < 0.2)
    change = Change(Action.UPDATE, key, 1, spec, (FieldChange("min", 1, 2, "more"),), deploys=True)
    blocked = (Reason("OutOfBudget", "group/delays", "too dear", (Compared("usd", 3.0, "<=", 2.0),)),)
    plan = Plan(f"plan-{dice.randint(0, 400)}-{number}", workspace, "files", now, "sre", (change,), 2, ("hm",), blocked)
    operation = Operation(
        f"op-{number}", workspace, "apply", "group/delays", "ApplyObjects", "apply/1", spec, "sre", now
    )
    token = TokenRecord(f"tok-{number}", dice.choice(("ci", "sre", "ui")), "operator", workspace, now, "root")
    entry = AuditEntry(now, "sre", "operator", "cli", "deploy", str(key), "done", "", f"r-{number}", {"n": number})
    owner, answer_key = dice.choice(("a", "b")), dice.choice(("k1", "k2"))
    one = dice.choice(_GIVEN[-8:] or [0])
    ended = replace(operation, id=f"op-{one}", state=OperationState.ENDED, outcome="done", ended_at=now, result=spec)
    return dice.choice(
        (
            ("objects", "read", (workspace,), {"lock": dice.random() < 0.5}),
            ("objects", "write", (stored,), {}),
            ("objects", "spec_at", (workspace, key, dice.choice(_GIVEN[-8:] or [0]) + 1), {}),
            ("plans", "add", (plan,), {}),
            ("plans", "get", (dice.choice(_PLANS[-4:] or ["plan-none"]),), {"lock": True}),
            ("plans", "applied", (dice.choice(_PLANS[-4:] or ["plan-none"]), f"op-{number}"), {}),
            ("operations", "add", (operation,), {}),
            ("operations", "update", (dice.choice((ended, replace(ended, state=OperationState.RUNNING))),), {}),
            ("operations", "get", (f"op-{one}",), {}),
            ("operations", "unended", (3,), {}),
            ("operations", "newest", (workspace, 3), {}),
            ("audit", "append", (entry,), {}),
            ("audit", "newest", (3, dice.choice((None, 2, 5))), {}),
            ("tokens", "add", (token, f"digest-{number}"), {}),
            ("tokens", "put_bootstrap", (replace(token, name="bootstrap"), f"digest-{number}"), {}),
            ("tokens", "by_digest", (f"digest-{one}",), {}),
            ("tokens", "newest", (), {}),
            ("tokens", "revoke", (dice.choice((f"tok-{one}", "tok-bootstrap")), now), {}),
            ("events", "append", (now, workspace, dice.choice(KINDS), key.name, generation, spec), {}),
            ("events", "after", (dice.randint(0, number), 3), {}),
            ("events", "bounds", (), {}),
            ("events", "newest", (KINDS[:1], 3), {}),
            ("events", "latest_bodies", (KINDS,), {}),
            ("events", "trim", (dice.randint(1, 20),), {}),
            ("answers", "claim", (owner, answer_key, f"f-{number}", now, now - timedelta(seconds=60)), {}),
            ("answers", "keep", (owner, answer_key, 201, b"made"), {}),
            ("answers", "release", (owner, answer_key), {}),
            ("code", "add", (CodeRecord(f"{number % 5}" * 64, "s3://b/k", 7), now, "ci"), {}),
            ("code", "get", (f"{number % 5}" * 64,), {}),
        )
    )


_GIVEN: list[int] = []  # numbers that calls of this run have used
_PLANS: list[str] = []


async def run_unit(store: Store, calls: list[Call], *, undone: bool) -> list[Any]:
    """What each call answered; the error that ended the unit comes last."""
    answers: list[Any] = []
    try:
        async with store.unit() as unit:
            for of, verb, args, named in calls:
                answers.append(await getattr(getattr(unit, of), verb)(*args, **named))
            _end(undone=undone)
    except HeadraceError as e:
        answers.append((e.code, e.message))
    except UndoneError:
        answers.append("undone")
    return answers


def _end(*, undone: bool) -> None:
    if undone:
        raise UndoneError


async def contents(unit: Unit) -> list[Any]:
    """All that can be read."""
    return [
        *[await unit.objects.read(w) for w in (HOME, OTHER)],
        *[await unit.operations.newest(w, 1000) for w in (HOME, OTHER)],
        await unit.audit.newest(1000),
        await unit.tokens.newest(),
        await unit.events.after(0, 1000),
    ]


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_memory_and_postgresql_answer_alike(database: Callable[[str], SchemaAccess], seed: int) -> None:
    access = database("admin_api")
    real = Database(SecretStr(access.url), access.schema, "test")
    stores = (MemoryStore(), PostgresStore(real))
    dice, number = random.Random(seed), 0
    _GIVEN.clear()
    _PLANS.clear()
    try:
        for _ in range(UNITS):
            calls = []
            for _ in range(dice.randint(1, CALLS_MAX)):
                calls.append(some_call(dice, number))
                _GIVEN.append(number)
                if calls[-1][:2] == ("plans", "add"):
                    _PLANS.append(calls[-1][2][0].id)
                number += 1
            undone = dice.random() < UNDONE
            expected, seen = [await run_unit(store, calls, undone=undone) for store in stores]
            assert seen == expected, calls
            for (of, verb, _, _), _answer in zip(calls, seen, strict=False):
                SUCCEEDED[f"{of}.{verb}"] += 1
        async with stores[0].unit() as ours, stores[1].unit() as theirs:
            assert await contents(theirs) == await contents(ours)
    finally:
        await real.close()


def test_every_kind_of_call_was_made() -> None:
    dice = random.Random(0)
    wanted = {".".join(some_call(dice, i)[:2]) for i in range(2000)}
    assert wanted <= SUCCEEDED.keys(), wanted - SUCCEEDED.keys()
