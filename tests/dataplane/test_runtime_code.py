"""What users write, without a server: types, results, measures, and what `check` says of it."""

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from headrace_runtime import Failure, Function, remaining_s
from headrace_runtime.applying import OUTPUTS_MAX, Bound, apply, result_of
from headrace_runtime.measuring import NAMES_MAX, NOT_FINITE, OTHER, Recorder
from headrace_runtime.shapes import ShapeError
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@dataclass
class Seat:
    row: int
    side: Literal["left", "right"] = "left"


@dataclass
class Booking:
    id: str
    seats: list[Seat] = field(default_factory=list)
    price: float | None = None
    notes: dict[str, str] = field(default_factory=dict)
    paid: bool = False


class Ticket(BaseModel):
    number: int


def ran(call: Any, *events: Any, batch: bool = False) -> list[Any]:
    raw = [e if isinstance(e, bytes) else json.dumps(e).encode() for e in events]
    found = apply(Bound.of(Function("f", call, batch)), raw, lambda _: None)
    return [r if isinstance(r, Failure) else [json.loads(o) for o in r] for r in found]


def book(event: Booking) -> Booking:
    return event


def test_nested_types_are_read_with_defaults_and_written_again() -> None:
    (found,) = ran(book, {"id": "a", "seats": [{"row": 3}], "price": 7, "notes": {"a": "b"}, "unknown": 1})
    seats = [{"row": 3, "side": "left"}]
    assert found == [{"id": "a", "seats": seats, "price": 7.0, "notes": {"a": "b"}, "paid": False}]


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ({}, "event.id: not there, and Booking has no default for it"),
        ({"id": 3}, "event.id: int, declared is str"),
        ({"id": "a", "seats": [{"row": 1}, {"row": True}]}, "event.seats[1].row: bool, declared is int"),
        ({"id": "a", "seats": [{"row": 1, "side": "up"}]}, "event.seats[0].side: 'up', declared are 'left', 'right'"),
        ({"id": "a", "notes": {"k": None}}, "event.notes.k: null, declared is str"),
        ({"id": "a", "price": "much"}, "event.price: str fits none of float | None"),
        ({"id": "a", "price": 10**400}, "event.price: int fits none of"),
        ([], "event: list, declared is Booking"),
    ],
)
def test_an_event_that_does_not_fit_names_the_field(event: Any, said: str) -> None:
    (found,) = ran(book, event)
    assert (found.recoverable, found.reason) == (False, "InvalidEvent")
    assert said in found.message


@given(JSON)
@settings(deadline=None)
def test_whatever_comes_in_is_a_booking_or_an_invalid_event(event: Any) -> None:
    (found,) = ran(book, event)
    assert isinstance(found, list) or found.reason == "InvalidEvent"


def test_batches_and_pydantic_models_are_typed_too() -> None:
    def many(events: list[Ticket]) -> list[Ticket]:
        return [Ticket(number=e.number + 1) for e in events]

    found = ran(many, {"number": "4"}, {"number": "x"}, b"{", batch=True)
    assert found[0] == [{"number": 5}]
    assert [f.reason for f in found[1:]] == ["InvalidEvent", "Undecodable"]


def test_a_type_that_json_does_not_have_is_refused_at_loading() -> None:
    def wrong(event: set[int]) -> None:
        return None

    with pytest.raises(ShapeError, match=r"wrong: set\[int\] cannot be read from JSON"):
        Bound.of(Function("wrong", wrong))


@pytest.mark.parametrize("event", [dict, dict[str, Any], Any, object])
def test_open_annotations_get_the_event_as_it_is(event: Any) -> None:
    def f(event: Any) -> Any:
        return event

    f.__annotations__["event"] = event
    assert ran(f, {"a": 1}) == [[{"a": 1}]]


