"""The outermost layer: a request id, a limit on bodies, headers that keep answers to themselves."""

from typing import Any
from uuid import uuid4

from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.admin_api.domain.code_bundle import UPLOAD_BYTES_MAX

BODY_BYTES_MAX = 2 * 1024 * 1024
LARGE: dict[str, int] = {"/v1/code": UPLOAD_BYTES_MAX}
REQUEST_ID_LENGTH_MAX = 100
TOO_LARGE = 413
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)


class Edge:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp) -> None:
        """`app` is the rest."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"").decode("latin-1")
        request_id = given if 0 < len(given) <= REQUEST_ID_LENGTH_MAX and given.isprintable() else f"req-{uuid4().hex}"
        scope.setdefault("state", {})["request_id"] = request_id
        limit = LARGE.get(scope["path"], BODY_BYTES_MAX)

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    (b"x-request-id", request_id.encode("latin-1")),
                    *(h for h in HEADERS if h[0] not in present),
                ]
            await send(message)

        if int(headers.get(b"content-length", b"0") or 0) > limit:
            await _too_large(limit)(scope, receive, sending)
            return
        await self._app(scope, _limited(receive, limit), sending)


def _limited(receive: Receive, limit: int) -> Receive:
    seen = 0

    async def receiving() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            raise HTTPException(TOO_LARGE, f"the body is above {limit} bytes")  # FastAPI lets this one through
        return message

    return receiving


def _too_large(limit: int) -> JSONResponse:
    body: dict[str, Any] = {
        "type": "urn:headrace:error:InvalidInput",
        "title": "InvalidInput",
        "status": TOO_LARGE,
        "detail": f"the body is above {limit} bytes",
        "code": "InvalidInput",
        "field": "body",
        "remedy": "send less at once",
    }
    return JSONResponse(body, TOO_LARGE, media_type="application/problem+json", headers={"connection": "close"})
