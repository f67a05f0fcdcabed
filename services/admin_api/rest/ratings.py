"""Traffic ratings: what one node of a group sustains."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from services.admin_api.operations.views import OperationView
from services.admin_api.rest.caller import Api, Caller
from services.admin_api.rest.objects import accepted
from services.admin_api.rest.writes import WriteRoute
from shared.contracts.rating import LISTED_MAX, RateRequest, Ratings

router = APIRouter(prefix="/v1", tags=["ratings"], route_class=WriteRoute)


@router.post("/server-groups/{group}:rate", status_code=202)
async def rate_group(
    api: Api, caller: Caller, group: str, response: Response, body: RateRequest | None = None
) -> OperationView:
    """Find on a copy how many messages per second one node sustains within the SLO; refused with every reason."""
    return await accepted(api, response, await api.rating.start(caller, group, body or RateRequest()))


@router.get("/server-groups/{group}/ratings")
async def list_ratings(
    api: Api, caller: Caller, group: str, page_size: Annotated[int, Query(ge=1, le=LISTED_MAX)] = 20
) -> Ratings:
    """Newest first, each with its steps and how it changed since the revision before."""
    return await api.rating.list(caller, group, page_size)
