"""Many seeds in several processes.

Each worker imports everything once. For each batch of seeds it forks a child, which runs them without the garbage
collector and ends with all that they left behind: collecting it would be a tenth of the time.
"""

import gc
import multiprocessing
import os
import pickle
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any, NamedTuple, NoReturn

from tests.sim.beginning import begin
from tests.sim.run import run
from tests.sim.seeds import plan_of

BATCH = 12  # seeds a child: what they leave behind is some 200 MB, and a fork costs less than a hundredth of them


class Brief(NamedTuple):
    """What is kept of one run of many; no dataclass, because a thawed one and a frozen one read each other's pickles wrongly."""

    seed: int
    broke: str
    what: str
    steps: int
    digest: str
    reached: Counter[str]


def brief(seed: int, *, collect: bool = True) -> Brief:
    """Run one seed."""
    o = run(plan_of(seed), collect=collect)
    return Brief(seed, o.broke, o.what, o.steps, o.digest, o.reached)


def first_seed() -> int:
    """From the commit, so that each one looks at new seeds."""
    git = ["git", "rev-parse", "--short=7", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip() or "0"
    return int(commit, 16) * 1_000


def many(first: int, count: int, workers: int) -> Iterator[Brief]:
    """Outcomes by seed."""
    last = first + count
    with processes(workers) as pool:
        batches = (range(start, min(start + BATCH, last)) for start in range(first, last, BATCH))
        for briefs in pool.map(in_a_child, batches):
            yield from briefs


def in_a_child(seeds: Sequence[int], work: Callable[[int], Any] | None = None) -> list[Any]:
    """Run them (`work`, or `brief` without collecting) in a fork of this process, where one thread runs; what each gave.

    RuntimeError when the fork did not come to its end.
    """
    gc.freeze()  # so that the child need not copy what it would only mark
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        _run_and_end(seeds, work or partial(brief, collect=False), write)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    if status != 0:
        raise RuntimeError(
            f"seeds {seeds[0]} to {seeds[-1]}: the process that ran them ended with {status}: {said[-2000:]!r}"
        )
    found: list[Any] = pickle.loads(said)
    return found


def _run_and_end(seeds: Sequence[int], work: Callable[[int], Any], write: int) -> NoReturn:
    """Nothing of the parent's may be unwound here: it ends at once, whatever happens."""
    status = 1
    try:
        with os.fdopen(write, "wb") as pipe:
            try:
                said, status = pickle.dumps([work(seed) for seed in seeds]), 0
            except BaseException as e:
                said = repr(e).encode()
            pipe.write(said)
    finally:
        os._exit(status)


def processes(workers: int) -> ProcessPoolExecutor:
    """Fresh ones, which inherit nothing; one that cannot even import the product breaks the pool at once."""
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), initializer=begin)
