"""`@transform`, `@set_up` and `@tear_down`: importing users' modules fills the registry."""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, overload

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,62}")
CONCURRENCY, CONCURRENCY_MAX = 64, 10_000
Callback = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Function:
    """A declared function; `batch`: it takes a list of events and returns as many results.

    `concurrency`: of a coroutine function for one event, how many events of a call run at once.
    """

    name: str
    call: Callback
    batch: bool = False
    concurrency: int = CONCURRENCY

    @property
    def is_async(self) -> bool:
        """Whether it is a coroutine function."""
        return inspect.iscoroutinefunction(self.call)

    @property
    def kind(self) -> str:
        """For people, and for who must know whether events run one after another: `one`, `batch`, `async`, ..."""
        if self.is_async:
            return "async batch" if self.batch else "async"
        return "batch" if self.batch else "one"


@dataclass(slots=True)
class Registry:
    """The functions of one process, by name, and what runs before the first and after the last event."""

    functions: dict[str, Function] = field(default_factory=dict)
    set_ups: list[Callback] = field(default_factory=list)
    tear_downs: list[Callback] = field(default_factory=list)

    def add(self, function: Function) -> None:
        """Two functions of one name are a mistake, except when a module is loaded again."""
        known = self.functions.get(function.name)
        if known and _place(known.call) != _place(function.call):
            raise ValueError(
                f"transform {function.name!r} is declared at {_place(known.call)} and at {_place(function.call)}: "
                "give one of them another name"
            )
        self.functions[function.name] = function

    def find(self, name: str) -> Function:
        """By name; an empty name is the only function there is. LookupError when there is none."""
        if not name and len(self.functions) == 1:
            return next(iter(self.functions.values()))
        if name not in self.functions:
            known = ", ".join(sorted(self.functions)) or "none"
            raise LookupError(f"there is no transform {name!r}; declared are: {known}")
        return self.functions[name]


registry = Registry()


@overload
def transform(function: Callback) -> Callback: ...


@overload
def transform(
    *, name: str = "", batch: bool = False, concurrency: int = CONCURRENCY
) -> Callable[[Callback], Callback]: ...


def transform(
    function: Callback | None = None, *, name: str = "", batch: bool = False, concurrency: int = CONCURRENCY
) -> Any:
    """Declare a function: event -> event, list of events, or None; with `batch`, list -> list of those.

    `name` is what a pipeline's stage calls it by: the function's own name unless given. An `async def` runs for up to
    `concurrency` events of a call at once. A parameter that is annotated with a dataclass (or a pydantic model) gets
    one: an event that does not fit fails alone, before the function is called.
    """

    def declare(of: Callback) -> Callback:
        chosen = name or of.__name__
        if not _NAME.fullmatch(chosen):
            raise ValueError(f"transform name {chosen!r}: use 1-63 letters, digits, '_', '-' and '.'")
        if not 1 <= concurrency <= CONCURRENCY_MAX:
            raise ValueError(f"transform {chosen!r}: concurrency {concurrency}: use 1 to {CONCURRENCY_MAX}")
        registry.add(Function(chosen, of, batch, concurrency))
        return of

    return declare(function) if function is not None else declare


def set_up(function: Callback) -> Callback:
    """Run before a worker's first event: open connections, load models. May be `async def`; takes nothing.

    When it raises `Recoverable`, `ConnectionError` or `TimeoutError` the worker is started again, with back-off, until
    it succeeds; anything else is a defect of the code, which is then not served.
    """
    registry.set_ups.append(function)
    return function


def tear_down(function: Callback) -> Callback:
    """Run after a worker's last event, in reverse order, when it is ended in peace (a crash has no last word)."""
    registry.tear_downs.append(function)
    return function


def _place(call: Callback) -> str:
    code = getattr(call, "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else repr(call)
