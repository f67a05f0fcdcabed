"""One random sequence of calls into the memory stores and into PostgreSQL: equal answers, equal errors, equal contents.

Seeds are fixed, so that a red run is the same run again; every kind of call must have succeeded at least once.
"""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from localcloud.servers.postgres import SchemaAccess
from services.provisioner.adapters import memory, postgres_groups, postgres_records
from services.provisioner.domain.drift import Finding
from services.provisioner.domain.environment import EnvironmentIntent
from services.provisioner.domain.group import Bundle, StageSeat
from services.provisioner.domain.runs import ProcessMark, StackRun
from services.provisioner.domain.traffic import FleetRoute, GroupRoutes
from services.provisioner.operations.translation import pipeline_intent
from shared.database import Database
from shared.domain.errors import HeadraceError
from shared.domain.names import FleetId, GroupName, PipelineName, RevisionNumber, StageName
from tests.provisioner.examples import NOW, departures, fleet, intent

CALLS = 160
NAMES = ("delays", "fraud")
KINDS: Counter[str] = Counter()


class Both:
    """The same stores twice."""

    def __init__(self, real: Database) -> None:
        fences = memory.MemoryFences()
        self.memory: dict[str, Any] = {
            "groups": memory.MemoryGroups(fences),
            "fences": fences,
            "pipelines": memory.MemoryPipelines(),
            "environments": memory.MemoryEnvironments(),
            "runs": memory.MemoryStacks(),
            "drift": memory.MemoryDrift(),
            "routes": memory.MemoryRoutes(),
            "nodes": memory.MemoryNodes(),
        }
        self.real: dict[str, Any] = {
            "groups": postgres_groups.PostgresGroups(real),
            "fences": postgres_groups.PostgresFences(real),
            "pipelines": postgres_groups.PostgresPipelines(real),
            "environments": postgres_records.PostgresEnvironments(real),
            "runs": postgres_records.PostgresStacks(real),
            "drift": postgres_records.PostgresDrift(real),
            "routes": postgres_records.PostgresRoutes(real),
            "nodes": postgres_records.PostgresNodes(real),
        }

    async def call(self, store: str, verb: str, *args: Any, **named: Any) -> None:
        expected = await _answer(getattr(self.memory[store], verb), args, named)
        seen = await _answer(getattr(self.real[store], verb), args, named)
        assert seen == expected, (store, verb, args)
        if seen[0] == "answer":
            KINDS[f"{store}.{verb}"] += 1

    async def same_contents(self) -> None:
        for store in ("groups", "pipelines", "environments", "routes", "nodes"):
            assert await self.real[store].all() == await self.memory[store].all(), store
        assert await self.real["runs"].running() == await self.memory["runs"].running()
        assert await self.real["runs"].declared() == await self.memory["runs"].declared()
        listed = [await of["drift"].list(None, include_repaired=True) for of in (self.real, self.memory)]
        assert listed[0] == listed[1]


async def _answer(verb: Callable[..., Any], args: tuple[Any, ...], named: dict[str, Any]) -> tuple[str, Any]:
    try:
        return "answer", await verb(*args, **named)
    except HeadraceError as e:
        return "error", (e.code, e.message)


def some_call(dice: random.Random, step: int) -> tuple[Any, ...]:
    """One call: store, verb, arguments."""
    name = GroupName(dice.choice(NAMES))
    revision = dice.randint(1, 3)
    one = FleetId(f"{name}-r{revision}")
    pipeline = pipeline_intent(departures(name=dice.choice(("departures", "arrivals"))), dice.randint(1, 3))
    run = f"run-{dice.randint(1, 6)}"
    env = EnvironmentIntent(dice.choice(("a", "b")), dice.choice(("x", "y")), "3.11", dice.randint(1, 3), "{}")
    generation = dice.randint(0, 3)
    routes = GroupRoutes(name, generation + 1, (FleetRoute(one, RevisionNumber(revision), 5, ("h:1",)),), 50, "d")
    finding = Finding(name, "asg x", "MaxSize", "1", str(step), "capacity", "provisioner", NOW, f"drift-{revision}")
    seats = {
        GroupName(n): StageSeat(PipelineName("departures"), StageName(f"s{n}")) for n in NAMES[: dice.randint(0, 2)]
    }
    started = StackRun(f"run-{step}", f"default-{name}", name, "up", "act-1", step, NOW + timedelta(seconds=step))
    return dice.choice(
        (
            ("groups", "register", intent(name, dice.randint(1, 3))),
            ("groups", "register", intent(name, 3)),
            ("groups", "register", replace(intent(name, 3), copy_of="another")),
            ("groups", "get", name),
            ("groups", "set_phase", name, "READY", "fine"),
            ("groups", "put_fleet", fleet(name, revision, weight=dice.randint(0, 9))),
            ("groups", "mark_leaving", one),
            ("groups", "drop_fleet", one),
            ("groups", "set_weights", name, {one: dice.randint(0, 100)}, dice.randint(1, 9)),
            ("groups", "seat", PipelineName("departures"), seats),
            ("groups", "remove", name),
            ("fences", "check", f"group/{name}", dice.randint(1, 9)),
            ("pipelines", "register", pipeline),
            ("pipelines", "get", pipeline.name),
            ("pipelines", "set_phase", pipeline.name, "RAMPING", ""),
            ("pipelines", "set_ramp", pipeline.name, dice.randint(0, 100)),
            ("pipelines", "remove", pipeline.name),
            ("environments", "register", env),
            ("environments", "get", env.name),
            ("environments", "finish", env.name, env.generation, "d" * 64, Bundle("s3://b/k", "e" * 64, 7), "lock"),
            ("environments", "fail", env.name, env.generation, "no such package"),
            ("environments", "remove", env.name),
            ("runs", "open", started),
            ("runs", "note_process", run, ProcessMark("host", step, step)),
            ("runs", "close", run, "done", "", NOW),
            ("runs", "runs", f"default-{name}", 3),
            ("runs", "declare", name, {"asg x": {"MaxSize": str(step)}}),
            ("runs", "forget", name),
            ("drift", "put", [finding, replace(finding, id="drift-9", state="repaired")]),
            ("drift", "list", name),
            ("routes", "save", routes, generation),
            ("nodes", "claim", f"i-{revision}", name, one, dice.choice(("k", "l")) * 64, NOW),
            ("nodes", "forget", [f"i-{revision}"]),
        )
    )


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_memory_and_postgresql_answer_alike(database: Callable[[str], SchemaAccess], seed: int) -> None:
    access = database("provisioner")
    real = Database(SecretStr(access.url), access.schema, "test")
    try:
        both = Both(real)
        dice = random.Random(seed)
        known: set[str] = set()
        for step in range(CALLS):
            store, verb, *args = some_call(dice, step)
            if verb == "put_fleet" and args[0].group not in known:
                continue  # a fleet without its group is a defect of the caller: the schema's key catches it
            if verb == "register" and store == "groups":
                known.add(args[0].name)
            if verb == "remove" and store == "groups":
                known.discard(args[0])
            named = {"include_repaired": dice.random() < 0.5} if verb == "list" else {}
            await both.call(store, verb, *args, **named)
            if step % 10 == 0:
                await both.same_contents()
        await both.same_contents()
    finally:
        await real.close()


def test_every_kind_of_call_succeeded() -> None:
    dice = random.Random(0)
    wanted = {".".join(some_call(dice, i)[:2]) for i in range(2000)}
    assert wanted <= KINDS.keys(), wanted - KINDS.keys()