def test_too_many_outputs_and_objects_that_raise_are_invalid_results() -> None:
    class Broken:
        def model_dump(self, mode: str) -> Any:
            raise RuntimeError("no")

    answers: tuple[Any, ...] = ([{}] * (OUTPUTS_MAX + 1), Broken(), [{}, 3], {"n": float("nan")}, Seat)
    for answer in answers:
        found = result_of(answer)
        assert isinstance(found, Failure), answer
        assert found.reason == "InvalidResult"


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), st.floats(0, 1e9)), max_size=50), st.integers(0, 50))
def test_what_is_taken_in_parts_adds_up_to_the_whole(values: list[tuple[str, float]], at: int) -> None:
    whole, part, sum_of_parts = Recorder(), Recorder(), Recorder()
    for i, (name, value) in enumerate(values):
        whole.add("value", name, value)
        part.add("value", name, value)
        if i == at:
            sum_of_parts.merge(json.loads(json.dumps(part.taken())))
    sum_of_parts.merge(part.taken())
    assert [(k, n, s.counts) for k, n, s in whole.shown()] == [(k, n, s.counts) for k, n, s in sum_of_parts.shown()]
    assert [s.sum for *_, s in whole.shown()] == pytest.approx([s.sum for *_, s in sum_of_parts.shown()])


def test_measures_are_bounded_and_what_is_not_finite_is_counted() -> None:
    recorder = Recorder()
    for n in range(NAMES_MAX + 10):
        recorder.add("counter", f"n{n}", 1)
    recorder.add("score", "score", float("nan"))
    shown = {(kind, name): series.sum for kind, name, series in recorder.shown()}
    assert (len(shown), shown[("counter", OTHER)]) == (NAMES_MAX + 1, 11)
    assert ("score", "score") not in shown
    recorder = Recorder()
    recorder.add("score", "score", float("inf"))
    assert recorder.taken() == [["counter", NOT_FINITE, 1.0, [0]]]
    with pytest.raises(ValueError, match="a letter first"):
        recorder.add("counter", "Not-a-name", 1)


def test_outside_a_call_there_is_no_deadline() -> None:
    assert remaining_s() == float("inf")


CHECKED = """
import os
from headrace_runtime import NonRecoverable, score, transform

def _inner(event):
    return event["carrier"]

@transform
def look(event: dict):
    score(0.25)
    if event.get("crash"): os._exit(1)
    return None if event.get("drop") else {"carrier": _inner(event)}

@transform(batch=True)
async def many(events): return events
"""


def checked(folder: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "headrace_runtime", "check", "--code", str(folder), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)


def test_check_runs_events_and_says_what_becomes_of_each(tmp_path: Path) -> None:
    (tmp_path / "users.py").write_text(CHECKED)
    assert checked(tmp_path).stdout == "look\nmany (async batch)\n"
    events = tmp_path / "events.jsonl"
    events.write_text('{"carrier":"UA"}\n\n{"drop":1}\n{"crash":1}\n{"n":1}\n')
    done = checked(tmp_path, "--events", str(events), "--function", "look")
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        '1: {"carrier":"UA"}',
        "3: dropped",
        "4: non-recoverable: WorkerCrashed: users' process died (exit code 1) while it worked on this event",
        "5: non-recoverable: KeyError: 'carrier'",
        "score score: 3 values, mean 0.25",
    ]
    wrong = checked(tmp_path, "--events", str(events))
    assert (wrong.returncode, wrong.stderr) == (2, "check: --function '': declared are: look, many\n")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            "def f():\n    return 1 / 0\nf()\n",
            "users: importing it failed: ZeroDivisionError: division by zero\n  users.py:3: f()\n  users.py:2: return 1 / 0",
        ),
        ("def f(:\n", "SyntaxError: invalid syntax (users.py, line 1)"),
        (
            "from headrace_runtime import set_up, transform\n@transform\ndef f(e): return e\n@set_up\ndef s():\n    {}['model']\n",
            "set-up failed: KeyError: 'model'\n  users.py:6: {}['model']",
        ),
        (
            "from headrace_runtime import transform\n@transform\ndef f(e: bytes): return e\n",
            "the type of a parameter: f: <class 'bytes'>",
        ),
        (
            "from headrace_runtime import set_up, transform\n@transform\ndef f(e): return e\n@set_up\ndef s(): raise TimeoutError('db')\n",
            "a node would try again",
        ),
        (
            "from headrace_runtime import transform\n@transform(name='no spaces')\ndef f(e): return e\n",
            "transform name 'no spaces'",
        ),
    ],
)
def test_check_points_at_the_line(tmp_path: Path, code: str, said: str) -> None:
    (tmp_path / "users.py").write_text(code)
    done = checked(tmp_path)
    assert done.returncode == 3
    assert said in done.stderr
