"""The error tree on HTTP: RFC 9457 problem bodies with code, field, reasons and retry_after_s."""

from typing import Any

from shared.contracts.base import ReasonModel
from shared.domain import errors

STATUS: dict[type[errors.HeadraceError], int] = {
    errors.InvalidInput: 422,
    errors.NotFound: 404,
    errors.AlreadyExists: 409,
    errors.Conflict: 409,
    errors.StaleLease: 412,
    errors.Refused: 409,
    errors.Denied: 403,
    errors.Unauthenticated: 401,
    errors.Throttled: 429,
    errors.CapacityUnavailable: 503,
    errors.Unavailable: 503,
    errors.Defect: 500,
}


def problem(error: errors.HeadraceError) -> tuple[int, dict[str, Any]]:
    """Status and body (`application/problem+json`)."""
    status = STATUS[type(error)]
    body: dict[str, Any] = {
        "type": f"urn:headrace:error:{error.code}",
        "title": error.code,
        "status": status,
        "detail": error.message,
        "code": error.code,
        "field": error.field,
        "remedy": error.remedy,
        "reasons": [ReasonModel.of(r).model_dump(mode="json", exclude_none=True) for r in error.reasons],
        "retry_after_s": error.retry_after_s,
    }
    return status, {k: v for k, v in body.items() if v not in (None, "", [])}
