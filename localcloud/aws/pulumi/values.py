"""Values as Pulumi's engine sends them, and when two of them mean the same.

Numbers arrive as floats; secrets are wrapped. pulumi-aws treats lists of blocks as sets and policies as JSON, so they
are compared without order and parsed.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf import json_format, struct_pb2

SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105  the protocol's mark of a secret, not one
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
Inputs = dict[str, Any]


def plain(value: Any) -> Any:
    """Without wrappers of secrets; whole floats as ints.

    >>> plain({"minSize": 2.0, "x": [{"y": 0.5}]})
    {'minSize': 2, 'x': [{'y': 0.5}]}
    """
    if isinstance(value, dict):
        return plain(value["value"]) if value.get(SIGNATURE) == SECRET else {k: plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def from_struct(struct: struct_pb2.Struct) -> Inputs:
    """What the engine sent."""
    values: Inputs = plain(json_format.MessageToDict(struct))
    return values


def to_struct(values: Mapping[str, Any]) -> struct_pb2.Struct:
    """What the engine is sent; absent values are left out."""
    struct = struct_pb2.Struct()
    struct.update({key: value for key, value in values.items() if value is not None})
    return struct


def canonical(value: Any) -> Any:
    """A form in which equal meanings are equal values.

    >>> canonical([{"b": 1, "a": ""}, {"a": 2}]) == canonical([{"a": 2}, {"b": 1}])
    True
    >>> canonical('{"Version": "2012-10-17"}') == canonical('{ "Version":"2012-10-17" }')
    True
    """
    if isinstance(value, list):
        return sorted((canonical(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True))
    if isinstance(value, dict):
        return {key: canonical(item) for key, item in value.items() if item not in (None, [], "", {})}
    if isinstance(value, str) and value[:1] == "{":
        try:
            return canonical(json.loads(value))
        except ValueError:
            return value
    return value


def same(one: Any, other: Any) -> bool:
    """Whether two values mean the same; an absent value is an empty one."""
    empty: tuple[Any, ...] = (None, [], {}, "")
    return canonical(one) == canonical(other) or (one in empty and other in empty)


def shaped_like(seen: Any, declared: Any) -> Any:
    """What is seen, reduced to the fields that the program declares, so that a server's defaults are no drift.

    >>> shaped_like({"httpTokens": "optional", "httpEndpoint": "enabled"}, {"httpTokens": "required"})
    {'httpTokens': 'optional'}
    """
    if isinstance(seen, dict) and isinstance(declared, dict):
        return {key: shaped_like(seen.get(key), item) for key, item in declared.items()}
    if isinstance(seen, list) and isinstance(declared, list):
        blocks = [item for item in declared if isinstance(item, dict)]
        if blocks:
            fields = {key for block in blocks for key in block}
            return [{k: v for k, v in item.items() if k in fields or v not in (None, [], "")} for item in seen]
    return seen


def without(values: Inputs, paths: Sequence[str]) -> Inputs:
    """A copy without what the paths of `ignoreChanges` name ("tags", "launchTemplate.version").

    >>> without({"launchTemplate": {"id": "lt-1", "version": "3"}}, ["launchTemplate.version"])
    {'launchTemplate': {'id': 'lt-1'}}
    """
    left = {key: _copied(value) for key, value in values.items()}
    for path in paths:
        *parents, leaf = path.replace('["', ".").replace('"]', "").replace("[", ".").replace("]", "").split(".")
        holder: Any = left
        for name in parents:
            holder = holder.get(name) if isinstance(holder, dict) else None
        if isinstance(holder, dict):
            holder.pop(leaf, None)
    return left


def _copied(value: Any) -> Any:
    return {key: _copied(item) for key, item in value.items()} if isinstance(value, dict) else value


def as_pairs(tags: Mapping[str, str] | None) -> list[dict[str, str]]:
    """Tags as most of AWS takes them."""
    return [{"Key": key, "Value": value} for key, value in (tags or {}).items()]


def as_mapping(pairs: Sequence[Mapping[str, str]] | None) -> dict[str, str]:
    """Tags as Pulumi takes them; AWS's own are left out."""
    return {pair["Key"]: pair["Value"] for pair in pairs or [] if not pair["Key"].startswith("aws:")}


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Only what is there."""
    return {key: value for key, value in values.items() if value is not None}
