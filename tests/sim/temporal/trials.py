"""Trials of the product's workflows: one play with troubles, judged by the invariants of workflows.

A trial is a plan: which call of which activity fails and how, when somebody cancels or signals, when the worker dies.
The sweep makes one plan for each step; a seed draws one with several troubles. `judge` gives the names of what broke.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any

from pydantic import BaseModel
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.client import WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from shared.contracts.objects import Environment
from shared.contracts.provisioning import BuildEnvironmentInput, DestroyInput, OperationResult
from tests.sim.invariants.bounded_retries import BoundedRetries
from tests.sim.invariants.played import Played
from tests.sim.invariants.progress_of_workflows import ProgressOfWorkflows
from tests.sim.invariants.replays import Replays
from tests.sim.invariants.rollback_once import RollbackOnce
from tests.sim.invariants.undone_or_done import UndoneOrDone
from tests.sim.temporal.conditions import Conditions
from tests.sim.temporal.playing import Play
from tests.sim.temporal.virtual import in_virtual_time
from tests.workflows.answers import blocked, park
from tests.workflows.test_faults import GROUP, NODES
from tests.workflows.test_faults import WORKFLOWS as CHANGES
from tests.workflows.test_other_workflows import finding
from tests.workflows.world import World
from workflows.registry import WORKFLOWS

INVARIANTS = (UndoneOrDone(), RollbackOnce(), Replays(), BoundedRetries(), ProgressOfWorkflows())
HOWS = ("again before", "again after", "refused before", "refused after", "cancel before", "cancel after")
SIGNALS = ("pause", "resume", "abort", "promote")
Scene = Callable[..., Awaitable[tuple[World, str, Any]]]


async def destroying(**more: Any) -> tuple[World, str, Any]:
    world = World(**more)
    await world.given_group(GROUP, NODES)
    return world, "DestroyObject", DestroyInput(kind="server-group", name="delays", generation=1, request_id="r")


async def drifting(**more: Any) -> tuple[World, str, Any]:
    world = World(findings=[finding(1, "delays", "managed"), finding(2, "fraud", "security")], **more)
    await world.given_group(GROUP, NODES)
    return world, "CheckDrift", None


async def building(**more: Any) -> tuple[World, str, Any]:
    spec = Environment(name="flights-env", requirements="headrace-runtime")
    return World(**more), "BuildEnvironment", BuildEnvironmentInput(spec=spec, generation=1, request_id="r")


SCENES: dict[str, Scene] = {**CHANGES, "destroy": destroying, "drift": drifting, "build": building}


@dataclass(frozen=True)
class Trouble:
    """What happens at the `nth` call (from 1) of an activity."""

    name: str
    nth: int
    how: str


@dataclass(frozen=True)
class Plan:
    """Times are seconds after the start; `crashes` are (when, how long)."""

    kind: str
    seed: int = 0
    troubles: tuple[Trouble, ...] = ()
    cancels_at: float | None = None
    signals: tuple[tuple[float, str], ...] = ()
    crashes: tuple[tuple[float, float], ...] = ()
    bad: bool = False  # the new revision is
    late: bool = False  # nodes do not come
    waits: int = 0  # times that admission blocks first
    parks: int = 0  # heartbeats answered with park
    evict: float = 0.1
    lost: float = 0.0


def drawn(kind: str, seed: int, calls: Counter[str]) -> Plan:
    """Half of the seeds in a good world; what goes wrong is drawn one by one."""
    random = Random(f"{seed}/{kind}/plan")
    names = sorted(calls)
    troubles = tuple(
        Trouble(name := random.choice(names), random.randint(1, calls[name] + 1), random.choice(HOWS))
        for _ in range(random.choice((0, 1, 1, 2, 3)))
    )
    return Plan(
        kind,
        seed,
        troubles,
        cancels_at=random.choice((None, random.expovariate(2), random.uniform(0, 120))),
        signals=tuple((random.uniform(0, 60), random.choice(SIGNALS)) for _ in range(random.choice((0, 0, 1, 2))))
        if kind == "deploy"
        else (),
        crashes=((random.uniform(0, 20), random.uniform(1, 60)),) if random.random() < 0.2 else (),
        bad=random.random() < 0.2,
        late=random.random() < 0.1,
        waits=random.choice((0, 0, 1, 3)),
        parks=random.choice((0, 0, 0, 2)),
        evict=random.choice((0.0, 0.1, 0.5, 1.0)),
        lost=random.choice((0.0, 0.0, 0.1)),
    )


class Troubled:
    """A world whose calls go wrong as planned."""

    def __init__(self, world: World, troubles: Sequence[Trouble]) -> None:
        self._world, self._call = world, world.call
        self._troubles = {(t.name, t.nth): t.how for t in troubles}

    async def call(self, name: str, given: Any) -> BaseModel:
        world = self._world
        how = self._troubles.get((name, world.counts[name] + 1), "")
        what, _, when = how.partition(" ")
        if when == "before":
            await self._trouble(name, what, given)
        answer = await self._call(name, given)
        if when == "after":
            await self._trouble(name, what, None)
        return answer

    async def _trouble(self, name: str, what: str, missed: Any) -> None:
        if what == "cancel":
            if self._world.cancel is not None:
                await self._world.cancel()
            return
        if missed is not None:
            self._world.counts[name] += 1
            self._world.calls.append((name, missed))
        raise ApplicationError(f"{name}: {what}", type="Unavailable", non_retryable=what == "refused")


async def tried(plan: Plan, workflows: Sequence[type] = WORKFLOWS) -> Played:
    """Play it to its end."""
    conditions = Conditions(Random(f"{plan.seed}/temporal"), evict=plan.evict, lost=plan.lost)
    play = Play(plan.seed, conditions, workflows)
    world, name, given = await SCENES[plan.kind]()
    world.bad_revisions = frozenset({2}) if plan.bad else frozenset()
    world.nodes_come = not plan.late
    world.blocked = [blocked() for _ in range(plan.waits)]
    world.asks = {n: park() for n in range(1, plan.parks + 1)}
    world.call = Troubled(world, plan.troubles).call  # type: ignore[method-assign]
    handle = await play.start(world, name, given)
    world.cancel = partial(asked_to_cancel, handle)
    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(after(at, partial(signalled, handle, signal))) for at, signal in plan.signals]
    if plan.cancels_at is not None:
        tasks.append(loop.create_task(after(plan.cancels_at, world.cancel)))
    for at, length in plan.crashes:
        loop.call_later(at, play.host.crash)
        loop.call_later(at + length, play.host.start)
    problems = await play.settled()
    for task in tasks:
        task.cancel()
    first = play.server.runs[handle.id][-1]
    outcome, text = WorkflowExecutionStatus.Name(first.status), str(first.failure)
    if first.result is not None:
        result = play.server.converter.payload_converter.from_payload(first.result, OperationResult)
        outcome, text = result.outcome, result.text
    excused = frozenset(t.name for t in plan.troubles if t.how.startswith("refused"))
    return Played(plan.kind, outcome, text, world, play, problems, excused)


async def after(wait_s: float, act: Callable[[], Awaitable[None]]) -> None:
    await asyncio.sleep(wait_s)  # virtual
    await act()


async def asked_to_cancel(handle: WorkflowHandle[Any, Any]) -> None:
    """It may have ended meanwhile."""
    try:
        await handle.cancel()
    except RPCError:
        return


async def signalled(handle: WorkflowHandle[Any, Any], signal: str) -> None:
    try:
        await handle.signal(signal, "alice")
    except RPCError:
        return


def judge(played: Played) -> dict[str, list[str]]:
    """Broken invariants by name."""
    found = {type(invariant).__name__: invariant.broken(played) for invariant in INVARIANTS}
    return {name: wrong for name, wrong in found.items() if wrong}


def tried_and_judged(plan: Plan, workflows: Sequence[type] = WORKFLOWS) -> tuple[Played, dict[str, list[str]]]:
    played = in_virtual_time(tried(plan, workflows), Random(f"{plan.seed}/order"))
    return played, judge(played)


def calls_of(kind: str) -> Counter[str]:
    """The calls of the way through."""
    played, wrong = tried_and_judged(Plan(kind))
    assert played.outcome == "done", (kind, played.outcome, played.text)
    assert wrong == {}, kind
    return played.world.counts


def sweep(kind: str) -> list[Plan]:
    """Every step failed once in each way, and cancelled."""
    return [
        Plan(kind, seed, (Trouble(name, nth, how),))
        for seed, (name, nth, how) in enumerate(
            (name, nth, how)
            for name, count in sorted(calls_of(kind).items())
            for nth in range(1, count + 1)
            for how in HOWS
        )
    ]
