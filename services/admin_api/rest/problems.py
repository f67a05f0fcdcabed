"""Every error as a problem body (RFC 9457); what is our own bug is logged and not shown."""

from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from shared.contracts.base import invalid_input
from shared.domain.errors import Defect, HeadraceError, InvalidInput, NotFound
from shared.http_errors import problem

MEDIA = "application/problem+json"
SHOWN_MAX = 5
LOG = structlog.get_logger()


def problem_answer(request: Request, error: HeadraceError) -> JSONResponse:
    """Status, body and `Retry-After`."""
    status, body = problem(error)
    body |= {"instance": request.url.path, "request_id": request.state.request_id}
    headers = {"retry-after": str(max(1, round(error.retry_after_s)))} if error.retry_after_s else {}
    if status == 401:  # noqa: PLR2004  Unauthorized asks for its header
        headers["www-authenticate"] = "Bearer"
    return JSONResponse(body, status, media_type=MEDIA, headers=headers)


def bad_request(failure: RequestValidationError) -> InvalidInput:
    """FastAPI's findings as one error that names field and value."""
    found, first = [], ""
    for e in failure.errors()[:SHOWN_MAX]:
        path = ".".join(str(p) for p in e["loc"] if p not in {"body", "query", "path"}) or "body"
        first = first or path
        got = "" if isinstance(e.get("input"), dict | list | None) else f" (got {str(e.get('input'))[:80]!r})"
        found.append(f"{path}: {e['msg'].removeprefix('Value error, ')}{got}")
    return InvalidInput("; ".join(found), field=first, remedy="correct the request; /v1/schemas shows the shapes")


def add_problem_handlers(app: FastAPI) -> None:
    """One handler per root of errors."""

    async def ours(request: Request, error: Exception) -> Response:
        assert isinstance(error, HeadraceError)  # noqa: S101  registered for this class
        return problem_answer(request, error)

    async def unreadable(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101
        return problem_answer(request, bad_request(error))

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, ValidationError)  # noqa: S101
        return problem_answer(request, invalid_input(error))

    async def framework(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101
        if error.status_code == 404:  # noqa: PLR2004
            missing = NotFound(f"{request.url.path} is no address of this API", remedy="/openapi.json lists them")
            return problem_answer(request, missing)
        body: dict[str, Any] = {
            "title": error.detail,
            "status": error.status_code,
            "detail": f"{request.method} {request.url.path}: {error.detail}",
            "code": "InvalidInput",
        }
        return JSONResponse(body, error.status_code, media_type=MEDIA, headers=dict(error.headers or {}))

    async def defect(request: Request, error: Exception) -> Response:
        LOG.error("request failed", path=request.url.path, request_id=request.state.request_id, exc_info=error)
        hidden = Defect(
            "something went wrong inside the admin API", remedy=f"look for {request.state.request_id} in its log"
        )
        return problem_answer(request, hidden)

    app.add_exception_handler(HeadraceError, ours)
    app.add_exception_handler(RequestValidationError, unreadable)
    app.add_exception_handler(ValidationError, invalid)
    app.add_exception_handler(HTTPException, framework)
    app.add_exception_handler(Exception, defect)
