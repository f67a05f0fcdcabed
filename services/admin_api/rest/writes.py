"""Writes under an `Idempotency-Key`: the same key and request is answered alike; the same key with another is refused.

Only answers that changed something are kept. A write that was refused or failed is audited here; one that succeeded was
audited in its own transaction.
"""

from collections.abc import Callable, Coroutine
from datetime import timedelta
from hashlib import sha256
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from services.admin_api.domain.roles import Actor
from services.admin_api.rest.caller import actor_of, admin_of
from services.admin_api.rest.problems import bad_request
from shared.domain.errors import Conflict, HeadraceError, InvalidInput

READS = frozenset({"GET", "HEAD", "OPTIONS"})
KEY_LENGTH_MAX = 200
KEPT = timedelta(hours=24)
KEPT_BYTES_MAX = 1024 * 1024
SUCCESS = range(200, 300)
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class WriteRoute(APIRoute):
    """A route whose writes are idempotent by key and audited when refused."""

    def get_route_handler(self) -> Handler:
        """Wrap the handler; reads pass."""
        inner = super().get_route_handler()

        async def handle(request: Request) -> Response:
            if request.method in READS:
                return await inner(request)
            headers = request.headers
            actor = await actor_of(request, headers.get("authorization", ""), headers.get("x-headrace-via", "api"))
            try:
                return await _once(request, actor, inner)
            except RequestValidationError as e:
                await _audit_refusal(request, actor, bad_request(e))
                raise
            except HeadraceError as e:
                await _audit_refusal(request, actor, e)
                raise

        return handle


async def _once(request: Request, actor: Actor, inner: Handler) -> Response:
    key = request.headers.get("idempotency-key", "")
    if not key:
        return await inner(request)
    if len(key) > KEY_LENGTH_MAX:
        raise InvalidInput(
            f"Idempotency-Key: {len(key)} characters are above {KEY_LENGTH_MAX}",
            field="Idempotency-Key",
            remedy="use a UUID",
        )
    context, owner = admin_of(request).context, actor.token_id
    now = context.clock.now()
    fingerprint = sha256(f"{request.method} {request.url.path}?{request.url.query}\n".encode() + await request.body())
    async with context.store.unit() as unit:
        kept = await unit.answers.claim(owner, key, fingerprint.hexdigest(), now, now - KEPT)
    if kept is not None:
        if kept.fingerprint != fingerprint.hexdigest():
            raise InvalidInput(
                f"Idempotency-Key: {key!r} was used for another request",
                field="Idempotency-Key",
                remedy="use a new key for a new request",
            )
        if not kept.status:
            raise Conflict(
                f"the request under Idempotency-Key {key!r} still runs", remedy="ask again", retry_after_s=1.0
            )
        return Response(kept.body, kept.status, {"idempotency-replayed": "true"}, media_type="application/json")
    done = False
    try:
        answer = await inner(request)
        body = bytes(answer.body)
        done = answer.status_code in SUCCESS and len(body) <= KEPT_BYTES_MAX
        if done:
            async with context.store.unit() as unit:
                await unit.answers.keep(owner, key, answer.status_code, body)
    finally:
        if not done:
            async with context.store.unit() as unit:
                await unit.answers.release(owner, key)
    return answer


async def _audit_refusal(request: Request, actor: Actor, error: HeadraceError) -> None:
    context = admin_of(request).context
    async with context.store.unit() as unit:
        await context.audit(
            unit,
            actor,
            request.method.lower(),
            request.url.path,
            outcome=error.code,
            detail={"error": error.message[:500], "reasons": [r.code for r in error.reasons]},
        )
