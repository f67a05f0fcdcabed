"""One seed and, right after it, the empty world with as many callbacks: the same loop, and nothing in it but sleepers."""

import asyncio
import random
import time
from typing import NamedTuple

from tests.sim.kernel.loop import SimLoop, sleep
from tests.sim.many import in_a_child
from tests.sim.run import run
from tests.sim.seeds import plan_of

SLEEPERS = 20  # tasks of the empty world


class Measured(NamedTuple):
    """CPU seconds of a seed and of its empty world; `simulated_s` is how long the seed's world lived."""

    kind: str
    seed_s: float
    empty_s: float
    simulated_s: float
    callbacks: int
    broke: str


def measured(first: int, count: int) -> list[Measured]:
    """Seeds as `make sim` runs them: in a fork of a worker that has imported everything."""
    found: list[Measured] = in_a_child(range(first, first + count), _both)
    return found


def _both(seed: int) -> Measured:
    plan = plan_of(seed)
    began = time.process_time()
    outcome = run(plan, collect=False)
    seed_s = time.process_time() - began
    began = time.process_time()
    empty_world(outcome.steps)
    return Measured(plan.scenario, seed_s, time.process_time() - began, outcome.at_s, outcome.steps, outcome.what)


def empty_world(callbacks: int) -> None:
    """The loop with nothing to do but to wake sleepers."""
    loop = SimLoop(random.Random("empty"), 0.0)

    async def sleeper(number: int) -> None:
        for _ in range(callbacks // SLEEPERS):
            await sleep(1.0 + number / SLEEPERS)

    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(asyncio.wait([loop.create_task(sleeper(n)) for n in range(SLEEPERS)]))
    finally:
        asyncio.set_event_loop(None)
        loop.wind_up([])
