"""Events that stages gave up."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from services.admin_api.operations.views import OperationView
from services.admin_api.rest.caller import Api, Caller
from services.admin_api.rest.objects import accepted
from services.admin_api.rest.writes import WriteRoute
from shared.contracts.dead_letters import DeadLetter, DeadLetters, RedriveRequest

router = APIRouter(prefix="/v1", tags=["dead letters"], route_class=WriteRoute)


@router.get("/dead-letters/{pipeline}/{stage}")
async def list_dead_letters(  # noqa: PLR0913  what may be asked
    api: Api,
    caller: Caller,
    pipeline: str,
    stage: str,
    page_size: Annotated[int, Query(ge=1, le=500)] = 100,
    reason: str = "",
    include_redriven: bool = False,  # noqa: FBT001, FBT002  a query parameter
) -> DeadLetters:
    """Of one stage, newest first, without their values."""
    return await api.redriving.list(caller, pipeline, stage, page_size, reason, include_redriven=include_redriven)


@router.get("/dead-letters/{pipeline}/{stage}/{offset}")
async def get_dead_letter(api: Api, caller: Caller, pipeline: str, stage: str, offset: int) -> DeadLetter:
    """One, with its value."""
    return await api.redriving.show(caller, pipeline, stage, offset)


@router.post("/dead-letters/{pipeline}/{stage}:redrive", status_code=202)
async def redrive_dead_letters(  # noqa: PLR0913  what is sent
    api: Api, caller: Caller, pipeline: str, stage: str, response: Response, body: RedriveRequest | None = None
) -> OperationView:
    """Send them to their stage again, at a bounded rate; each goes once."""
    operation = await api.redriving.redrive(caller, pipeline, stage, body or RedriveRequest())
    return await accepted(api, response, operation)
