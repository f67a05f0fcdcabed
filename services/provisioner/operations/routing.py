"""Routes: reconciled from the facts every second or so, and at once when weights, ramps or assignments are written.

One code path: read groups, pipelines, stored routes and the newest inventory; compute; write what changed under
compare-and-set; mirror to Redis; wake the watchers. An inventory that could not be read changes nothing. A fleet that
AWS does not list keeps its last endpoints: not listed is not the same as empty.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass

import structlog

from services.provisioner.domain.group import Fleet, Group, Inventory
from services.provisioner.domain.pipeline import PipelineState
from services.provisioner.domain.ports import Machines, RouteMirror
from services.provisioner.domain.stores import GroupStore, PipelineStore, RouteStore
from services.provisioner.domain.traffic import FleetRoute, GroupRoutes, checked_weights, next_routes
from services.provisioner.operations.lease_guard import LeaseGuard
from services.provisioner.operations.translation import assignment_digest, routes_model
from shared.contracts.node import PORT_SERVE
from shared.contracts.provisioning import SetRampInput, SetWeightsInput
from shared.domain.errors import Conflict, NotFound, Unavailable
from shared.domain.names import GroupName, PipelineName, Workspace

SAVE_ATTEMPTS_MAX = 5
WATCH_BEAT_S = 10.0  # a watcher looks again by itself, whatever it may have missed
LOG = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Published:
    """What a watcher of a group is told."""

    routes: GroupRoutes
    group: Group
    pipeline: PipelineState | None
    document: str  # the routes as clients and nodes read them, JSON


class Routing:
    """Routes, weights and ramps."""

    def __init__(  # noqa: PLR0913  three stores, AWS, the mirror and the guard
        self,
        groups: GroupStore,
        pipelines: PipelineStore,
        store: RouteStore,
        machines: Machines,
        mirror: RouteMirror,
        guard: LeaseGuard,
    ) -> None:
        """One for the whole service."""
        self._groups = groups
        self._pipelines = pipelines
        self._store = store
        self._machines = machines
        self._mirror = mirror
        self._guard = guard
        self._published: dict[GroupName, Published] = {}
        self._changed = asyncio.Event()
        self.inventory: Inventory | None = None

    async def tick(self) -> None:
        """Look at AWS, then bring every group's routes up to date."""
        self.inventory = await self._machines.inventory()
        await self.publish(None)
        await self._restore()

    async def publish(self, only: Iterable[GroupName] | None) -> None:
        """Bring routes up to date with the stores and the last inventory; `only` some groups, or all."""
        names = None if only is None else frozenset(only)
        for _ in range(SAVE_ATTEMPTS_MAX):
            if await self._publish_once(names):
                return
        raise Conflict("routes: written by somebody else again and again", retry_after_s=1.0)

    async def _publish_once(self, names: frozenset[GroupName] | None) -> bool:
        groups = await self._groups.all()
        pipelines = {p.intent.name: p for p in await self._pipelines.all()}
        stored = await self._store.all()
        fresh: dict[GroupName, Published] = {}
        for group in groups:
            if names is not None and group.name not in names:
                continue
            pipeline = pipelines.get(group.seat.pipeline) if group.seat else None
            before = stored.get(group.name)
            routes = self._routes_now(group, pipeline, before)
            if routes != before and not await self._store.save(routes, before.generation if before else 0):
                return False
            known = self._published.get(group.name)
            document = known.document if known and known.routes == routes else routes_model(routes).model_dump_json()
            fresh[group.name] = Published(routes, group, pipeline, document)
        if names is None and not await self._bury(stored, {g.name for g in groups}):
            return False
        self._tell(fresh, {g.name for g in groups})
        return True

    def _routes_now(self, group: Group, pipeline: PipelineState | None, before: GroupRoutes | None) -> GroupRoutes:
        known = {f.fleet: (f.endpoints, f.zones) for f in before.fleets} if before else {}
        ramped = pipeline is not None and group.intent.kind == "ingest"
        return next_routes(
            before,
            group.name,
            [
                FleetRoute(f.id, f.revision, f.weight, *self._endpoints(f, known.get(f.id, ((), ()))))
                for f in group.fleets
                if not f.leaving
            ],
            pipeline.ramp_percent if pipeline and ramped else 100,
            assignment_digest(group, pipeline),
        )

    def _endpoints(
        self, fleet: Fleet, known: tuple[tuple[str, ...], tuple[str, ...]]
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Endpoints and, in the same order, their zones."""
        live = self.inventory.fleet(fleet.id) if self.inventory else None
        if live is None:
            return known
        serving = sorted((f"{m.address}:{PORT_SERVE}", m.zone) for m in live.machines if m.in_service and m.address)
        return tuple(e for e, _ in serving), tuple(z for _, z in serving)

    async def _bury(self, stored: Mapping[GroupName, GroupRoutes], living: set[GroupName]) -> bool:
        """A removed group's routes become empty; the row stays, so that its generation never starts again."""
        for name, routes in stored.items():
            if name in living or not routes.fleets:
                continue
            if not await self._store.save(next_routes(routes, name, (), 100, ""), routes.generation):
                return False
        return True

    def _tell(self, fresh: Mapping[GroupName, Published], living: set[GroupName]) -> None:
        changed = any(self._published.get(n) != p for n, p in fresh.items())
        for gone in [n for n in self._published if n not in living]:
            del self._published[gone]
            changed = True
        self._published.update(fresh)
        if changed:
            waiting, self._changed = self._changed, asyncio.Event()
            waiting.set()

    async def _restore(self) -> None:
        """Mirror everything: Redis may have been lost."""
        of: dict[Workspace, dict[GroupName, str]] = {}
        for name, published in self._published.items():
            of.setdefault(published.group.intent.workspace, {})[name] = published.document
        try:
            for workspace in sorted(of):
                await self._mirror.restore(workspace, of[workspace])
        except Unavailable as e:
            LOG.warning("routes not mirrored", error=str(e))

    async def published(self, group: GroupName) -> Published:
        """What is published about a group; NotFound when there is none."""
        if group not in self._published:
            await self.publish([group])
        found = self._published.get(group)
        if found is None:
            raise NotFound(f"group {group}: there is none", remedy="`headrace get server-groups` lists them")
        return found

    async def watch(self, group: GroupName, generation: int) -> AsyncIterator[Published]:
        """What is published now, unless it is the generation that the caller has, and whenever it changes."""
        seen = generation
        while True:
            changed = self._changed
            published = await self.published(group)
            if published.routes.generation != seen:
                seen = published.routes.generation
                yield published
            try:
                async with asyncio.timeout(WATCH_BEAT_S):
                    await changed.wait()
            except TimeoutError:
                continue

    async def set_weights(self, request: SetWeightsInput) -> None:
        """Which fleets take traffic, absolute."""
        name = GroupName(request.group)
        await self._guard.admit(request.lease, f"group/{name}")
        group = await self._groups.get(name)
        if group is None:
            raise NotFound(f"group {name}: there is none", remedy="apply it first")
        before = {f.id: f.weight for f in group.standing}
        await self._groups.set_weights(name, checked_weights(name, before, request.weights), request.lease.token)
        await self.publish([name])
        await self._restore()

    async def set_ramp(self, request: SetRampInput) -> None:
        """Share of the key-hash buckets that the ingest edge admits."""
        name = PipelineName(request.pipeline)
        if request.lease is not None:
            await self._guard.admit(request.lease, f"pipeline/{name}")
        if await self._pipelines.get(name) is None:
            raise NotFound(f"pipeline {name}: there is none", remedy="apply it first")
        await self._pipelines.set_ramp(name, request.percent)
        await self._pipelines.set_phase(name, "READY" if request.percent == 100 else "RAMPING", "")  # noqa: PLR2004
        await self.publish([g.name for g in await self._groups.all() if g.seat and g.seat.pipeline == name])
        await self._restore()
