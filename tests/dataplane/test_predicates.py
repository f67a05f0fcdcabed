"""The language of routes: what it finds true, that it fails on no event, and what it refuses to be told."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.errors import InvalidInput
from shared.domain.predicate import DEPTH_MAX, TEXT_LENGTH_MAX, compile_predicate

EVENT = {
    "delay": 20,
    "carrier": "UA",
    "origin": {"country": "US", "gates": ["A1", "B2"]},
    "dep-time": "10:00",
    "big": True,
    "fare": 99.5,
    "text": "12.5",
}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("delay > 15", True),
        ("delay > 15 and carrier == 'AA'", False),
        ("delay > 15 or carrier == 'AA'", True),
        ("not carrier in ['AA', 'DL']", True),
        ("carrier not in ('AA', 'UA')", False),
        ("10 < delay <= 20", True),
        ("origin.country == 'US'", True),
        ("origin.gates[1] == 'B2' and origin.gates[7] is None", True),
        ("event['dep-time'] == '10:00'", True),
        ("missing == None", True),
        ("missing > 5", False),
        ("missing.deeper.still is None", True),
        ("().__class__.__bases__[0] is None", True),  # a field of that name, not Python's
        ("exists(delay) and not exists(missing)", True),
        ("delay > 'a'", False),
        ("carrier > 5", False),
        ("big > 0", False),
        ("big", True),
        ("delay * 2 + 1 == 41 and -delay < 0 and delay % 3 == 2", True),
        ("delay / 0 > 1", False),
        ("carrier * 1000 == 'x'", False),
        ("number(text) > 12", True),
        ("number(carrier) is None", True),
        ("lower(carrier) == 'ua' and starts_with(carrier, 'U') and ends_with(carrier, 'A')", True),
        ("len(origin.gates) == 2 and contains(origin.gates, 'A1') and 'U' in carrier", True),
    ],
)
def test_what_holds(text: str, holds: bool) -> None:
    assert compile_predicate(text)(EVENT) is holds


PLAIN: Any = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(alphabet="ab1. ", max_size=5)
)
FLAT: Any = st.one_of(
    PLAIN, st.lists(PLAIN, max_size=3), st.dictionaries(st.sampled_from(["a", "b"]), PLAIN, max_size=2)
)
JSON: Any = st.one_of(FLAT, st.dictionaries(st.sampled_from(["a", "b"]), FLAT, max_size=2))
TEXTS = [
    "a < b and b <= 1",
    "a in b or b in a",
    "a + b * 2 > a / b",
    "a % b == 0",
    "a.b.a[0] == b[1]",
    "number(a) > len(b) and lower(a) != upper(b)",
    "contains(a, b) or starts_with(a, b) or ends_with(a, 'x')",
    "a == [b, 1] or -a > b",
]


@settings(deadline=None)
@given(st.sampled_from(TEXTS), st.dictionaries(st.sampled_from(["a", "b"]), JSON))
def test_no_event_makes_a_predicate_fail(text: str, event: dict[str, Any]) -> None:
    """Property RoutesAreTotal."""
    assert compile_predicate(text)(event) in (True, False)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "delay >",
        "import os",
        "__import__('os').system('true')",
        "delay.__class__()",
        "(lambda: 1)()",
        "[x for x in carrier]",
        "delay ** 99999",
        "f'{delay}'",
        "delay := 5",
        "carrier @ 2",
        "len(carrier, 2)",
        "open('/etc/passwd')",
        "delay if carrier else 2",
        "event[carrier]",
        "{1: 2}",
        "b'bytes' == carrier",
        "...",
        "1 if 1 else 2",
        "\0",
        "(" * 300 + "1" + ")" * 300,
        "not " * (DEPTH_MAX + 1) + "a",
        "-" * 1500 + "1",
        "a or " * 150 + "a",
        "x" * (TEXT_LENGTH_MAX + 1),
    ],
)
def test_what_the_language_does_not_have_is_refused_with_a_remedy(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        compile_predicate(text)
    assert caught.value.remedy


@settings(deadline=None)
@given(st.text(alphabet="abel()[]. <>=!+-*/%'\",0123456789andornotinis_", max_size=60))
def test_any_text_is_a_predicate_or_refused(text: str) -> None:
    try:
        predicate = compile_predicate(text)
    except InvalidInput:
        return
    assert predicate(json.loads('{"a": 1, "b": "x", "e": [1, {"l": null}]}')) in (True, False)
