"""The simulator's command: `make sim`, `make sim SEED=n`, `make sim PLAN=file`, `make sim-mutants`."""

import argparse
import json
import os
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

# First of ours: what is bugged is bugged while it is imported.
from tests.sim.mutants.plant import NAME_OF_MUTANT, Mutant, mutants

# isort: split
from tests.sim.invariants.coverage import EXPECTED, never_reached
from tests.sim.many import Brief, first_seed, many
from tests.sim.mutants.table import Found, write
from tests.sim.plan import Plan
from tests.sim.run import Outcome, run
from tests.sim.seeds import plan_of
from tests.sim.shrink import Shrinker

REGRESSIONS = Path(__file__).with_name("regressions")
MUTANT_SEEDS = 1_000
RED_SHOWN = 10


def sim(first: int, count: int, workers: int) -> int:
    """Many seeds; 1 when one of them is red."""
    began = time.monotonic()
    reached: Counter[str] = Counter()
    red: list[Brief] = []
    done = 0
    for b in many(first, count, workers):
        done += 1
        reached += b.reached
        if b.broke:
            red.append(b)
            if len(red) <= RED_SHOWN:
                print(f"red: {b.what}\n     make sim SEED={b.seed}\n     digest {b.digest}", flush=True)
    took = time.monotonic() - began
    print(f"{done} seeds from {first}: {len(red)} red; {done / took:.1f} seeds (simulated hours) a second")
    print("marks reached:")
    for mark, times in sorted(reached.items()):
        print(f"  {times:>9}  {mark}")
    never = never_reached(reached)
    print(f"never reached: {len(never)} of {len(EXPECTED)} places")
    for mark in never:
        print(f"             {mark}")
    return 1 if red else 0


def show(plan: Plan, *, shrink: bool) -> int:
    """One plan with everything that happened; a red one is made small and kept."""
    outcome = run(plan, keep=True)
    _timeline(outcome)
    if outcome.green or not shrink:
        return 0 if outcome.green else 1
    file = new_file(f"{outcome.broke.lower()}-{plan.seed}")
    shrinker = Shrinker(outcome.broke, kept=lambda smaller: _keep(file, smaller))
    print(f"\nshrinking for at most {shrinker.budget_s:.0f} s; the smallest plan so far is in {file}", flush=True)
    small = shrinker.shrink(plan, outcome.at_s)
    _keep(file, small)
    print(f"\nshrunk from {len(plan.events)} to {len(small.events)} events in {shrinker.runs} runs: {file}")
    print(small.to_json())
    return 1


def new_file(name: str, among: Path = REGRESSIONS) -> Path:
    """One that is not there yet: another bug may have broken the same in the same seed, and is kept."""
    names = (f"{name}.json", *(f"{name}-{n}.json" for n in range(2, 1_000)))
    return next(file for file in map(among.joinpath, names) if not file.exists())


def _keep(file: Path, plan: Plan) -> None:
    file.write_text(plan.to_json())


def _timeline(outcome: Outcome) -> None:
    print("plan:")
    for event in outcome.plan.events:
        print(f"  {dict(event)}")
    for scope in sorted({line.scope for line in outcome.lines}):
        print(f"\n{scope or 'everywhere'}:")
        for line in outcome.lines:
            if line.scope == scope:
                print(f"  {line.at_s:10.3f}  {line.who:<24} {line.text}")
    verdict = outcome.what or "everything held"
    print(f"\nseed={outcome.plan.seed} digest={outcome.digest} steps={outcome.steps}: {verdict}")


def hunt(only: str, workers: int, seeds: int) -> int:
    """Every planted bug must be found: 1 when one is not. Each is looked for in a process of its own, up to the first find.

    When all are looked for, the table of them is written anew.
    """
    began = time.monotonic()
    planted = [m for m in mutants() if only in {"", m.name}]
    missed, table = 0, list[Found]()
    with ThreadPoolExecutor(workers) as pool:
        for mutant, found, took in pool.map(lambda m: _alone(m, seeds), planted):
            table.append(Found(mutant, found["broke"], found["seed"], found["tried"]))
            if found["broke"]:
                where = f"{found['broke']:<22} seed {found['seed']:<5} {found['tried']:>4} tried"
            else:
                missed += 1
                where = f"NOT FOUND in {seeds} seeds: {mutant.sentence}"
            print(f"{mutant.name:<36} {where} {took:6.1f} s", flush=True)
    if not only:
        write(table)
    print(f"{len(planted) - missed} of {len(planted)} found in {time.monotonic() - began:.0f} s")
    return 1 if missed or not planted else 0


def _alone(mutant: Mutant, seeds: int) -> tuple[Mutant, dict[str, Any], float]:
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "tests.sim.mutants.alone", str(seeds)],
        env={**os.environ, NAME_OF_MUTANT: mutant.name},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return mutant, json.loads(done.stdout.splitlines()[-1]), time.monotonic() - began


def main() -> int:
    """0: everything held."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("what", choices=("sim", "mutants"))
    parser.add_argument("--seed", type=int, help="run one seed and show everything")
    parser.add_argument("--plan", type=Path, help="run one plan file and show everything")
    parser.add_argument("--seeds", type=int, default=0, help="how many (10,000; for mutants 1,000 each)")
    parser.add_argument("--first", type=int, help="the first seed (from the commit)")
    parser.add_argument("--mutant", default="", help="only this one")
    parser.add_argument("--no-shrink", action="store_true")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    if given.what == "mutants":
        return hunt(given.mutant, given.workers, given.seeds or MUTANT_SEEDS)
    if given.seed is not None:
        return show(plan_of(given.seed), shrink=not given.no_shrink)
    if given.plan is not None:
        return show(Plan.read(given.plan), shrink=False)
    first = first_seed() if given.first is None else given.first
    return sim(first, given.seeds or 10_000, given.workers)


if __name__ == "__main__":
    sys.exit(main())
