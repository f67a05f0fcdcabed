"""Dataclasses that are quicker to make, for processes that run many seeds; the product's own files are as they are.

A frozen dataclass sets each field by a call of `object.__setattr__`, which is an eighth of a seed's time. Nothing in the
product writes to one (mypy and the runs of the ordinary tests hold it to that), so here they are not frozen: the same
fields, the same equality, the same hash, the same digests.
"""

import dataclasses
import sys
from collections.abc import Callable
from typing import Any

_real_dataclass: Any = dataclasses.dataclass
_real_replace: Any = dataclasses.replace
_MAKERS: dict[tuple[Any, ...], Callable[[Any, dict[str, Any]], Any]] = {}


def thaw() -> None:
    """From now on; nothing where the product has been imported already, because frozen and not do not mix."""
    if "shared" not in sys.modules:
        vars(dataclasses).update(dataclass=_thawed, replace=_replaced)


def _thawed(cls: Any = None, /, *, frozen: bool = False, **how: Any) -> Any:
    def make(of: type) -> Any:
        own = vars(of).get("__hash__")
        hashed = own is not None or ("__hash__" in vars(of) and "__eq__" not in vars(of))
        if frozen and not hashed:
            return _real_dataclass(of, **{**how, "unsafe_hash": how.get("eq", True)})
        return _real_dataclass(of, **how)

    return make if cls is None else make(cls)


def _replaced(one: Any, /, **changes: Any) -> Any:
    """`dataclasses.replace` by a function made once for each class and set of fields."""
    key = (one.__class__, *changes)
    make = _MAKERS.get(key)
    if make is None:
        make = _MAKERS[key] = _maker(one.__class__, frozenset(changes))
    return make(one, changes)


def _maker(cls: Any, changed: frozenset[str]) -> Callable[[Any, dict[str, Any]], Any]:
    if isinstance(cls, type) and dataclasses.is_dataclass(cls):
        fields = {f.name: f for f in dataclasses.fields(cls)}
        if all(f.init for f in fields.values()) and changed <= fields.keys() and len(fields) == len(_every(cls)):
            given = ", ".join(f"{n}=c[{n!r}]" if n in changed else f"{n}=o.{n}" for n in fields)
            made: Callable[[Any, dict[str, Any]], Any] = eval(f"lambda o, c: cls({given})", {"cls": cls})
            return made
    return lambda one, changes: _real_replace(one, **changes)


def _every(cls: Any) -> list[str]:
    """Pseudo-fields too: whoever has one is left to `dataclasses`."""
    return [n for n, f in cls.__dataclass_fields__.items() if "ClassVar" not in str(f._field_type)]
