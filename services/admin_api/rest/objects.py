"""Environments, server groups, pipelines; plans; code."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response

from services.admin_api.api import AdminApi
from services.admin_api.domain.records import ObjectKey, ObjectKind, Operation
from services.admin_api.operations.reading import PAGE_SIZE
from services.admin_api.operations.views import CodeView, ObjectList, ObjectView, OperationView, PlanView
from services.admin_api.rest.bodies import ApplyRequest, Body, DestroyRequest, PlanRequest
from services.admin_api.rest.caller import Api, Caller
from services.admin_api.rest.writes import WriteRoute
from shared.contracts.base import Contract

PLURALS = {
    "environments": ObjectKind.ENVIRONMENT,
    "server-groups": ObjectKind.SERVER_GROUP,
    "pipelines": ObjectKind.PIPELINE,
}
router = APIRouter(prefix="/v1", route_class=WriteRoute)


class Accepted(Contract):
    """What was planned and handed over; no operation when nothing changes."""

    plan: PlanView
    operation: OperationView | None = None


async def accepted(api: AdminApi, response: Response, operation: Operation) -> OperationView:
    """202 with the operation and where to follow it."""
    response.status_code = 202
    response.headers["location"] = f"/v1/operations/{operation.id}"
    return await api.long_work.view(operation)


def _add_kind(plural: str, kind: ObjectKind) -> None:
    title = kind.value.replace("-", " ")

    async def listed(
        api: Api,
        caller: Caller,
        page_size: Annotated[int, Query(ge=1, le=1000)] = PAGE_SIZE,
        page_token: str = "",
        filter: Annotated[str, Query(description="a part of the name")] = "",  # noqa: A002  the API's word
    ) -> ObjectList:
        return await api.reading.objects(caller, kind, page_size=page_size, after=page_token, name_part=filter)

    async def one(api: Api, caller: Caller, name: str) -> ObjectView:
        return await api.reading.one(caller, ObjectKey(kind, name))

    async def created(api: Api, caller: Caller, body: Body, response: Response) -> Accepted:
        plan, operation = await api.planning.put(caller, kind, str(body.get("name", "")), body, creates=True)
        return Accepted(plan=plan, operation=await accepted(api, response, operation) if operation else None)

    async def put(api: Api, caller: Caller, name: str, body: Body, response: Response) -> Accepted:
        plan, operation = await api.planning.put(caller, kind, name, body)
        return Accepted(plan=plan, operation=await accepted(api, response, operation) if operation else None)

    async def deleted(
        api: Api, caller: Caller, name: str, response: Response, generation: int | None = None
    ) -> Accepted:
        plan, operation = await api.planning.delete(caller, ObjectKey(kind, name), generation)
        return Accepted(plan=plan, operation=await accepted(api, response, operation))

    add: dict[str, Any] = {"tags": [plural]}
    router.add_api_route(f"/{plural}", listed, methods=["GET"], summary=f"List {title}s", name=f"list_{plural}", **add)
    router.add_api_route(
        f"/{plural}", created, methods=["POST"], summary=f"Create one {title}", name=f"create_{plural}", **add
    )
    router.add_api_route(
        f"/{plural}/{{name}}", one, methods=["GET"], summary=f"One {title}, with status", name=f"get_{plural}", **add
    )
    router.add_api_route(
        f"/{plural}/{{name}}", put, methods=["PUT"], summary=f"Create or update a {title}", name=f"put_{plural}", **add
    )
    router.add_api_route(
        f"/{plural}/{{name}}", deleted, methods=["DELETE"], summary=f"Delete a {title}", name=f"delete_{plural}", **add
    )


for _plural, _kind in PLURALS.items():
    _add_kind(_plural, _kind)


@router.post("/plans", tags=["plans"], status_code=201)
async def make_plan(api: Api, caller: Caller, body: PlanRequest) -> PlanView:
    """What would be created, updated, replaced and deleted, and why."""
    return await api.planning.make(caller, body.objects, source=body.source, prune=body.prune)


@router.post("/plans:destroy", tags=["plans"], status_code=201)
async def make_destroy_plan(api: Api, caller: Caller, body: DestroyRequest) -> PlanView:
    """The plan that deletes these objects."""
    keys = [ObjectKey(ObjectKind(o.kind), o.name) for o in body.objects]
    return await api.planning.make_deletes(caller, keys)


@router.get("/plans/{plan_id}", tags=["plans"])
async def get_plan(api: Api, caller: Caller, plan_id: str) -> PlanView:
    """A plan that was made."""
    return await api.planning.get(caller, plan_id)


@router.post("/plans/{plan_id}:apply", tags=["plans"], status_code=202)
async def apply_plan(
    api: Api, caller: Caller, plan_id: str, response: Response, body: ApplyRequest | None = None
) -> OperationView:
    """Carry out what was shown; refused when something moved since."""
    operation = await api.planning.apply(caller, plan_id, body.digest if body else "")
    return await accepted(api, response, operation)


@router.post("/code", tags=["code"], status_code=201)
async def upload_code(
    api: Api,
    caller: Caller,
    request: Request,
    x_content_sha256: Annotated[str, Header(description="sha256 of the body, in hex")] = "",
) -> CodeView:
    """Publish a gzipped tar of a code folder, at most 50 MB; content-addressed."""
    return await api.publishing.upload(caller, await request.body(), x_content_sha256)


@router.get("/code/{sha256}", tags=["code"])
async def get_code(api: Api, caller: Caller, sha256: str) -> CodeView:
    """Whether a bundle was uploaded."""
    return await api.publishing.get(caller, sha256)
