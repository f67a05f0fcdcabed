"""Typed requests and results: JSON to the annotated type of a function's parameter, and what it returns to JSON.

Understood are dataclasses (nested, with defaults), `list`, `dict`, `Literal`, unions, the JSON scalars and `Any`; a
class with `model_validate` (pydantic's) reads itself. Fields that a dataclass does not have are left out, so that
senders may add some.
"""

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any

Reader = Callable[[Any, str], Any]  # value, its path -> what the function gets
_SCALARS: tuple[type, ...] = (str, int, bool)
_OPEN = (Any, object, dict, Mapping, MutableMapping)
DEPTH_MAX = 32


class UnfitError(ValueError):
    """An event does not have the declared shape; the message names the field, what it is, and what it should be."""


class ShapeError(TypeError):
    """An annotation cannot be read from JSON."""


def reader_of(call: Callable[..., Any], *, batch: bool) -> Reader | None:
    """How the first parameter's events are read; None: as they come. ShapeError when its type cannot be."""
    code = getattr(call, "__code__", None)
    if code is None or code.co_argcount < 1:
        return None
    try:
        hint = typing.get_type_hints(call).get(code.co_varnames[0], Any)
    except NameError as e:
        raise ShapeError(f"{call.__name__}: its annotation names what is not there: {e}") from e
    if batch:
        if typing.get_origin(hint) not in (list, Sequence):
            return None
        hint = typing.get_args(hint)[0]
    if hint in _OPEN or typing.get_origin(hint) in _OPEN:
        return None
    return _reader(hint, call.__name__, 0)


def plain(value: Any) -> Any:
    """For the JSON encoder: a dataclass or a pydantic model as a dict; TypeError for what JSON does not have."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    dump = getattr(value, "model_dump", None)
    if dump is not None:
        return dump(mode="json")
    raise TypeError(f"a {type(value).__name__} is not JSON")


def is_object(value: Any) -> bool:
    """Whether it becomes a JSON object."""
    if isinstance(value, dict):
        return True
    if isinstance(value, type):
        return False
    return dataclasses.is_dataclass(value) or hasattr(value, "model_dump")


def _reader(hint: Any, of: str, depth: int) -> Reader:
    if depth > DEPTH_MAX:
        raise ShapeError(f"{of}: types nest deeper than {DEPTH_MAX}")
    if hint in (Any, object):
        return lambda value, _: value
    if hint in _SCALARS:
        return _scalar(hint)
    if hint is float:
        return _number
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _union([_reader(a, of, depth + 1) for a in arguments], hint)
    if hint is list or origin in (list, Sequence):
        return _list(_reader(arguments[0] if arguments else Any, of, depth + 1))
    if hint in (dict, Mapping) or origin in (dict, Mapping) or typing.is_typeddict(hint):
        return _dict(_reader(arguments[1] if len(arguments) > 1 else Any, of, depth + 1))
    return _reader_of_class(hint, of, depth)


def _reader_of_class(hint: Any, of: str, depth: int) -> Reader:
    if hint is None or hint is type(None):
        return _none
    if typing.get_origin(hint) is typing.Literal:
        return _literal(typing.get_args(hint))
    if hasattr(hint, "model_validate"):
        return _model(hint)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _dataclass(hint, of, depth)
    raise ShapeError(f"{of}: {hint!r} cannot be read from JSON: use a dataclass, dict, list, str, int, float or bool")


def _said(value: Any) -> str:
    return "null" if value is None else type(value).__name__


def _scalar(hint: type) -> Reader:
    def read(value: Any, path: str) -> Any:
        if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
            raise UnfitError(f"{path}: {_said(value)}, declared is {hint.__name__}")
        return value

    return read


def _number(value: Any, path: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise UnfitError(f"{path}: {_said(value)}, declared is float")
    try:
        return float(value)
    except OverflowError as e:
        raise UnfitError(f"{path}: the number is too large for a float") from e


def _none(value: Any, path: str) -> None:
    if value is not None:
        raise UnfitError(f"{path}: {_said(value)}, declared is null")


def _union(readers: list[Reader], hint: Any) -> Reader:
    def read(value: Any, path: str) -> Any:
        why = ""
        for reader in readers:
            try:
                return reader(value, path)
            except UnfitError as e:
                why = str(e)
        raise UnfitError(f"{path}: {_said(value)} fits none of {hint}: {why}")

    return read


def _literal(allowed: tuple[Any, ...]) -> Reader:
    def read(value: Any, path: str) -> Any:
        if value not in allowed:
            raise UnfitError(f"{path}: {value!r:.60}, declared are {', '.join(map(repr, allowed))}")
        return value

    return read


def _list(item: Reader) -> Reader:
    def read(value: Any, path: str) -> Any:
        if not isinstance(value, list):
            raise UnfitError(f"{path}: {_said(value)}, declared is a list")
        return [item(v, f"{path}[{i}]") for i, v in enumerate(value)]

    return read


def _dict(item: Reader) -> Reader:
    def read(value: Any, path: str) -> Any:
        if not isinstance(value, dict):
            raise UnfitError(f"{path}: {_said(value)}, declared is an object")
        return {k: item(v, f"{path}.{k}") for k, v in value.items()}

    return read


def _model(hint: Any) -> Reader:
    def read(value: Any, path: str) -> Any:
        try:
            return hint.model_validate(value)
        except ValueError as e:
            raise UnfitError(f"{path}: {e}") from e

    return read


def _dataclass(hint: type, of: str, depth: int) -> Reader:
    hints = typing.get_type_hints(hint)
    fields = [
        (
            f.name,
            _reader(hints[f.name], f"{of}, {hint.__name__}.{f.name}", depth + 1),
            f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING,
        )
        for f in dataclasses.fields(hint)
        if f.init
    ]

    def read(value: Any, path: str) -> Any:
        if not isinstance(value, dict):
            raise UnfitError(f"{path}: {_said(value)}, declared is {hint.__name__}")
        found = {}
        for name, reader, required in fields:
            if name in value:
                found[name] = reader(value[name], f"{path}.{name}")
            elif required:
                raise UnfitError(f"{path}.{name}: not there, and {hint.__name__} has no default for it")
        return hint(**found)

    return read
