"""Reads over everything: verdicts, activities, alarms, routes, scaling, explanations, the timeline."""

from typing import Annotated

from fastapi import APIRouter, Query

from services.admin_api.domain.roles import Verb
from services.admin_api.operations.peers import Asked
from services.admin_api.operations.reports import (
    Activities,
    Alarms,
    Explanation,
    RoutesList,
    ScalingView,
    Timeline,
    Verdicts,
)
from services.admin_api.rest.caller import Api, Caller
from shared.contracts.admission import VerdictModel
from shared.contracts.node import Routes

router = APIRouter(prefix="/v1", tags=["looks"])


@router.get("/verdicts")
async def list_verdicts(api: Api, caller: Caller, prefix: str = "") -> Verdicts:
    """Current verdicts of scopes that start with `prefix`."""
    api.context.require(caller, Verb.READ)
    return Verdicts(items=tuple(await api.context.peers.observer.verdicts(prefix)))


@router.get("/verdicts/{scope:path}")
async def get_verdict(api: Api, caller: Caller, scope: str) -> VerdictModel:
    """One verdict."""
    api.context.require(caller, Verb.READ)
    return await api.context.peers.observer.verdict(scope)


@router.get("/activities")
async def list_activities(
    api: Api,
    caller: Caller,
    scope: str = "",
    include_ended: bool = False,  # noqa: FBT001, FBT002  a query parameter
    page_size: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Activities:
    """What is being done, newest first."""
    api.context.require(caller, Verb.READ)
    found = await api.context.peers.observer.activities(scope, include_ended=include_ended, limit=page_size)
    return Activities(items=tuple(found))


@router.get("/freezes")
async def list_freezes(api: Api, caller: Caller) -> Activities:
    """Freezes that hold."""
    api.context.require(caller, Verb.READ)
    found = await api.context.peers.observer.activities()
    return Activities(items=tuple(a for a in found if a.kind == "FREEZE"))


@router.get("/alarms")
async def list_alarms(
    api: Api,
    caller: Caller,
    scope: str = "",
    include_resolved: bool = False,  # noqa: FBT001, FBT002  a query parameter
) -> Alarms:
    """Pending, firing and quieted alarms."""
    api.context.require(caller, Verb.READ)
    return Alarms(items=tuple(await api.context.peers.observer.alarms(scope, include_resolved=include_resolved)))


@router.get("/routes")
async def list_routes(api: Api, caller: Caller) -> RoutesList:
    """Of every group."""
    api.context.require(caller, Verb.READ)
    groups, _ = await api.context.peers.provisioner.inventory()
    asked = Asked()
    found = [await asked.of("provisioner", api.context.peers.provisioner.routes(g.spec.name)) for g in groups]
    return RoutesList(items=tuple(r for r in found if r is not None), unanswered=tuple(asked.unanswered))


@router.get("/routes/{group}")
async def get_routes(api: Api, caller: Caller, group: str) -> Routes:
    """Which fleets of a group take traffic, how much, and where their nodes are."""
    api.context.require(caller, Verb.READ)
    return await api.context.peers.provisioner.routes(group)


@router.get("/scaling/{group}")
async def get_scaling(
    api: Api, caller: Caller, group: str, page_size: Annotated[int, Query(ge=1, le=500)] = 20
) -> ScalingView:
    """Why a group has the size it has."""
    api.context.require(caller, Verb.READ)
    decision, rate, floors = await api.context.peers.autoscaler.explain(group)
    decisions = await api.context.peers.autoscaler.decisions(group, page_size)
    ratings = await api.context.peers.autoscaler.ratings(group, 1)
    return ScalingView(
        group=group,
        decision=decision,
        node_rate=rate,
        rated=ratings[0] if ratings else None,
        floors=floors,
        decisions=tuple(decisions),
    )


@router.get("/explain")
async def explain(
    api: Api, caller: Caller, scope: str, do: Annotated[str, Query(description="e.g. deploy, scale-out")] = ""
) -> Explanation:
    """Everything that bears on a scope; with `do`, whether it would be admitted now and every reason why not."""
    return await api.explaining.explain(caller, scope, do)


@router.get("/timeline")
async def timeline(
    api: Api,
    caller: Caller,
    scope: str = "",
    since: Annotated[float, Query(description="seconds since the epoch")] = 0.0,
    page_size: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Timeline:
    """What happened, newest first."""
    return await api.explaining.timeline(caller, scope, since, page_size)
