"""How fast the simulator is: by kind of seed on one core, beside the empty world, and seeds a second on all cores."""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.simulator_parts.worlds import Measured, measured
from tests.sim.many import BATCH, many, processes

SEEDS = int(os.environ.get("BENCH_SEEDS", "60"))
FIRST = 1_000_000
GOAL_PER_S = 8.3  # on two cores: 10,000 seeds in 20 minutes
ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "benchmarks" / "results" / "simulator.json"


def main() -> None:
    """Measure, print, keep; ends the process with a sentence when a seed is red."""
    seeds = one_core()
    red = [m.broke for m in seeds if m.broke]
    took_s, empty_s = sum(m.seed_s for m in seeds), sum(m.empty_s for m in seeds)
    cores, count = os.cpu_count() or 1, 2 * SEEDS
    began = time.perf_counter()
    red += [b.what for b in many(FIRST, count, cores) if b.broke]
    all_cores = count / (time.perf_counter() - began)
    found: dict[str, Any] = {
        "seeds": len(seeds),
        "seeds_per_cpu_second": len(seeds) / took_s,
        "simulated_hours_per_cpu_second": sum(m.simulated_s for m in seeds) / 3600 / took_s,
        "kinds": {kind: _kind([m for m in seeds if m.kind == kind]) for kind in sorted({m.kind for m in seeds})},
        "callbacks_per_seed": round(fmean(m.callbacks for m in seeds)),
        "empty_worlds_per_cpu_second": len(seeds) / empty_s,
        "ratio_to_the_empty_world": took_s / empty_s,
        "cores": cores,
        "seeds_per_second_on_all_cores": all_cores,  # starting the processes included
        "minutes_for_10000_seeds": 10_000 / all_cores / 60,
        "red": red,
    }
    _say(found)
    commit = ["git", "rev-parse", "--short", "HEAD"]
    found |= {
        "machine": f"{cores} cores, {platform.machine()}, load {os.getloadavg()[0]:.1f}",
        "commit": subprocess.run(commit, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(found, indent=2) + "\n")
    if red:
        sys.exit("red: " + "; ".join(red))


def one_core() -> list[Measured]:
    """In one worker; the first seeds warm it and do not count."""
    with processes(1) as pool:
        pool.submit(measured, FIRST - 3, 3).result()
        batches = [(first, min(BATCH, FIRST + SEEDS - first)) for first in range(FIRST, FIRST + SEEDS, BATCH)]
        return [m for first, count in batches for m in pool.submit(measured, first, count).result()]


def _kind(seeds: Sequence[Measured]) -> dict[str, float]:
    took_s = sum(m.seed_s for m in seeds)
    return {
        "seeds": len(seeds),
        "milliseconds": 1000 * took_s / len(seeds),
        "simulated_hours_per_cpu_second": sum(m.simulated_s for m in seeds) / 3600 / took_s,
        "ratio_to_the_empty_world": took_s / sum(m.empty_s for m in seeds),
    }


def _say(found: dict[str, Any]) -> None:
    print(f"one core:   {found['seeds_per_cpu_second']:.2f} seeds, {found['simulated_hours_per_cpu_second']:.2f} simulated "
          f"hours a CPU second, {found['callbacks_per_seed']} callbacks each")  # fmt: skip
    for kind, one in found["kinds"].items():
        print(f"  {kind:<10}{one['milliseconds']:.0f} ms, {one['simulated_hours_per_cpu_second']:.2f} simulated hours a CPU "
              f"second, {one['ratio_to_the_empty_world']:.1f} times its empty world")  # fmt: skip
    print(f"empty:      {found['empty_worlds_per_cpu_second']:.2f} a CPU second with as many callbacks; "
          f"ratio {found['ratio_to_the_empty_world']:.1f}")  # fmt: skip
    print(f"{found['cores']} cores:    {found['seeds_per_second_on_all_cores']:.2f} seeds a second (goal {GOAL_PER_S}), "
          f"10,000 in {found['minutes_for_10000_seeds']:.1f} minutes")  # fmt: skip
