"""`@transform`: declares a function under a name. Importing users' modules fills the registry."""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, overload

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,62}")
Callback = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Function:
    """A declared function; `batch`: it takes a list of events and returns as many results."""

    name: str
    call: Callback
    batch: bool = False


@dataclass(slots=True)
class Registry:
    """The functions of one process, by name."""

    functions: dict[str, Function] = field(default_factory=dict)

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
def transform(*, name: str = "", batch: bool = False) -> Callable[[Callback], Callback]: ...


def transform(function: Callback | None = None, *, name: str = "", batch: bool = False) -> Any:
    """Declare a function: event -> event, list of events, or None; with `batch`, list -> list of those.

    `name` is what a pipeline's stage calls it by: the function's own name unless given.
    """

    def declare(of: Callback) -> Callback:
        if inspect.iscoroutinefunction(of):
            raise TypeError(f"transform {of.__name__!r} is a coroutine: declare a plain function")
        chosen = name or of.__name__
        if not _NAME.fullmatch(chosen):
            raise ValueError(f"transform name {chosen!r}: use 1-63 letters, digits, '_', '-' and '.'")
        registry.add(Function(chosen, of, batch))
        return of

    return declare(function) if function is not None else declare


def _place(call: Callback) -> str:
    code = getattr(call, "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else repr(call)
