"""Deployments, ramps, drift, freezes, quiet windows, operations."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response

from services.admin_api.domain.roles import Verb
from services.admin_api.operations.deploying import Wanted
from services.admin_api.operations.peers import Asked
from services.admin_api.operations.reports import Deployments, Drift, Ramps, RampView, Revisions, RevisionView
from services.admin_api.operations.views import Held, OperationList, OperationView
from services.admin_api.rest.bodies import (
    DeployRequest,
    DriftRequest,
    FreezeRequest,
    QuietRequest,
    ReasonRequest,
    RollBackRequest,
)
from services.admin_api.rest.caller import Api, Caller
from services.admin_api.rest.objects import accepted
from services.admin_api.rest.writes import WriteRoute
from shared.contracts.deployment import DeploymentModel

OPERATIONS_SHOWN = 50
router = APIRouter(prefix="/v1", route_class=WriteRoute)


@router.post("/deployments", tags=["deployments"], status_code=202)
async def deploy(api: Api, caller: Caller, body: DeployRequest, response: Response) -> OperationView:
    """Start a deployment; refused with every reason when it is not admitted now."""
    wanted = Wanted(
        group=body.group,
        code=body.code,
        environment=body.environment,
        variables=body.variables,
        rollout=body.rollout.model_dump(mode="json") if body.rollout else None,
        reason=body.reason,
        override_reason=body.override_reason,
        wait=body.wait,
        wait_s_max=body.wait_s_max,
    )
    return await accepted(api, response, await api.deploying.start(caller, wanted))


@router.get("/deployments", tags=["deployments"])
async def list_deployments(
    api: Api, caller: Caller, group: str = "", page_size: Annotated[int, Query(ge=1, le=500)] = 50
) -> Deployments:
    """Newest first."""
    api.context.require(caller, Verb.READ)
    return Deployments(items=tuple(await api.context.peers.deployer.deployments(group, page_size)))


@router.get("/deployments/{deployment_id}", tags=["deployments"])
async def get_deployment(api: Api, caller: Caller, deployment_id: str) -> DeploymentModel:
    """One deployment, with its plan and judgements."""
    api.context.require(caller, Verb.READ)
    return await api.context.peers.deployer.deployment(deployment_id)


@router.post("/deployments/{reference}:{order}", tags=["deployments"], status_code=202)
async def order_deployment(  # noqa: PLR0913  what a request has
    api: Api,
    caller: Caller,
    reference: str,
    order: Literal["abort", "pause", "resume", "promote"],
    response: Response,
    body: ReasonRequest | None = None,
) -> OperationView:
    """Tell a running deployment what a person wants; `reference` is a deployment, an operation or a group."""
    operation = await api.deploying.order(caller, reference, order, body.reason if body else "")
    return await accepted(api, response, operation)


@router.post("/server-groups/{group}:rollback", tags=["deployments"], status_code=202)
async def roll_back(
    api: Api, caller: Caller, group: str, response: Response, body: RollBackRequest | None = None
) -> OperationView:
    """Undo the running deployment, or deploy the good revision before the running one."""
    wanted = body or RollBackRequest()
    operation = await api.deploying.roll_back(caller, group, wanted.reason, wait=wanted.wait)
    return await accepted(api, response, operation)


@router.get("/server-groups/{group}/revisions", tags=["deployments"])
async def list_revisions(api: Api, caller: Caller, group: str) -> Revisions:
    """A group's revisions, newest first."""
    api.context.require(caller, Verb.READ)
    rows = await api.context.peers.deployer.revisions(group)
    return Revisions(
        items=tuple(
            RevisionView(
                group=group,
                number=r.revision.number,
                environment=r.revision.environment.sha256 if r.revision.environment else "",
                code=r.revision.code.sha256 if r.revision.code else "",
                variables=r.revision.variables,
                bad=r.bad,
                made_at=r.made_at,
            )
            for r in rows
        )
    )


@router.get("/ramps", tags=["ramps"])
async def list_ramps(api: Api, caller: Caller) -> Ramps:
    """One per pipeline."""
    api.context.require(caller, Verb.READ)
    _, pipelines = await api.context.peers.provisioner.inventory()
    found = []
    for p in pipelines:
        asked = Asked()
        answer = await asked.of("provisioner", api.context.peers.provisioner.ramp(p.spec.name))
        percent, detail = answer if answer is not None else (p.ramp_percent, p.detail)
        found.append(RampView(pipeline=p.spec.name, phase=p.phase, percent=percent, detail=detail))
    return Ramps(items=tuple(found))


@router.post("/ramps/{pipeline}:{order}", tags=["ramps"])
async def order_ramp(api: Api, caller: Caller, pipeline: str, order: Literal["hold", "resume", "back"]) -> RampView:
    """Hold, resume or step back a ramp."""
    return await api.guarding.ramp(caller, pipeline, order)


@router.get("/drift", tags=["drift"])
async def list_drift(api: Api, caller: Caller, group: str = "", include_repaired: bool = False) -> Drift:  # noqa: FBT001, FBT002  a query parameter
    """What is not as declared, field by field."""
    api.context.require(caller, Verb.READ)
    found = await api.context.peers.provisioner.drift(group, include_repaired=include_repaired)
    return Drift(items=tuple(found))


@router.post("/drift:check", tags=["drift"], status_code=202)
async def check_drift(api: Api, caller: Caller, response: Response, body: DriftRequest | None = None) -> OperationView:
    """Look at once; what is the Provisioner's to repair is repaired."""
    operation = await api.guarding.check_drift(caller, body.group if body else "")
    return await accepted(api, response, operation)


@router.post("/freezes", tags=["guards"], status_code=201)
async def freeze(api: Api, caller: Caller, body: FreezeRequest) -> Held:
    """What runs in the scope finishes its step, and holds."""
    return await api.guarding.freeze(caller, body.scope, body.seconds, body.reason)


@router.delete("/freezes/{scope:path}", tags=["guards"])
async def unfreeze(api: Api, caller: Caller, scope: str, reason: str = "") -> Held:
    """Lift the freeze of a scope."""
    return await api.guarding.unfreeze(caller, scope, reason)


@router.post("/quiet-windows", tags=["guards"], status_code=201)
async def quiet(api: Api, caller: Caller, body: QuietRequest) -> Held:
    """No notifications of these alarm classes until the end; verdicts stay what they are."""
    return await api.guarding.quiet(caller, body.scope, body.classes, body.seconds, body.reason)


@router.get("/operations", tags=["operations"])
async def list_operations(
    api: Api, caller: Caller, page_size: Annotated[int, Query(ge=1, le=500)] = OPERATIONS_SHOWN
) -> OperationList:
    """Newest first, as recorded."""
    api.context.require(caller, Verb.READ)
    found = await api.long_work.newest(page_size)
    return OperationList(items=tuple([await api.long_work.view(o) for o in found]))


@router.get("/operations/{operation_id}", tags=["operations"])
async def get_operation(api: Api, caller: Caller, operation_id: str) -> OperationView:
    """Where something long stands."""
    api.context.require(caller, Verb.READ)
    return await api.long_work.view(await api.long_work.get(operation_id))


@router.post("/operations/{operation_id}:cancel", tags=["operations"], status_code=202)
async def cancel_operation(api: Api, caller: Caller, operation_id: str, response: Response) -> OperationView:
    """Ask it to end; it undoes what it began."""
    return await accepted(api, response, await api.guarding.cancel(caller, operation_id))
