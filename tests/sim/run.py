"""One plan, one run, one verdict; the same plan and code give the same digest."""

import asyncio
import gc
import logging
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import structlog

from tests.sim.invariants import answers, ledger, scaling
from tests.sim.invariants.base import Invariant, Violated, Watch
from tests.sim.invariants.coverage import Coverage
from tests.sim.invariants.pipelines import PIPELINES
from tests.sim.invariants.rollouts import ROLLOUTS
from tests.sim.kernel.loop import PROCESS, Incarnation, SimLoop
from tests.sim.kernel.record import Line, Record
from tests.sim.kernel.seal import sealed
from tests.sim.kernel.streams import Streams
from tests.sim.plan import Plan
from tests.sim.temporal.numbered import numbered_requests
from tests.sim.world.observer_world import ObserverWorld, prepared
from tests.sim.world.rollout_world import RolloutWorld
from tests.sim.world.scaling_world import ScalingWorld

gc.freeze()  # what was imported stays; it need not be looked at after every run
INVARIANTS: tuple[type[Invariant], ...] = (
    ledger.OneHolder, ledger.TokenGrows, ledger.AdmissionMatrix, ledger.UnknownHolds, ledger.RedisLossCloses,
    ledger.SignalFresh, ledger.BacklogHolds, ledger.Quarantine, ledger.ConcurrencyCap, ledger.LeaseLapses,
    ledger.SameAnswer, ledger.LeaseBelief, ledger.NoStaleWrite, ledger.EndedByItsOwn, ledger.FreezeHolds,
    ledger.StopMeansStop, ledger.QueueFair, ledger.AskEnds, answers.Explained, answers.OneWriter, answers.QuietEnds,
    answers.BoundedQueues, answers.Progress, scaling.WithinBounds, scaling.IntentFirst, scaling.SizedUnderLease,
    scaling.ShrinksUnderScaleIn, scaling.CapacityFloor, scaling.WindowHolds, scaling.KeepsUp, *ROLLOUTS, *PIPELINES,
)  # fmt: skip

WORLDS: dict[str, type[ObserverWorld]] = {"admission": ObserverWorld, "scaling": ScalingWorld, "rollout": RolloutWorld}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run showed. `broke` is the invariant's name, or the kind of a failure that is none."""

    plan: Plan
    broke: str
    what: str
    at_s: float
    digest: str
    steps: int
    messages: int
    reached: Counter[str]
    lines: tuple[Line, ...]

    @property
    def green(self) -> bool:
        """Whether everything held."""
        return not self.broke


def run(plan: Plan, *, keep: bool = False, collect: bool = True) -> Outcome:
    """Run a plan to its horizon or to the first thing that does not hold; `keep` the timeline.

    Without `collect` what is left of the world stays in memory, and no collector runs any more: for processes that end soon.
    """
    gc.disable()  # what is unwound in mid-run would be unwound by chance; it is also a fifth of the time
    try:
        return _run(plan, keep=keep)
    finally:
        if collect:
            with _thrown_away():
                gc.collect()
            gc.enable()
        else:
            tasks: Any = asyncio.tasks
            tasks._all_tasks.clear()  # all have ended, and each crash of the next run would look through them


@contextmanager
def _thrown_away() -> Iterator[None]:
    """What was cut off before its first step says, when it is thrown away, that nobody awaited it; so it was."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


def _run(plan: Plan, *, keep: bool) -> Outcome:
    prepared()
    loop = SimLoop(Streams(plan.seed).of("order"), plan.shuffle)
    record = Record(loop.time, keep)
    watch = Watch([make(record) for make in (*INVARIANTS, Coverage)], loop.fail)
    world = WORLDS[plan.scenario](plan, loop, record, watch)
    lives: list[Incarnation] = []
    asyncio.set_event_loop(loop)
    try:
        with _logs_into(record), sealed(loop.fail), numbered_requests():
            world.start()
            loop.call_at(plan.horizon_s, loop.stop)
            loop.run_forever()
            if loop.failure is None:
                loop.within(world.finish)
            failure, at_s = loop.failure, loop.time()
            digest, reached = record.digest, record.reached.copy()
            for process in world.processes.values():
                lives.extend(process.lives)
            loop.within(world.close)
            with _thrown_away():
                loop.wind_up(lives)
    finally:
        asyncio.set_event_loop(None)
    broke = failure.invariant if isinstance(failure, Violated) else type(failure).__name__ if failure else ""
    what = str(failure) if failure else ""
    return Outcome(plan, broke, what, at_s, digest, loop.steps, world.network.sent, reached, tuple(record.lines))


@contextmanager
def _logs_into(record: Record) -> Iterator[None]:
    """What services and workflows log becomes part of the timeline and of the digest, whatever the process logged before."""

    def say(_: Any, __: str, event: dict[str, Any]) -> Any:
        life = PROCESS.get()
        more = " ".join(f"{k}={v}" for k, v in sorted(event.items()) if isinstance(v, str | int | float))
        error = event.get("exc_info")
        if isinstance(error, BaseException):
            more += f" {type(error).__name__}: {error}"
        record.say(str(life), f"log {more}", str(event.get("scope", "")))
        raise structlog.DropEvent

    def tell(logger: logging.Logger, level: int, message: object, args: tuple[Any, ...], **_: Any) -> None:
        """In place of `Logger._log`, whose records have the real time in them: workflows log this way."""
        text = str(message) % args if args else str(message)
        record.say(str(PROCESS.get()), f"log {logging.getLevelName(level).lower()} {text}")

    plain: Any = logging.Logger
    root = logging.getLogger()
    before, log_before, level_before = structlog.get_config(), plain._log, root.level
    processors: list[Callable[..., Any]] = [say]
    structlog.configure(processors=processors, wrapper_class=structlog.BoundLogger, cache_logger_on_first_use=False)
    plain._log = tell
    root.setLevel(logging.WARNING)
    try:
        yield
    finally:
        plain._log = log_before
        root.setLevel(level_before)
        structlog.configure(**before)
