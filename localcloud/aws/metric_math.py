"""Metric math of CloudWatch: expressions over metrics, period by period. Pure.

After "Use metric math" in the user guide of CloudWatch: numbers, + - * / ^, comparisons, AND and OR (1 or 0), and the functions ABS,
AVG, CEIL, FILL, FLOOR, IF, MAX, METRICS, MIN and SUM. A period for which one side has no datapoint has none in the result, and
neither has one that would divide by zero. A function of one metric is a number; of a list of metrics it is a metric again.
"""

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from localcloud.aws.errors import ValidationError

EXPRESSION_CHARACTERS_MAX = 2048
QUERIES_MAX = 10
DEPTH_MAX = 50
ID = re.compile(r"[a-z][a-zA-Z0-9_]*")
Series = Mapping[int, float]  # period -> value
Value = Any  # a number, a Series, or a list of Series: what an expression may be of
OPERATIONS: Mapping[type, Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: math.pow,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.And: lambda a, b: bool(a) and bool(b),
    ast.Or: lambda a, b: bool(a) or bool(b),
}
ROUNDINGS: Mapping[str, Callable[[float], float]] = {"ABS": abs, "CEIL": math.ceil, "FLOOR": math.floor}
AGGREGATES: Mapping[str, Callable[[Sequence[float]], float]] = {
    "SUM": sum,
    "MIN": min,
    "MAX": max,
    "AVG": lambda values: sum(values) / len(values),
}
FUNCTIONS = {**dict.fromkeys(ROUNDINGS, 1), **dict.fromkeys(AGGREGATES, 1), "FILL": 2, "IF": 3, "METRICS": 0}


def check(queries: Sequence[Mapping[str, Any]]) -> None:
    """ValidationError unless these are metric data queries of which exactly one returns data, and all can be evaluated."""
    ids = [str(query.get("Id", "")) for query in queries]
    if not 1 <= len(queries) <= QUERIES_MAX or len(set(ids)) != len(ids) or not all(map(ID.fullmatch, ids)):
        raise ValidationError(
            f"1 to {QUERIES_MAX} metrics must be given, each with an Id of its own that begins with a small letter: {ids}"
        )
    returning = [query["Id"] for query in queries if query.get("ReturnData", True)]
    if len(returning) != 1:
        raise ValidationError(f"Exactly one of the metrics must have ReturnData set to true: {returning}")
    for query in queries:
        if bool(query.get("Expression")) == bool(query.get("MetricStat")):
            raise ValidationError(f"Either Expression or MetricStat must be given for {query['Id']}")
    evaluate(queries, lambda _: {}, range(1))


def evaluate(
    queries: Sequence[Mapping[str, Any]], measured: Callable[[Mapping[str, Any]], Series], periods: range
) -> Series:
    """The series of the query that returns data; `measured` gives that of a MetricStat. ValidationError.

    >>> queries = [
    ...     {"Id": "m1", "MetricStat": {"Metric": "visible"}, "ReturnData": False},
    ...     {"Id": "m2", "MetricStat": {"Metric": "instances"}, "ReturnData": False},
    ...     {"Id": "e1", "Expression": "m1 / m2", "ReturnData": True},
    ... ]
    >>> known = {"visible": {0: 100.0, 1: 90.0, 2: 5.0}, "instances": {0: 4.0, 1: 0.0}}
    >>> evaluate(queries, lambda stat: known[stat["Metric"]], range(3))
    {0: 25.0}
    """
    by_id = {str(query["Id"]): query for query in queries}
    wanted = next(query for query in queries if query.get("ReturnData", True))
    found = _Evaluation(by_id, measured, periods).of(str(wanted["Id"]), ())
    if isinstance(found, list):
        raise ValidationError(
            f"The expression of {wanted['Id']} must be one metric, not a list: {wanted['Expression']}"
        )
    return found if isinstance(found, Mapping) else dict.fromkeys(periods, float(found))


