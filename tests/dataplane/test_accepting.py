import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.stages.accepting import BodyError, bucket, judge, parse_body
from shared.contracts.objects import HttpIngest

SPEC = HttpIngest(id_field="id", time_field="t", key_field="k")


def test_a_valid_event_is_accepted_with_its_key_and_time() -> None:
    (found,) = judge([{"id": 7, "t": "2026-01-01T00:00:00+01:00", "k": "x"}], SPEC, 100)
    assert found.status == "accepted"
    assert found.output
    assert (found.output.id, found.output.key, found.output.time) == ("7", b"x", 1767222000.0)
    assert json.loads(found.output.value)["id"] == 7


@pytest.mark.parametrize(
    ("event", "field"),
    [
        ("text", "event"),
        (None, "event"),
        ([1], "event"),
        ({"t": 1.0}, "id"),
        ({"id": "", "t": 1.0}, "id"),
        ({"id": True, "t": 1.0}, "id"),
        ({"id": "x" * 500, "t": 1.0}, "id"),
        ({"id": "a"}, "t"),
        ({"id": "a", "t": "2026-01-01T00:00:00"}, "t"),
        ({"id": "a", "t": -1}, "t"),
        ({"id": "a", "t": 1e18}, "t"),
        ({"id": "a", "t": 1.0, "k": {}}, "k"),
        ({"id": "a", "t": 1.0, "big": "x" * 600_000}, "event"),
    ],
)
def test_what_is_wrong_with_an_event_is_said_by_field_and_spoils_no_other(event: object, field: str) -> None:
    bad, good = judge([event, {"id": "ok", "t": 1.0}], SPEC, 100)
    assert bad.status == "invalid"
    assert bad.error
    assert (bad.error.field, bool(bad.error.remedy), len(bad.error.value) <= 80) == (field, True, True)
    assert good.status == "accepted"


@given(st.binary(max_size=20), st.integers(0, 100), st.integers(0, 100))
def test_what_a_ramp_admitted_it_admits_at_every_later_phase(key: bytes, one: int, other: int) -> None:
    """Property RampIsMonotone."""
    low, high = sorted((one, other))
    assert not (bucket(key) < low * 10 and bucket(key) >= high * 10)


def test_a_ramp_admits_its_share_and_defers_the_rest() -> None:
    found = judge([{"id": f"e{n}", "t": 1.0} for n in range(20_000)], SPEC, 25)
    share = sum(f.status == "accepted" for f in found) / len(found)
    assert 0.23 < share < 0.27
    assert {f.status for f in found} == {"accepted", "deferred"}
    assert all(f.status == "deferred" for f in judge([{"id": "a", "t": 1.0}], SPEC, 0))


def test_bodies_that_cannot_be_read_say_what_to_send() -> None:
    for body in (b"", b"{", b'{"id":1}', b"\xff\xfe", b"[" * 100_000):
        with pytest.raises(BodyError, match="send"):
            parse_body(body, "application/json")


def test_a_bad_line_is_one_invalid_event() -> None:
    events = parse_body(b'{"id":"a","t":1}\n{oops\n\n{"id":"b","t":1}\n', "application/x-ndjson; charset=utf-8")
    assert [j.status for j in judge(events, SPEC, 100)] == ["accepted", "invalid", "accepted"]
