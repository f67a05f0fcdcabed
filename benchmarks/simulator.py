"""How fast the simulator is: seeds a second, on one core and on all, beside an empty world in the same run.

The empty world is the same event loop with as many callbacks as the seeds had, and nothing in them: timers of tasks that
sleep. Each seed is followed by its empty world, so that both see the same machine; what the services, the wires and the
invariants cost is the ratio. A seed is one simulated hour.
"""

import asyncio
import json
import os
import platform
import random
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from tests.sim.kernel.loop import SimLoop, sleep
from tests.sim.many import many
from tests.sim.plan import Plan
from tests.sim.run import run
from tests.sim.seeds import HORIZON_S, plan_of

SEEDS = int(os.environ.get("BENCH_SEEDS", "60"))
FIRST = 1_000_000
SLEEPERS = 20  # tasks of the empty world
GOAL_PER_S = 8.3  # on two cores: 10,000 seeds in 20 minutes
ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "simulator.json"


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


def one_core(plans: list[Plan]) -> tuple[dict[str, list[float]], list[float], int]:
    """Seconds of the CPU of each seed by scenario, of each empty world, and all callbacks; interleaved."""
    seeds: dict[str, list[float]] = {}
    empty: list[float] = []
    callbacks = 0
    for plan in plans:
        began = time.process_time()
        outcome = run(plan)
        seeds.setdefault(plan.scenario, []).append(time.process_time() - began)
        if not outcome.green:
            sys.exit(f"make sim SEED={plan.seed} is red: {outcome.what}")
        callbacks += outcome.steps
        began = time.process_time()
        empty_world(outcome.steps)
        empty.append(time.process_time() - began)
    return seeds, empty, callbacks


def main() -> None:
    """Measure, print, keep; 1 when a seed is red."""
    run(plan_of(FIRST))  # what is imported and made once
    seeds, empty, callbacks = one_core([plan_of(s) for s in range(FIRST, FIRST + SEEDS)])
    took_s, empty_s = sum(map(sum, seeds.values())), sum(empty)
    cores = os.cpu_count() or 1
    for _ in many(FIRST, cores, cores):
        pass  # the same machine, warm
    began = time.perf_counter()
    for _ in many(FIRST, SEEDS * 2, cores):
        pass
    all_cores = SEEDS * 2 / (time.perf_counter() - began)
    hours = HORIZON_S / 3600
    found = {
        "seeds": SEEDS,
        "seeds_per_cpu_second": SEEDS / took_s,
        "simulated_hours_per_cpu_second": SEEDS * hours / took_s,
        "milliseconds_by_scenario": {k: round(1000 * sum(v) / len(v), 1) for k, v in sorted(seeds.items())},
        "callbacks_per_seed": callbacks // SEEDS,
        "empty_worlds_per_cpu_second": SEEDS / empty_s,
        "ratio_to_the_empty_world": took_s / empty_s,
        "cores": cores,
        "seeds_per_second_on_all_cores": all_cores,  # starting the processes included
        "minutes_for_10000_seeds": 10_000 / all_cores / 60,
    }
    print(f"one core:   {found['seeds_per_cpu_second']:.2f} seeds (simulated hours) a CPU second, "
          f"{found['callbacks_per_seed']} callbacks each, {found['milliseconds_by_scenario']} ms")  # fmt: skip
    print(f"empty:      {found['empty_worlds_per_cpu_second']:.2f} a CPU second with as many callbacks; "
          f"ratio {found['ratio_to_the_empty_world']:.1f}")  # fmt: skip
    print(f"{cores} cores:    {all_cores:.2f} seeds a second (goal {GOAL_PER_S}), "
          f"10,000 in {found['minutes_for_10000_seeds']:.1f} minutes")  # fmt: skip
    commit = ["git", "rev-parse", "--short", "HEAD"]
    found |= {
        "machine": f"{cores} cores, {platform.machine()}, load {os.getloadavg()[0]:.1f}",
        "commit": subprocess.run(commit, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
