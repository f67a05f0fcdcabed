"""Many seeds in several processes, as the product is or with a bug planted in it."""

import multiprocessing
import os
import subprocess
from collections import Counter
from collections.abc import Iterator
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
    """Outcomes as they come."""
    seeds = range(first, first + count)
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        yield from pool.imap_unordered(brief, seeds, chunksize=4)


def first_red(mutant: str, workers: int, seeds: int) -> tuple[int, Brief] | None:
    """(how many were tried, the first red one) of a planted bug."""
    os.environ[NAME_OF_MUTANT] = mutant
    try:
        with multiprocessing.get_context("spawn").Pool(workers) as pool:
            for tried, b in enumerate(pool.imap_unordered(brief, range(seeds), chunksize=1), 1):
                if b.broke:
                    pool.terminate()
                    return tried, b
    finally:
        del os.environ[NAME_OF_MUTANT]
    return None
