"""Who one is, tokens, the audit log, schemas."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel

from services.admin_api.operations.views import AuditList, Me, TokenList, TokenView
from services.admin_api.rest.bodies import DeployRequest, FreezeRequest, QuietRequest, TokenRequest
from services.admin_api.rest.caller import Api, Caller
from services.admin_api.rest.writes import WriteRoute
from shared.contracts.objects import Environment, Pipeline, ServerGroup

router = APIRouter(prefix="/v1", tags=["people"], route_class=WriteRoute)
SCHEMAS: dict[str, type[BaseModel]] = {
    "environment": Environment,
    "server-group": ServerGroup,
    "pipeline": Pipeline,
    "deploy": DeployRequest,
    "freeze": FreezeRequest,
    "quiet": QuietRequest,
}


@router.get("/me")
async def me(api: Api, caller: Caller) -> Me:
    """Who the token says you are, and what you may."""
    return api.access.me(caller)


@router.get("/schemas")
async def schemas(_: Caller) -> dict[str, dict[str, Any]]:
    """JSON Schema of what can be sent."""
    return {name: model.model_json_schema() for name, model in SCHEMAS.items()}


@router.get("/audit")
async def audit(
    api: Api, caller: Caller, page_size: Annotated[int, Query(ge=1, le=1000)] = 100, before_seq: int | None = None
) -> AuditList:
    """Who did what, newest first; a hash chain."""
    return await api.access.audit_log(caller, page_size, before_seq)


@router.get("/tokens")
async def list_tokens(api: Api, caller: Caller) -> TokenList:
    """Without their text."""
    return await api.access.tokens(caller)


@router.post("/tokens", status_code=201)
async def create_token(api: Api, caller: Caller, body: TokenRequest) -> TokenView:
    """A new token; its text is in this answer and nowhere else."""
    return await api.access.make(caller, body.name, body.role, body.workspace, body.expires_s)


@router.delete("/tokens/{token}", status_code=204)
async def revoke_token(api: Api, caller: Caller, token: str) -> None:
    """By id or name; it stops working at once."""
    await api.access.revoke(caller, token)
