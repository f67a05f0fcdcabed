"""The kernel: time that jumps, order by seed, no way out, processes that die without a word, calls that may get lost."""

import asyncio
import contextlib
import itertools
import os
import random
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from tests.sim.kernel.clock import SimClock
from tests.sim.kernel.loop import Incarnation, SimLoop, Stuck, sleep
from tests.sim.kernel.network import Network, Weather
from tests.sim.kernel.processes import Process
from tests.sim.kernel.record import Record
from tests.sim.kernel.seal import EscapedSimulation, sealed
from tests.sim.kernel.streams import Streams

ROOT = Path(__file__).resolve().parents[2]
HOUR_S = 3600.0


def new_loop(seed: int = 0, shuffle: float = 0.0) -> SimLoop:
    return SimLoop(random.Random(seed), shuffle)


def run_on(loop: SimLoop, main: Callable[[], Coroutine[Any, Any, None]], until_s: float = HOUR_S) -> None:
    loop.create_task(main())
    loop.call_at(until_s, loop.stop)
    loop.run_forever()
    loop.wind_up([])


def test_an_hour_passes_at_once_and_time_is_exact() -> None:
    loop, seen = new_loop(), list[float]()

    async def main() -> None:
        for _ in range(60):
            await asyncio.sleep(60)
            seen.append(asyncio.get_running_loop().time())

    run_on(loop, main, HOUR_S + 1)
    assert seen == [60.0 * n for n in range(1, 61)]


@pytest.mark.parametrize("shuffle", [0.0, 0.2, 1.0])
def test_the_order_is_the_seeds(shuffle: float) -> None:
    def order(seed: int) -> list[int]:
        loop, seen = new_loop(seed, shuffle), list[int]()

        async def one(n: int) -> None:
            await asyncio.sleep(1)
            seen.append(n)

        async def main() -> None:
            await asyncio.gather(*(one(n) for n in range(10)))

        run_on(loop, main)
        return seen

    assert order(1) == order(1)
    assert sorted(order(1)) == list(range(10))
    assert (order(1) != order(2)) is (shuffle > 0)


def test_nothing_due_and_nothing_ending_are_failures() -> None:
    idle = new_loop()
    idle.create_task(asyncio.Event().wait())
    idle.run_forever()
    assert isinstance(idle.failure, Stuck)
    idle.wind_up([])
    busy = SimLoop(random.Random(0), 0.0, steps_max=1000)

    async def spin() -> None:
        for _ in itertools.count():
            await asyncio.sleep(0.001)

    run_on(busy, spin)
    assert isinstance(busy.failure, Stuck)


@pytest.mark.parametrize(
    "reach_out",
    [
        time.time,
        time.monotonic,
        lambda: time.sleep(0),
        random.random,
        uuid.uuid4,
        lambda: os.urandom(1),
        lambda: socket.create_connection(("127.0.0.1", 1)),
        lambda: subprocess.run(["true"], check=False),
        lambda: asyncio.get_running_loop().run_in_executor(None, print),
    ],
)
def test_the_real_world_is_out_of_reach_also_for_who_swallows_errors(reach_out: Callable[[], Any]) -> None:
    loop, escaped = new_loop(), list[BaseException]()
    by_name = getattr(reach_out, "__name__", "")

    async def main() -> None:
        # The functions of `time` and `random` were looked up before the seal closed: look them up again.
        call = getattr(time, by_name, None) or getattr(random, by_name, None) or reach_out
        with contextlib.suppress(BaseException):  # as bad as code can be
            call()

    with sealed(escaped.append):
        run_on(loop, main)
    assert [type(e) for e in escaped] == [EscapedSimulation]


def test_a_crash_runs_no_finally_and_a_pause_is_not_noticed() -> None:
    loop = new_loop()
    record, said = Record(loop.time), list[tuple[float, str]]()

    async def boot(life: Incarnation) -> None:
        said.append((loop.time(), f"start {life}"))
        try:
            for _ in range(3):
                await asyncio.sleep(10)
                said.append((loop.time(), "tick"))
        finally:
            said.append((loop.time(), "finally"))

    process = Process("p", loop, record, boot)
    process.start()
    loop.call_at(15, process.crash)
    loop.call_at(20, process.start)
    loop.call_at(25, process.pause, 30.0)
    loop.call_at(100, loop.stop)
    loop.run_forever()
    assert said == [
        (0.0, "start p.1"), (10.0, "tick"), (20.0, "start p.2"), (55.0, "tick"), (65.0, "tick"), (75.0, "tick"),
        (75.0, "finally"),
    ]  # fmt: skip
    loop.wind_up(process.lives)


