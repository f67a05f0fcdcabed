"""No real clock, chance or I/O while a simulation runs: whoever reaches for one ends the run with its name.

Python 3.11 cannot catch all: `datetime.now` is C and has no hook. Lint bans it where decisions are made, and the digest
of two runs under different hash seeds shows what slipped through.
"""

import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.sim.kernel.loop import refuse_real_io

_CLOCKS = ("time", "monotonic", "perf_counter", "time_ns", "monotonic_ns", "perf_counter_ns", "sleep")
_CHANCE = (
    "random", "uniform", "randint", "choice", "choices", "shuffle", "sample", "randrange", "expovariate", "getrandbits",
    "gauss", "betavariate", "_urandom",
)  # fmt: skip
_EVENTS = ("socket.", "subprocess.", "os.system", "os.fork", "os.posix_spawn", "os.exec", "urllib.")


class EscapedSimulation(BaseException):
    """Simulated code reached for the real world. No `except Exception` may hide it."""


class _Seal:
    escaped: Callable[[BaseException], None] | None = None


_SEAL = _Seal()


def _escape(what: str) -> EscapedSimulation:
    error = EscapedSimulation(f"{what}: take the port (Clock, Ids, Randomness) instead")
    if _SEAL.escaped is not None:
        _SEAL.escaped(error)
    return error


def _audit(event: str, _: tuple[Any, ...]) -> None:
    if _SEAL.escaped is not None and event.startswith(_EVENTS):
        raise _escape(event)


sys.addaudithook(_audit)
refuse_real_io(_escape)


def _refusing(name: str) -> Callable[..., None]:
    def refuse(*_: Any, **__: Any) -> None:
        raise _escape(name)

    return refuse


@contextmanager
def sealed(escaped: Callable[[BaseException], None]) -> Iterator[None]:
    """`escaped` hears of each attempt, also when somebody swallows the error."""
    kept = [
        (module, name, getattr(module, name))
        for module, names in ((time, _CLOCKS), (random, _CHANCE), (os, ("urandom",)))
        for name in names
    ]
    for module, name, _ in kept:
        setattr(module, name, _refusing(f"{module.__name__}.{name}"))
    _SEAL.escaped = escaped
    try:
        yield
    finally:
        _SEAL.escaped = None
        for module, name, real in kept:
            setattr(module, name, real)
