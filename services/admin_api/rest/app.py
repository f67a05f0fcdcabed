"""The FastAPI application."""

from fastapi import FastAPI, Request
from fastapi.routing import APIRoute

from services.admin_api.api import AdminApi
from services.admin_api.rest import dead_letters, looks, objects, people, ratings, stream, work
from services.admin_api.rest.changes import Changes
from services.admin_api.rest.edge import Edge
from services.admin_api.rest.problems import add_problem_handlers

TITLE, VERSION = "Headrace admin API", "1"
DESCRIPTION = """Declare environments, server groups and pipelines; plan and apply; deploy, hold, explain.

Authenticate with `Authorization: Bearer TOKEN`. Writes take `Idempotency-Key`. Errors are RFC 9457 problems with
`code`, `field`, `reasons[]`, `retry_after_s` and `remedy`. Long work answers 202 with an operation."""


def make_app(api: AdminApi | None = None, changes: Changes | None = None) -> FastAPI:
    """With `api` None it can only be described (OpenAPI)."""
    app = FastAPI(
        title=TITLE,
        version=VERSION,
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        generate_unique_id_function=_operation_id,
    )
    app.state.admin = api
    app.state.changes = changes or Changes()
    routers = (work, ratings, objects, dead_letters, looks, people, stream)
    for router in (module.router for module in routers):
        app.include_router(router)
    app.add_api_route("/healthz", healthz, methods=["GET"], tags=["health"], include_in_schema=False)
    add_problem_handlers(app)
    app.add_middleware(Edge)
    return app


async def healthz(request: Request) -> dict[str, str]:
    """Alive, and whether PostgreSQL answers."""
    api: AdminApi = request.app.state.admin
    async with api.context.store.unit() as unit:
        await unit.events.bounds()
    return {"status": "ok"}


def _operation_id(route: APIRoute) -> str:
    return route.name.replace("-", "_")
