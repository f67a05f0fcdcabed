"""The error tree on gRPC: a status code, and the record itself in the trailing metadata as JSON."""

import json

import grpc

from shared.contracts.base import ReasonModel
from shared.domain import errors

TRAILER = "headrace-error-bin"
TRAILER_BYTES_MAX = 6000

CODES: dict[type[errors.HeadraceError], grpc.StatusCode] = {
    errors.InvalidInput: grpc.StatusCode.INVALID_ARGUMENT,
    errors.NotFound: grpc.StatusCode.NOT_FOUND,
    errors.AlreadyExists: grpc.StatusCode.ALREADY_EXISTS,
    errors.Conflict: grpc.StatusCode.ABORTED,
    errors.StaleLease: grpc.StatusCode.FAILED_PRECONDITION,
    errors.Refused: grpc.StatusCode.FAILED_PRECONDITION,
    errors.Denied: grpc.StatusCode.PERMISSION_DENIED,
    errors.Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    errors.Throttled: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.CapacityUnavailable: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.Unavailable: grpc.StatusCode.UNAVAILABLE,
    errors.Defect: grpc.StatusCode.INTERNAL,
}
_FALLBACK: dict[grpc.StatusCode, type[errors.HeadraceError]] = {
    grpc.StatusCode.DEADLINE_EXCEEDED: errors.Unavailable,
    grpc.StatusCode.CANCELLED: errors.Unavailable,
    **{code: kind for kind, code in reversed(CODES.items())},
}


def to_wire(error: errors.HeadraceError) -> tuple[grpc.StatusCode, str, bytes]:
    """Status, text and trailer."""
    record = {
        "code": error.code,
        "message": error.message,
        "field": error.field,
        "remedy": error.remedy,
        "retry_after_s": error.retry_after_s,
        "reasons": [ReasonModel.of(r).model_dump(mode="json") for r in error.reasons],
    }
    trailer = json.dumps(record).encode()
    if len(trailer) > TRAILER_BYTES_MAX:
        trailer = json.dumps({**record, "reasons": record["reasons"][:4]}).encode()[:TRAILER_BYTES_MAX]  # type: ignore[index]  # a list above
    return CODES[type(error)], str(error), trailer


def from_wire(failure: grpc.aio.AioRpcError, method: str) -> errors.HeadraceError:
    """The error a server raised; without a record of ours, one made from the status."""
    for key, value in failure.trailing_metadata() or ():
        if key == TRAILER:
            try:
                record = json.loads(value)
            except ValueError:
                break
            kind = errors.TREE.get(record["code"], errors.Defect)
            return kind(
                record["message"],
                field=record["field"],
                remedy=record["remedy"],
                retry_after_s=record["retry_after_s"],
                reasons=tuple(ReasonModel.model_validate(r).to_domain() for r in record["reasons"]),
            )
    kind = _FALLBACK.get(failure.code(), errors.Defect)
    return kind(f"{method}: {failure.code().name}: {failure.details()}", retry_after_s=1.0 if kind.retryable else None)
