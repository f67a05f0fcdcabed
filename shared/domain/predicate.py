"""Predicates over an event's fields: a small language that can be checked when it is declared and never does harm.

It is spelled like Python's expressions and shares their grammar, nothing else: names are fields, and a missing field is
`None`. There are no loops, attributes of objects, imports or functions but those of `FUNCTIONS`. A comparison of things
that have no order is false, so an event of unexpected shape matches nothing instead of failing. Length, size and depth
of an expression are bounded, and so is the work of one test.

>>> late = compile_predicate("delay > 15 and carrier in ['UA', 'AA']")
>>> late({"delay": 20, "carrier": "UA"}), late({"delay": "?", "carrier": "UA"}), late({})
(True, False, False)
>>> compile_predicate("origin.country == 'US' or event['dep-time'] is None")({"origin": {"country": "US"}})
True
"""

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

from shared.domain.errors import InvalidInput

TEXT_LENGTH_MAX = 2_000
NODES_MAX = 200
DEPTH_MAX = 20
WHOLE = "event"  # the name under which an event's fields can be had whose names are no identifiers

Fields = Mapping[str, Any]
Predicate = Callable[[Fields], bool]
_Value = Callable[[Fields], Any]


def compile_predicate(text: str) -> Predicate:
    """InvalidInput names what of the text the language does not have."""
    if len(text) > TEXT_LENGTH_MAX:
        raise InvalidInput(f"expression: {len(text)} characters", remedy=f"use at most {TEXT_LENGTH_MAX}")
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as e:
        raise _wrong(text, f"it cannot be read: {e}") from e
    if sum(1 for _ in ast.walk(tree)) > NODES_MAX:
        raise _wrong(text, f"it has more than {NODES_MAX} parts")
    value = _compiled(tree.body, text, DEPTH_MAX)
    return lambda fields: bool(value(fields))


def _wrong(text: str, why: str) -> InvalidInput:
    return InvalidInput(
        f"expression {text[:80]!r}: {why}",
        remedy="compare fields with ==, !=, <, <=, >, >=, in, not in; join with and, or, not; "
        f"call {', '.join(sorted(FUNCTIONS))}",
    )


def _compiled(node: ast.expr, text: str, depth: int) -> _Value:  # noqa: C901, PLR0911, PLR0912  the language's table
    if depth == 0:
        raise _wrong(text, f"it is nested more than {DEPTH_MAX} deep")

    def part(inner: ast.expr) -> _Value:
        return _compiled(inner, text, depth - 1)

    match node:
        case ast.Constant(value=value) if value is None or isinstance(value, str | int | float):
            return lambda _: value
        case ast.Name(id=name):
            return (lambda fields: fields) if name == WHOLE else (lambda fields: fields.get(name))
        case ast.Attribute(value=inner, attr=name):
            return _item(part(inner), name)
        case ast.Subscript(value=inner, slice=ast.Constant(value=str() | int() as place)):
            return _item(part(inner), place)
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            values = [part(e) for e in elements]
            return lambda fields: [v(fields) for v in values]
        case ast.BoolOp(op=op, values=inner_nodes):
            parts = [part(v) for v in inner_nodes]
            if isinstance(op, ast.And):
                return lambda fields: all(p(fields) for p in parts)
            return lambda fields: any(p(fields) for p in parts)
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            negated = part(inner)
            return lambda fields: not negated(fields)
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return _arithmetic(operator.sub, lambda _: 0, part(inner))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in ARITHMETIC:
            return _arithmetic(ARITHMETIC[type(op)], part(left), part(right))
        case ast.Compare(left=left, ops=ops, comparators=others) if all(type(o) in COMPARISONS for o in ops):
            operands = [part(left), *(part(o) for o in others)]
            return _comparison([COMPARISONS[type(o)] for o in ops], operands)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in FUNCTIONS:
            function, count = FUNCTIONS[name]
            if len(args) != count:
                raise _wrong(text, f"{name} takes {count} value(s), not {len(args)}")
            given = [part(a) for a in args]
            return lambda fields: function(*(g(fields) for g in given))
        case _:
            raise _wrong(text, f"there is no {ast.unparse(node)[:40]!r} in it ({type(node).__name__})")


def _item(whole: _Value, place: str | int) -> _Value:
    def get(fields: Fields) -> Any:
        found = whole(fields)
        if isinstance(place, str):
            return found.get(place) if isinstance(found, Mapping) else None
        return found[place] if isinstance(found, list) and -len(found) <= place < len(found) else None

    return get


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _arithmetic(do: Callable[[Any, Any], Any], left: _Value, right: _Value) -> _Value:
    def get(fields: Fields) -> Any:
        a, b = left(fields), right(fields)
        if not (_is_number(a) and _is_number(b)):
            return None
        try:
            return do(a, b)
        except (ZeroDivisionError, OverflowError):
            return None

    return get


def _comparison(tests: list[Callable[[Any, Any], bool]], operands: list[_Value]) -> _Value:
    if len(tests) == 1:
        test, left, right = tests[0], operands[0], operands[1]
        return lambda fields: test(left(fields), right(fields))

    def chain(fields: Fields) -> bool:
        values = [o(fields) for o in operands]
        return all(t(a, b) for t, a, b in zip(tests, values, values[1:], strict=False))

    return chain


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def test(a: Any, b: Any) -> bool:
        alike = (_is_number(a) and _is_number(b)) or (isinstance(a, str) and isinstance(b, str))
        return alike and compare(a, b)

    return test


def _contains(whole: Any, part: Any) -> bool:
    if isinstance(whole, str):
        return isinstance(part, str) and part in whole
    return part in whole if isinstance(whole, list | Mapping) and not isinstance(part, list | dict) else False


def _number(value: Any) -> float | int | None:
    if _is_number(value):
        found: float | int = value
        return found
    try:
        parsed = float(value) if isinstance(value, str) else math.nan
    except ValueError:
        return None
    return parsed if math.isfinite(parsed) else None


def _text(change: Callable[[str], Any]) -> Callable[[Any], Any]:
    return lambda value: change(value) if isinstance(value, str) else None


ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
}
COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Is: operator.eq,
    ast.IsNot: operator.ne,
    ast.Lt: _ordered(operator.lt),
    ast.LtE: _ordered(operator.le),
    ast.Gt: _ordered(operator.gt),
    ast.GtE: _ordered(operator.ge),
    ast.In: lambda a, b: _contains(b, a),
    ast.NotIn: lambda a, b: not _contains(b, a),
}
FUNCTIONS: dict[str, tuple[Callable[..., Any], int]] = {
    "exists": (lambda value: value is not None, 1),
    "len": (lambda value: len(value) if isinstance(value, str | list | Mapping) else None, 1),
    "lower": (_text(str.lower), 1),
    "upper": (_text(str.upper), 1),
    "number": (_number, 1),
    "starts_with": (lambda a, b: isinstance(a, str) and isinstance(b, str) and a.startswith(b), 2),
    "ends_with": (lambda a, b: isinstance(a, str) and isinstance(b, str) and a.endswith(b), 2),
    "contains": (_contains, 2),
}
