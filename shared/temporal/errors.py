"""The error tree on Temporal: ApplicationError with the class name as type; only the retryable ones retry."""

from temporalio.exceptions import ActivityError, ApplicationError, ChildWorkflowError

from shared.contracts.base import ReasonModel
from shared.domain import errors


def to_application_error(error: errors.HeadraceError) -> ApplicationError:
    """For an activity to raise."""
    reasons = [ReasonModel.of(r).model_dump(mode="json") for r in error.reasons]
    return ApplicationError(
        str(error), {"reasons": reasons, "field": error.field}, type=error.code, non_retryable=not error.retryable
    )


def error_type(failure: BaseException) -> str:
    """The tree's class name behind a failed activity or child workflow, or the Python class name."""
    cause: BaseException | None = failure
    while isinstance(cause, ActivityError | ChildWorkflowError) and cause.__cause__ is not None:
        cause = cause.__cause__
    if isinstance(cause, ApplicationError):
        return cause.type or "Defect"
    return type(cause).__name__


def error_text(failure: BaseException) -> str:
    """The innermost message, for people."""
    cause: BaseException = failure
    while cause.__cause__ is not None:
        cause = cause.__cause__
    return cause.message if isinstance(cause, ApplicationError) else str(cause)


def error_reasons(failure: BaseException) -> tuple[ReasonModel, ...]:
    """The reasons that travelled with it."""
    cause: BaseException = failure
    while cause.__cause__ is not None:
        cause = cause.__cause__
    if isinstance(cause, ApplicationError) and cause.details and isinstance(cause.details[0], dict):
        return tuple(ReasonModel.model_validate(r) for r in cause.details[0].get("reasons", ()))
    return ()
