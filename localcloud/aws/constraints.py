"""What AWS's own model of a service says about its parameters: required, enumerated, bounded in value and length.

AWS checks these before an action sees the call, and tells all that is wrong at once, in the words that are used here.
Patterns are left out: they name characters that XML can not carry anyway.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from botocore.model import ListShape, Shape, StructureShape

from localcloud.aws.errors import ValidationError

NUMBERS = frozenset({"integer", "long", "float", "double"})


def check(shape: StructureShape, value: Mapping[str, Any]) -> None:
    """ValidationError with every constraint that the parameters of a call do not satisfy."""
    found = list(_violations(shape, "", value))
    if found:
        errors = "error" if len(found) == 1 else "errors"
        raise ValidationError(f"{len(found)} validation {errors} detected: {'; '.join(found)}")


def _violations(shape: Shape, path: str, value: Any) -> Iterator[str]:
    if isinstance(shape, StructureShape):
        yield from _of_structure(shape, path, value)
    elif isinstance(shape, ListShape):
        yield from _of_length(shape, path, value)
        for index, one in enumerate(value, start=1):
            yield from _violations(shape.member, f"{path}.{index}.member", one)
    elif shape.type_name in NUMBERS:
        yield from _of_bounds(shape, path, value, "value")
    elif shape.type_name == "string":
        known: Sequence[str] = shape.enum
        if known and value not in known:
            yield _said(path, value, f"satisfy enum value set: [{', '.join(known)}]")
        else:
            yield from _of_length(shape, path, value)


def _of_structure(shape: StructureShape, path: str, value: Mapping[str, Any]) -> Iterator[str]:
    prefix = f"{path}." if path else ""
    for name, member in shape.members.items():
        inner = f"{prefix}{name[0].lower()}{name[1:]}"
        if name in value:
            yield from _violations(member, inner, value[name])
        elif name in shape.required_members:
            yield f"Value null at '{inner}' failed to satisfy constraint: Member must not be null"


def _of_length(shape: Shape, path: str, value: Sequence[Any]) -> Iterator[str]:
    yield from _of_bounds(shape, path, len(value), "length", shown=value)


def _of_bounds(shape: Shape, path: str, number: float, what: str, *, shown: Any = None) -> Iterator[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    shown = number if shown is None else shown
    if least is not None and number < least:
        yield _said(path, shown, f"have {what} greater than or equal to {least}")
    if most is not None and number > most:
        yield _said(path, shown, f"have {what} less than or equal to {most}")


def _said(path: str, value: Any, constraint: str) -> str:
    return f"Value '{value}' at '{path}' failed to satisfy constraint: Member must {constraint}"
