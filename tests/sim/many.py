"""Many seeds in several processes, as the product is or with a bug planted in it."""

import multiprocessing
import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

# First of ours: in a process that is to be bugged, it must be there before the product is imported.
from tests.sim.mutants.plant import NAME_OF_MUTANT
from tests.sim.run import run
from tests.sim.seeds import plan_of


@dataclass(frozen=True, slots=True)
class Brief:
    """What is kept of one run of many."""

    seed: int
    broke: str
    what: str
    steps: int
    reached: Counter[str]


def brief(seed: int) -> Brief:
    """Run one seed; for pools."""
    o = run(plan_of(seed))
    return Brief(seed, o.broke, o.what, o.steps, o.reached)


def first_seed() -> int:
    """From the commit, so that each one looks at new seeds."""
    git = ["git", "rev-parse", "--short=7", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip() or "0"
    return int(commit, 16) * 1_000


def many(first: int, count: int, workers: int) -> Iterator[Brief]:
    """Outcomes by seed."""
    with processes(workers) as pool:
        yield from pool.map(brief, range(first, first + count), chunksize=4)


def processes(workers: int) -> ProcessPoolExecutor:
    """Fresh ones, which inherit nothing; one that cannot even import the product breaks the pool at once."""
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))


def first_red(mutant: str, workers: int, seeds: int) -> tuple[int, Brief] | None:
    """(how many were tried, the first red one) of a planted bug."""
    os.environ[NAME_OF_MUTANT] = mutant
    pool = processes(workers)
    try:
        for tried, b in enumerate(pool.map(brief, range(seeds)), 1):
            if b.broke:
                return tried, b
    finally:
        pool.shutdown(cancel_futures=True)
        del os.environ[NAME_OF_MUTANT]
    return None