class _Evaluation:
    """One evaluation of a set of queries."""

    def __init__(
        self, queries: Mapping[str, Mapping[str, Any]], measured: Callable[[Mapping[str, Any]], Series], periods: range
    ) -> None:
        self._queries, self._measured, self._periods = queries, measured, periods

    def of(self, query_id: str, above: tuple[str, ...]) -> Value:
        """The value of a query; `above` are those that are waiting for it."""
        query = self._queries.get(query_id)
        if query is None:
            raise ValidationError(f"There is no metric of the id {query_id}: {', '.join(self._queries)}")
        if query_id in above:
            raise ValidationError(f"The expressions refer to each other in a circle: {' -> '.join([*above, query_id])}")
        if stat := query.get("MetricStat"):
            return dict(self._measured(stat))
        text = str(query["Expression"])
        try:
            return self._node(parse(text), (*above, query_id), 0)
        except (TypeError, ValueError, OverflowError) as error:
            raise ValidationError(f"The expression of {query_id} can not be evaluated: {text}: {error}") from error

    def _node(self, node: ast.expr, above: tuple[str, ...], depth: int) -> Value:  # noqa: C901  one case for each form
        if depth > DEPTH_MAX:
            raise ValidationError(f"The expression is nested more than {DEPTH_MAX} deep")

        def of(inner: ast.expr) -> Value:
            return self._node(inner, above, depth + 1)

        match node:
            case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
                return float(number)
            case ast.Name(id=name):
                return self.of(name, above)
            case ast.List(elts=parts):
                return [of(part) for part in parts]
            case ast.UnaryOp(op=ast.USub(), operand=inner):
                return both(operator.sub, 0.0, of(inner))
            case ast.BinOp(left=left, op=operation, right=right) if type(operation) in OPERATIONS:
                return both(OPERATIONS[type(operation)], of(left), of(right))
            case ast.Compare(left=left, ops=[operation], comparators=[right]) if type(operation) in OPERATIONS:
                return both(OPERATIONS[type(operation)], of(left), of(right))
            case ast.BoolOp(op=operation, values=[first, *others]):
                value = of(first)
                for other in others:
                    value = both(OPERATIONS[type(operation)], value, of(other))
                return value
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if FUNCTIONS.get(name) == len(arguments):
                return self._call(name, arguments, of)
            case _:
                raise ValidationError(f"Metric math does not know: {ast.unparse(node)}")

    def _call(self, name: str, arguments: Sequence[ast.expr], of: Callable[[ast.expr], Value]) -> Value:
        if name == "METRICS":
            return [dict(self._measured(q["MetricStat"])) for q in self._queries.values() if q.get("MetricStat")]
        first = of(arguments[0])
        if name in ROUNDINGS:
            return both(lambda value, _: ROUNDINGS[name](value), first, 0.0)
        if name in AGGREGATES:
            return aggregate(AGGREGATES[name], first)
        if name == "IF":
            yes, no = of(arguments[1]), of(arguments[2])
            chosen = {p: at(yes if at(first, p) else no, p) for p in self._periods if at(first, p) is not None}
            return {p: value for p, value in chosen.items() if value is not None}
        if isinstance(arguments[1], ast.Name) and arguments[1].id == "REPEAT":
            return repeated(first, self._periods)
        filler = of(arguments[1])
        filled = {p: at(filler, p) if at(first, p) is None else at(first, p) for p in self._periods}
        return {p: value for p, value in filled.items() if value is not None}


def parse(text: str) -> ast.expr:
    """The tree of an expression; ValidationError."""
    if len(text) > EXPRESSION_CHARACTERS_MAX:
        raise ValidationError(f"An expression may have {EXPRESSION_CHARACTERS_MAX} characters: {len(text)}")
    written = re.sub(r"\bAND\b|&&", " and ", re.sub(r"\bOR\b|\|\|", " or ", text)).replace("^", "**").strip()
    try:
        return ast.parse(written, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValidationError(f"The expression can not be read: {text}") from error


def at(value: Value, period: int) -> float | None:
    """A value in one period; None when it has no datapoint there."""
    return value.get(period) if isinstance(value, Mapping) else float(value)


def both(operation: Callable[[float, float], float], left: Value, right: Value) -> Value:
    """An operation on two values, period by period."""
    if isinstance(left, list) or isinstance(right, list):
        raise ValidationError("An operation wants one metric on each side, not a list: use SUM, AVG, MIN or MAX")
    periods = [side.keys() for side in (left, right) if isinstance(side, Mapping)]
    if not periods:
        return operation(left, right) if not (operation is operator.truediv and right == 0) else {}
    found: dict[int, float] = {}
    for period in sorted(periods[0] & periods[-1]):
        first, second = at(left, period), at(right, period)
        if first is not None and second is not None and not (operation is operator.truediv and second == 0):
            found[period] = float(operation(first, second))
    return found


def aggregate(function: Callable[[Sequence[float]], float], value: Value) -> Value:
    """Of one metric a number; of a list of them a metric."""
    if isinstance(value, list):
        periods = sorted({period for one in value for period in one})
        return {period: float(function([one[period] for one in value if period in one])) for period in periods}
    if not isinstance(value, Mapping):
        return value
    return float(function(list(value.values()))) if value else {}


def repeated(series: Series, periods: range) -> Series:
    """The last datapoint stands for those that are missing after it."""
    found: dict[int, float] = {}
    for period in periods:
        value = series.get(period, found.get(period - 1))
        if value is not None:
            found[period] = value
    return found
