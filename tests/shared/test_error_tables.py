"""Every error of the tree crosses every wire and comes back as itself."""

import pytest
from temporalio.exceptions import ApplicationError

from shared.domain import errors
from shared.domain.reason import Compared, Reason
from shared.grpc.errors import CODES, to_wire
from shared.http_errors import STATUS, problem
from shared.temporal.errors import error_reasons, error_text, to_application_error

REASON = Reason("LagHigh", "group/g", "lag is high", (Compared("lag_p95_s", 7.2, "<=", 5, "s"),))


@pytest.mark.parametrize("kind", errors.TREE.values())
def test_each_error_has_a_row_in_each_table(kind: type[errors.HeadraceError]) -> None:
    assert kind in CODES
    assert kind in STATUS
    failure = kind("group g: it failed", field="group", remedy="do this", reasons=(REASON,), retry_after_s=3)
    code, text, trailer = to_wire(failure)
    assert code is CODES[kind]
    assert "do this" in text
    assert b"LagHigh" in trailer
    status, body = problem(failure)
    assert status == STATUS[kind] == body["status"]
    assert body["code"] == kind.__name__
    assert body["reasons"][0]["compared"][0]["value"] == 7.2
    temporal = to_application_error(failure)
    assert temporal.type == kind.__name__
    assert temporal.non_retryable is not kind.retryable


def test_only_what_may_pass_by_itself_is_retried() -> None:
    assert {k.__name__ for k in errors.TREE.values() if k.retryable} == {
        "Throttled",
        "CapacityUnavailable",
        "Unavailable",
    }


def test_reasons_travel_through_temporal() -> None:
    failure: ApplicationError = to_application_error(errors.Refused("no", reasons=(REASON,)))
    assert error_reasons(failure)[0].to_domain() == REASON
    assert error_text(failure) == "no"
