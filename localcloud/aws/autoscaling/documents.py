"""A group as a JSON document and back, for the state file.

The records' own annotations say how to read them back, so that a new field can not be forgotten here. A field that a
document of an older version does not have gets its default.
"""

import json
import types
from dataclasses import asdict, fields, is_dataclass
from enum import Enum
from functools import lru_cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from localcloud.aws.autoscaling.records import Group


def write(group: Group) -> str:
    """The document."""
    return json.dumps(asdict(group), separators=(",", ":"))


def read(document: str) -> Group:
    """The group; TypeError or ValueError when the document is of a version that this program can not read."""
    group: Group = _record(Group, json.loads(document))
    return group


@lru_cache(maxsize=64)
def _hints(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {one.name: hints[one.name] for one in fields(kind)}


def _record(kind: type, plain: dict[str, Any]) -> Any:
    hints = _hints(kind)
    return kind(**{name: _value(hints[name], value) for name, value in plain.items() if name in hints})


def _value(hint: Any, value: Any) -> Any:
    """A value of JSON as its annotation wants it."""
    origin, inner = get_origin(hint), get_args(hint)
    if value is None:
        return None
    if origin in {Union, types.UnionType}:
        return _value(next(one for one in inner if one is not type(None)), value)
    if origin is list:
        return [_value(inner[0], one) for one in value]
    if origin is dict:
        return {key: _value(inner[1], one) for key, one in value.items()}
    if isinstance(hint, type) and is_dataclass(hint):
        return _record(hint, value)
    return hint(value) if isinstance(hint, type) and issubclass(hint, Enum) else value
