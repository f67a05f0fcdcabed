"""What differs between two specs, field by field, as a person reads it.

>>> [c.field for c in compared({"scaling": {"max_nodes": 3}}, {"scaling": {"max_nodes": 4}})]
['scaling.max_nodes']
"""

from collections.abc import Mapping, Sequence
from typing import Any

from services.admin_api.domain.records import FieldChange, Spec

FIELDS_MAX = 200
NAMED_BY = ("name", "type")  # items of a list are matched by these


def compared(old: Spec, new: Spec) -> tuple[FieldChange, ...]:
    """Changed fields in a stable order; at most FIELDS_MAX."""
    found: list[FieldChange] = []
    _walk("", dict(old), dict(new), found)
    return tuple(found[:FIELDS_MAX])


def _walk(path: str, old: Any, new: Any, found: list[FieldChange]) -> None:
    if old == new:
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            _walk(f"{path}.{key}" if path else key, old.get(key), new.get(key), found)
        return
    name = _name_field(old, new)
    if name:
        before = {item[name]: item for item in old}
        after = {item[name]: item for item in new}
        for key in [*before, *(k for k in after if k not in before)]:
            _walk(f"{path}[{key}]", before.get(key), after.get(key), found)
        if list(before) != list(after) and set(before) == set(after):
            found.append(FieldChange(path, list(before), list(after), "the order changes"))
        return
    found.append(FieldChange(path, old, new))


def _name_field(old: Any, new: Any) -> str:
    """The field by which items of both lists are told apart; empty when there is none."""
    if not (_is_list(old) and _is_list(new)):
        return ""
    items = [*old, *new]
    for name in NAMED_BY:
        named = bool(items) and all(isinstance(i, Mapping) and name in i for i in items)
        if named and all(len({i[name] for i in side}) == len(side) for side in (old, new)):
            return name
    return ""


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)
