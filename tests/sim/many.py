"""Many seeds in several processes."""

import multiprocessing
import subprocess
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

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