def test_a_sleep_ends_in_time_and_hears_of_its_cancelling_and_of_deadlines_at_once() -> None:
    loop = new_loop()
    said = list[tuple[float, str]]()

    async def sleeper(name: str, seconds: float) -> None:
        try:
            await sleep(seconds)
            said.append((loop.time(), name))
        except asyncio.CancelledError:
            said.append((loop.time(), f"{name} was cancelled"))
            raise

    async def main() -> None:
        short, long = loop.create_task(sleeper("short", 1.0)), loop.create_task(sleeper("long", 50.0))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5.0):
                await sleep(100.0)
        said.append((loop.time(), "deadline"))
        long.cancel()
        await asyncio.wait({short, long})
        assert long.cancelled()
        await sleep(-1.0)
        said.append((loop.time(), "no time at all"))

    run_on(loop, main)
    assert said == [(1.0, "short"), (5.0, "deadline"), (5.0, "long was cancelled"), (5.0, "no time at all")]


def test_a_clock_may_jump_and_drift_but_its_monotonic_time_never_goes_back() -> None:
    now = [0.0]
    clock = SimClock(lambda: now[0])
    before = clock.now()
    now[0] = 100.0
    clock.drift(0.5)
    clock.offset_s = -3600.0
    now[0] = 200.0
    assert clock.monotonic() == 150.0
    assert (clock.now() - before).total_seconds() == 150.0 - 3600.0


@pytest.mark.parametrize(
    ("weather", "least", "most"),
    [
        (None, 400, 400),
        (Weather(frozenset({("a", "b")}), cut=True), 200, 200),
        (Weather(frozenset({("a", "b"), ("b", "a")}), lost=0.5), 150, 250),
        (Weather(frozenset({("a", "b"), ("b", "a")}), twice=1.0), 800, 800),
    ],
)
def test_messages_pass_get_lost_and_come_twice_by_link(weather: Weather | None, least: int, most: int) -> None:
    loop = new_loop()
    network = Network(loop, Streams(7), Record(loop.time))
    network.weather = [weather] if weather else []
    arrived = list[str]()
    for n in range(200):
        network.send("a", "b", lambda n=n: arrived.append(f"to {n}"))  # type: ignore[misc]
        network.send("b", "a", lambda n=n: arrived.append(f"fro {n}"))  # type: ignore[misc]
    loop.call_at(60, loop.stop)
    loop.run_forever()
    assert least <= len(arrived) <= most
    assert arrived != sorted(arrived, key=lambda x: int(x.split()[1]))  # they overtake one another
    loop.wind_up([])


def test_taking_a_fault_away_leaves_the_other_links_as_they_were() -> None:
    def delays(weather: list[Weather]) -> list[tuple[float, str]]:
        loop = new_loop()
        network = Network(loop, Streams(7), Record(loop.time))
        network.weather = weather
        arrived = list[tuple[float, str]]()
        for n in range(50):
            network.send("a", "b", lambda: None)
            network.send("c", "d", lambda n=n: arrived.append((loop.time(), str(n))))  # type: ignore[misc]
        loop.call_at(60, loop.stop)
        loop.run_forever()
        loop.wind_up([])
        return arrived

    assert delays([]) == delays([Weather(frozenset({("a", "b")}), lost=0.7, late=0.5, twice=0.5)])


@pytest.mark.timeout(600)
def test_a_run_is_the_same_under_any_hash_seed() -> None:
    code = "from tests.sim.run import run; from tests.sim.seeds import plan_of; print([run(plan_of(s)).digest for s in (3, 4)])"
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            stdout=subprocess.PIPE,
            text=True,
        )
        for hash_seed in ("0", "4711")
    ]
    try:
        said = [process.communicate(timeout=280)[0] for process in running]
    finally:
        for process in running:
            process.kill()
            process.communicate()
    assert said[0].startswith("['")
    assert set(said) == {said[0]}
