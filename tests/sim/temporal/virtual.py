"""Work on a loop of virtual time, for tests that need no whole simulation: the simulator's loop without its chance."""

from collections.abc import Coroutine
from random import Random
from typing import Any, TypeVar

from tests.sim.kernel.loop import SimLoop

Result = TypeVar("Result")


def in_virtual_time(work: Coroutine[Any, Any, Result], order: Random | None = None) -> Result:
    """Run it on a loop of its own; with `order`, a fifth of the callbacks are drawn instead of the oldest."""
    loop = SimLoop(order or Random(0), 0.2 if order is not None else 0.0)
    task = loop.create_task(work)
    task.add_done_callback(lambda _: loop.stop())
    try:
        loop.run_forever()
        if loop.failure is not None:
            raise loop.failure
        return task.result()
    finally:
        loop.wind_up(())
