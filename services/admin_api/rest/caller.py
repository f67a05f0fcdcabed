"""Who calls, and the operations, as route parameters."""

from typing import Annotated

from fastapi import Depends, Header, Request

from services.admin_api.api import AdminApi
from services.admin_api.domain.roles import Actor

VIAS = frozenset({"cli", "ui", "api"})


def admin_of(request: Request) -> AdminApi:
    """The operations of this process."""
    api = request.app.state.admin
    assert isinstance(api, AdminApi)  # noqa: S101  set by make_app's caller before the first request
    return api


async def actor_of(
    request: Request,
    authorization: Annotated[str, Header(description="`Bearer TOKEN`")] = "",
    x_headrace_via: Annotated[str, Header(description="cli, ui or api: kept in the audit log")] = "api",
) -> Actor:
    """Unauthenticated without a good token."""
    known = getattr(request.state, "actor", None)
    if isinstance(known, Actor):
        return known
    address = request.client.host if request.client else "unknown"
    via = x_headrace_via if x_headrace_via in VIAS else "api"
    actor = await admin_of(request).access.actor(authorization, address, via, request.state.request_id)
    request.state.actor = actor
    return actor


async def _admin_of(request: Request) -> AdminApi:
    """As a dependency: a plain function would cost a thread per request."""
    return admin_of(request)


Api = Annotated[AdminApi, Depends(_admin_of)]
Caller = Annotated[Actor, Depends(actor_of)]
