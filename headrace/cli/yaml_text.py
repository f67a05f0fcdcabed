"""JSON data as YAML for people: block style; a string is quoted wherever YAML could read something else into it.

>>> print(as_yaml({"name": "a", "list": [1, {"b": "yes"}], "none": {}}), end="")
name: a
list:
- 1
- b: "yes"
none: {}
"""

import json
import re
from typing import Any

_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_ ./%+-]*[A-Za-z0-9_/%]|[A-Za-z_]")
_TAKEN = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"})


def as_yaml(value: Any) -> str:
    """The text, with a newline at its end."""
    return "\n".join(_lines(value, "")) + "\n"


def _lines(value: Any, pad: str) -> list[str]:
    if isinstance(value, dict) and value:
        return [line for key, item in value.items() for line in _entry(f"{pad}{_scalar(str(key))}:", item, pad)]
    if isinstance(value, list | tuple) and value:
        return [line for item in value for line in _item(item, pad)]
    return [f"{pad}{_scalar(value)}"]


def _entry(head: str, item: Any, pad: str) -> list[str]:
    if isinstance(item, dict) and item:
        return [head, *_lines(item, pad + "  ")]
    if isinstance(item, list | tuple) and item:
        return [head, *_lines(item, pad)]
    if isinstance(item, str) and "\n" in item and _is_block(item):
        return [f"{head} |", *(f"{pad}  {line}" if line else "" for line in item.removesuffix("\n").split("\n"))]
    return [f"{head} {_scalar(item)}"]


def _item(item: Any, pad: str) -> list[str]:
    if isinstance(item, dict | list | tuple) and item:
        first, *rest = _lines(item, pad + "  ")
        return [f"{pad}- {first.removeprefix(pad + '  ')}", *rest]
    return [f"{pad}- {_scalar(item)}"]


def _is_block(text: str) -> bool:
    """Fit for `|`: printable, ends with exactly one newline, the first line is not indented."""
    printable = all(c.isprintable() or c == "\n" for c in text)
    return printable and text.endswith("\n") and not text.endswith("\n\n") and text[0] not in " \n"


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        plain = _PLAIN.fullmatch(value) and value.lower() not in _TAKEN and " -" not in value
        return value if plain else "".join(map(_escaped, json.dumps(value, ensure_ascii=False)))
    if isinstance(value, dict):
        return "{}"
    if isinstance(value, list | tuple):
        return "[]"
    return json.dumps(value)


def _escaped(char: str) -> str:
    """YAML refuses what does not print; it reads the same escapes as Python."""
    if char.isprintable():
        return char
    code = ord(char)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004  the width of an escape
