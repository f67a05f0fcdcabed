"""What changed in the services since the last look, as events: one line per change, none per tick."""

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel

from services.admin_api.operations.context import Context
from services.admin_api.operations.peers import Asked

EVENTS_KEPT = 20_000
EVENT_BYTES_MAX = 8 * 1024
TRIM_EVERY = 100  # looks
Model = TypeVar("Model", bound=BaseModel)
Shape = Mapping[str, Any]

LOOKED_AT: dict[str, tuple[str, ...]] = {  # the fields whose change is an event
    "verdict": ("state", "effective", "quieted", "flapping", "cause"),
    "activity": ("state", "outcome"),
    "alarm": ("state", "quieted_by"),
    "deployment": ("phase", "step", "step_text", "ended_at"),
    "group-status": ("phase", "detail", "fleets"),
    "pipeline-status": ("phase", "detail", "ramp_percent"),
    "drift": ("state", "live"),
}


class Watching:
    """Looks at the services, appends what changed."""

    def __init__(self, context: Context) -> None:
        """Over the ports of `context`."""
        self._context = context
        self._known: dict[tuple[str, str], Shape] | None = None
        self._looks = 0

    async def tick(self) -> None:
        """One look. A service that does not answer changes nothing."""
        if self._known is None:
            self._known = await self._recorded()
        changed = 0
        for kind, name, body in await self._look():
            shape = shape_of(kind, body)
            if self._known.get((kind, name)) == shape:
                continue
            await self._append(kind, name, body)
            self._known[kind, name] = shape
            changed += 1
        self._looks += 1
        if self._looks % TRIM_EVERY == 0:
            async with self._context.store.unit() as unit:
                await unit.events.trim(EVENTS_KEPT)
        if changed:
            self._context.changed()

    async def _recorded(self) -> dict[tuple[str, str], Shape]:
        async with self._context.store.unit() as unit:
            bodies = await unit.events.latest_bodies(tuple(LOOKED_AT))
        return {key: shape_of(key[0], body or {}) for key, body in bodies.items()}

    async def _append(self, kind: str, name: str, body: Mapping[str, Any]) -> None:
        small = len(json.dumps(body)) <= EVENT_BYTES_MAX
        async with self._context.store.unit() as unit:
            await unit.events.append(
                self._context.clock.now(),
                self._context.workspace,
                kind,
                name,
                int(body.get("generation") or 0),
                body if small else shape_of(kind, body),
            )

    async def _look(self) -> list[tuple[str, str, dict[str, Any]]]:
        asked, peers = Asked(), self._context.peers
        verdicts, activities, alarms, deployments, inventory, drift = await asyncio.gather(
            asked.of("observer", peers.observer.verdicts()),
            asked.of("observer", peers.observer.activities(include_ended=True)),
            asked.of("observer", peers.observer.alarms(include_resolved=True)),
            asked.of("deployer", peers.deployer.deployments()),
            asked.of("provisioner", peers.provisioner.inventory()),
            asked.of("provisioner", peers.provisioner.drift(include_repaired=True)),
        )
        groups, pipelines = inventory if inventory is not None else ((), ())
        return [
            *_named("verdict", verdicts, lambda v: v.scope),
            *_named("activity", reversed(activities or ()), lambda a: a.id),
            *_named("alarm", alarms, lambda a: a.id),
            *_named("deployment", reversed(deployments or ()), lambda d: d.id),
            *_named("group-status", groups, lambda g: g.spec.name),
            *_named("pipeline-status", pipelines, lambda p: p.spec.name),
            *_named("drift", drift, lambda f: f.id or f"{f.group}/{f.resource}/{f.field}"),
        ]


def shape_of(kind: str, body: Mapping[str, Any]) -> Shape:
    """The part of a body whose change counts.

    >>> shape_of("alarm", {"state": "firing", "since": 3.0, "quieted_by": ""})
    {'state': 'firing', 'quieted_by': ''}
    """
    return {name: body.get(name) for name in LOOKED_AT[kind]}


def _named(
    kind: str, models: Iterable[Model] | None, name: Callable[[Model], str]
) -> Sequence[tuple[str, str, dict[str, Any]]]:
    return [(kind, name(m), m.model_dump(mode="json")) for m in models or ()]
