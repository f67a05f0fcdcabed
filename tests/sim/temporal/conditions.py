"""What the interpreter of Temporal runs under: how slow messages are, what gets lost, and how often a worker forgets.

Times are seconds of the loop that runs; chance comes from the given stream only. A `Host` is a process that polls: the
simulator's processes fit as they are, a `Service` is one that never fails.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol


class Host(Protocol):
    """A process. `life` is a new object after each restart: what a worker had cached is gone with the old one."""

    @property
    def up(self) -> bool: ...

    @property
    def life(self) -> Any: ...

    def spawn(self, work: Coroutine[Any, Any, Any]) -> Any: ...


class Service:
    """A process that is up unless it is told to crash."""

    def __init__(self) -> None:
        self.up = True
        self.life: Any = self
        self._tasks: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def crash(self) -> None:
        """Gone with all it was doing; `start` begins a new life."""
        self.up, self.life = False, None
        for task in list(self._tasks):
            task.cancel()

    def start(self) -> None:
        self.up, self.life = True, object()


@dataclass
class Conditions:
    """`lost`: share of the answers of activities that never arrive; `evict`: of the workflow tasks before which a worker
    forgets the run and replays its history."""

    random: Random = field(default_factory=lambda: Random(0))
    latency_s: float = 0.004
    evict: float = 0.1
    lost: float = 0.0

    def delay(self) -> float:
        return self.random.expovariate(1 / self.latency_s) if self.latency_s else 0.0

    def evicts(self) -> bool:
        return self.random.random() < self.evict

    def loses(self) -> bool:
        return self.lost > 0 and self.random.random() < self.lost
