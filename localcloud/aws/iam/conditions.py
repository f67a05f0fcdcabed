"""The condition block of a policy statement, after the IAM user guide, "IAM JSON policy elements: Condition operators".

All operators of a block must hold, and all keys of an operator; of a key's values one is enough (none, for the negated
operators). A missing key fails the positive operators, and passes the negated ones and those with `IfExists`.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache

Context = Mapping[str, Sequence[str]]  # condition keys in lower case -> values
ANY, ALL, IF_EXISTS = "foranyvalue:", "forallvalues:", "ifexists"
VARIABLE = re.compile(r"\$\{([^}]*)\}")
LITERALS = {"*": "*", "?": "?", "$": "$"}


class UnknownOperatorError(ValueError):
    """A condition operator that IAM does not have."""


def like(pattern: str, value: str) -> bool:
    """Whether a value matches a pattern with * and ?, case counting.

    >>> like("arn:aws:s3:::b/*", "arn:aws:s3:::b/a/c"), like("a?", "a"), like("*", "")
    (True, False, True)
    """
    return _compiled(pattern).fullmatch(value) is not None


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = (".*" if c == "*" else "." if c == "?" else re.escape(c) for c in re.sub(r"\*+", "*", pattern))
    return re.compile("".join(parts), re.DOTALL)


def arn_like(pattern: str, value: str) -> bool:
    """ArnLike: the six parts are matched each for itself, so that a * does not reach over a colon.

    >>> arn_like("arn:aws:iam::*:role/x", "arn:aws:iam::1:role/x"), arn_like("arn:*:x", "arn:aws:iam::1:role/x")
    (True, False)
    """
    left, right = pattern.split(":", 5), value.split(":", 5)
    return len(left) == len(right) and all(like(one, other) for one, other in zip(left, right, strict=True))


def substitute(text: str, context: Context) -> str | None:
    """Text with its policy variables replaced; None when one of them has no value."""
    missing = False

    def value(found: re.Match[str]) -> str:
        nonlocal missing
        name, _, default = found[1].partition(",")
        if name in LITERALS:
            return LITERALS[name]
        values = context.get(name.strip().lower(), ())
        if len(values) != 1 and not default:
            missing = True
            return ""
        return values[0] if len(values) == 1 else default.strip().strip("'")

    replaced = VARIABLE.sub(value, text)
    return None if missing else replaced


def _date(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        when = datetime.fromisoformat(text)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def _in_network(wanted: str, value: str) -> bool:
    return ipaddress.ip_address(value) in ipaddress.ip_network(wanted, strict=False)


Compare = Callable[[str, str], bool]  # (of the policy, of the request)
OPERATORS: dict[str, tuple[Compare, bool]] = {  # operator -> comparison, negated
    "stringequals": (lambda w, v: w == v, False),
    "stringnotequals": (lambda w, v: w == v, True),
    "stringequalsignorecase": (lambda w, v: w.lower() == v.lower(), False),
    "stringnotequalsignorecase": (lambda w, v: w.lower() == v.lower(), True),
    "stringlike": (like, False),
    "stringnotlike": (like, True),
    "numericequals": (lambda w, v: float(v) == float(w), False),
    "numericnotequals": (lambda w, v: float(v) == float(w), True),
    "numericlessthan": (lambda w, v: float(v) < float(w), False),
    "numericlessthanequals": (lambda w, v: float(v) <= float(w), False),
    "numericgreaterthan": (lambda w, v: float(v) > float(w), False),
    "numericgreaterthanequals": (lambda w, v: float(v) >= float(w), False),
    "dateequals": (lambda w, v: _date(v) == _date(w), False),
    "datenotequals": (lambda w, v: _date(v) == _date(w), True),
    "datelessthan": (lambda w, v: _date(v) < _date(w), False),
    "datelessthanequals": (lambda w, v: _date(v) <= _date(w), False),
    "dategreaterthan": (lambda w, v: _date(v) > _date(w), False),
    "dategreaterthanequals": (lambda w, v: _date(v) >= _date(w), False),
    "bool": (lambda w, v: w.lower() == v.lower(), False),
    "ipaddress": (_in_network, False),
    "notipaddress": (_in_network, True),
    "arnequals": (arn_like, False),
    "arnlike": (arn_like, False),
    "arnnotequals": (arn_like, True),
    "arnnotlike": (arn_like, True),
}


def holds(block: Mapping[str, object], context: Context) -> bool:
    """Whether a whole block holds; ValueError (UnknownOperatorError) when it can not be understood."""
    for operator, keys in block.items():
        if not isinstance(keys, Mapping):
            raise UnknownOperatorError(f"{operator} must have condition keys")
        for key, wanted in keys.items():
            if not _holds(operator.lower(), texts(wanted), context.get(key.lower()), context):
                return False
    return True


def texts(value: object) -> list[str]:
    """One value or a list of them as text; JSON's booleans as IAM writes them."""
    items = value if isinstance(value, list) else [value]
    return [str(item).lower() if isinstance(item, bool) else str(item) for item in items]


def _holds(operator: str, wanted: list[str], values: Sequence[str] | None, context: Context) -> bool:
    of_all, of_any = operator.startswith(ALL), operator.startswith(ANY)
    operator = operator.removeprefix(ALL).removeprefix(ANY)
    if operator == "null":
        return (values is None) == (wanted == ["true"])
    optional = operator.endswith(IF_EXISTS)
    operator = operator.removesuffix(IF_EXISTS)
    if operator not in OPERATORS:
        raise UnknownOperatorError(f"{operator} is no condition operator")
    compare, negated = OPERATORS[operator]
    if not values:
        return optional or of_all or (negated and not of_any)
    patterns = [text for text in (substitute(one, context) for one in wanted) if text is not None]
    verdicts = [any(compare(one, value) for one in patterns) is not negated for value in values]
    if of_all or (negated and not of_any):
        return all(verdicts)
    return any(verdicts)
