"""The stores in memory, for simulation: held to PostgreSQL by a differential test, so they are no mocks."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from services.provisioner.adapters.postgres_groups import stale_generation, superseded
from services.provisioner.domain.declared import DeclaredFields
from services.provisioner.domain.drift import Finding
from services.provisioner.domain.environment import EnvironmentIntent, EnvironmentState
from services.provisioner.domain.group import Bundle, Fleet, Group, GroupIntent, StageSeat
from services.provisioner.domain.pipeline import PipelineIntent, PipelineState
from services.provisioner.domain.runs import ProcessMark, StackRun
from services.provisioner.domain.traffic import GroupRoutes
from shared.domain.names import FleetId, GroupName, PipelineName
from shared.domain.scope import group_scope


class MemoryGroups:
    """`GroupStore`."""

    def __init__(self, fences: "MemoryFences") -> None:
        """Empty; weights are written under `fences`."""
        self._fences = fences
        self._groups: dict[GroupName, Group] = {}
        self._fleets: dict[FleetId, Fleet] = {}

    def _whole(self, name: GroupName) -> Group:
        fleets = sorted((f for f in self._fleets.values() if f.group == name), key=lambda f: f.revision)
        return replace(self._groups[name], fleets=tuple(fleets))

    async def register(self, intent: GroupIntent) -> Group:
        """Keep the intent."""
        known = self._groups.get(intent.name)
        if known and known.intent.generation > intent.generation:
            raise stale_generation("group", intent.name, intent.generation, known.intent.generation)
        self._groups[intent.name] = replace(known, intent=intent) if known else Group(intent)
        return self._whole(intent.name)

    async def get(self, name: GroupName) -> Group | None:
        """One group."""
        return self._whole(name) if name in self._groups else None

    async def all(self) -> tuple[Group, ...]:
        """Every group."""
        return tuple(self._whole(n) for n in sorted(self._groups))

    async def set_phase(self, name: GroupName, phase: str, detail: str) -> None:
        """How far it is."""
        if name in self._groups:
            self._groups[name] = replace(self._groups[name], phase=phase, detail=detail)

    async def put_fleet(self, fleet: Fleet) -> Fleet:
        """Add a fleet, or find it."""
        known = self._fleets.get(fleet.id)
        self._fleets[fleet.id] = replace(known, leaving=False) if known else fleet
        return self._fleets[fleet.id]

    async def mark_leaving(self, fleet: FleetId) -> None:
        """No longer part of the stack."""
        if fleet in self._fleets:
            self._fleets[fleet] = replace(self._fleets[fleet], leaving=True, weight=0)

    async def drop_fleet(self, fleet: FleetId) -> None:
        """Gone."""
        self._fleets.pop(fleet, None)

    async def set_weights(self, group: GroupName, weights: Mapping[FleetId, int], token: int) -> None:
        """Absolute weights, fenced."""
        await self._fences.check(str(group_scope(group)), token)
        for fleet, weight in weights.items():
            known = self._fleets.get(fleet)
            if known and known.group == group:
                self._fleets[fleet] = replace(known, weight=weight)

    async def seat(self, pipeline: PipelineName, seats: Mapping[GroupName, StageSeat]) -> tuple[GroupName, ...]:
        """Stages onto groups."""
        changed: set[GroupName] = set()
        for name, group in list(self._groups.items()):
            wanted = seats.get(name)
            freed = wanted is None and group.seat is not None and group.seat.pipeline == pipeline
            if freed or (wanted is not None and wanted != group.seat):
                self._groups[name] = replace(group, seat=wanted)
                changed.add(name)
        return tuple(sorted(changed))

    async def remove(self, name: GroupName) -> None:
        """Gone, with its fleets."""
        self._groups.pop(name, None)
        for fleet in [f.id for f in self._fleets.values() if f.group == name]:
            del self._fleets[fleet]


class MemoryFences:
    """`Fences`."""

    def __init__(self) -> None:
        """Empty."""
        self._seen: dict[str, int] = {}

    async def check(self, scope: str, token: int) -> None:
        """Remember the highest token of a scope."""
        self._seen[scope] = max(token, self._seen.get(scope, token))
        if self._seen[scope] > token:
            raise superseded(scope, token, self._seen[scope])


class MemoryPipelines:
    """`PipelineStore`."""

    def __init__(self) -> None:
        """Empty."""
        self._pipelines: dict[PipelineName, PipelineState] = {}

    async def register(self, intent: PipelineIntent) -> PipelineState:
        """Keep the intent."""
        known = self._pipelines.get(intent.name)
        if known and known.intent.generation > intent.generation:
            raise stale_generation("pipeline", intent.name, intent.generation, known.intent.generation)
        now = replace(known, intent=intent) if known else PipelineState(intent, "CREATING")
        self._pipelines[intent.name] = now
        return now

    async def get(self, name: PipelineName) -> PipelineState | None:
        """One pipeline."""
        return self._pipelines.get(name)

    async def all(self) -> tuple[PipelineState, ...]:
        """Every pipeline."""
        return tuple(self._pipelines[n] for n in sorted(self._pipelines))

    async def set_phase(self, name: PipelineName, phase: str, detail: str) -> None:
        """How far it is."""
        if name in self._pipelines:
            self._pipelines[name] = replace(self._pipelines[name], phase=phase, detail=detail)

    async def set_ramp(self, name: PipelineName, percent: int) -> None:
        """Share admitted."""
        if name in self._pipelines:
            self._pipelines[name] = replace(self._pipelines[name], ramp_percent=percent)

    async def remove(self, name: PipelineName) -> None:
        """Gone."""
        self._pipelines.pop(name, None)


class MemoryEnvironments:
    """`EnvironmentStore`."""

    def __init__(self) -> None:
        """Empty."""
        self._environments: dict[str, EnvironmentState] = {}

    async def register(self, intent: EnvironmentIntent) -> EnvironmentState:
        """Keep the intent; one that is READY stays so."""
        known = self._environments.get(intent.name)
        if known and known.intent.generation > intent.generation:
            raise stale_generation("environment", intent.name, intent.generation, known.intent.generation)
        if known is None:
            now = EnvironmentState(intent, "BUILDING")
        elif known.phase == "READY" and _build_of(known.intent) == _build_of(intent):
            now = replace(known, intent=intent)
        else:
            now = replace(known, intent=intent, phase="BUILDING", detail="")
        self._environments[intent.name] = now
        return now

    async def get(self, name: str) -> EnvironmentState | None:
        """One environment."""
        return self._environments.get(name)

    async def all(self) -> tuple[EnvironmentState, ...]:
        """Every environment."""
        return tuple(self._environments[n] for n in sorted(self._environments))

    async def finish(self, name: str, generation: int, digest: str, bundle: Bundle, locked: str) -> None:
        """Built."""
        known = self._environments.get(name)
        if known and known.intent.generation == generation:
            self._environments[name] = EnvironmentState(known.intent, "READY", "", digest, bundle, locked)

    async def fail(self, name: str, generation: int, detail: str) -> None:
        """Not built."""
        known = self._environments.get(name)
        if known and known.intent.generation == generation:
            self._environments[name] = replace(known, phase="ERROR", detail=detail)

    async def remove(self, name: str) -> None:
        """Gone."""
        self._environments.pop(name, None)


def _build_of(intent: EnvironmentIntent) -> tuple[str, str]:
    return intent.requirements, intent.python


class MemoryStacks:
    """`StackStore`."""

    def __init__(self) -> None:
        """Empty."""
        self._runs: dict[str, StackRun] = {}
        self._declared: dict[GroupName, DeclaredFields] = {}

    async def open(self, run: StackRun) -> None:
        """The intent of a run."""
        self._runs[run.id] = run

    async def note_process(self, run: str, process: ProcessMark) -> None:
        """One process more."""
        if run in self._runs:
            self._runs[run] = replace(self._runs[run], processes=(*self._runs[run].processes, process))

    async def close(self, run: str, state: str, detail: str, at: datetime) -> None:  # noqa: ARG002  memory keeps no end
        """The result of a run."""
        if run in self._runs and self._runs[run].state == "running":
            self._runs[run] = replace(self._runs[run], state=state, detail=detail)

    async def runs(self, stack: str, limit: int) -> tuple[StackRun, ...]:
        """Newest first."""
        of = [r for r in self._runs.values() if r.stack == stack]
        return tuple(sorted(of, key=lambda r: (r.began_at, r.id), reverse=True)[:limit])

    async def running(self) -> tuple[StackRun, ...]:
        """Not closed."""
        of = [r for r in self._runs.values() if r.state == "running"]
        return tuple(sorted(of, key=lambda r: (r.began_at, r.id)))

    async def declare(self, group: GroupName, fields: DeclaredFields) -> None:
        """What the stack holds."""
        self._declared[group] = {resource: dict(values) for resource, values in fields.items()}

    async def declared(self) -> Mapping[GroupName, DeclaredFields]:
        """Of every group."""
        return dict(self._declared)

    async def forget(self, group: GroupName) -> None:
        """Gone."""
        self._declared.pop(group, None)


class MemoryDrift:
    """`DriftStore`."""

    def __init__(self) -> None:
        """Empty."""
        self._findings: dict[str, Finding] = {}

    async def put(self, findings: Sequence[Finding]) -> None:
        """By id."""
        self._findings.update({f.id: f for f in findings})

    async def list(self, group: GroupName | None, *, include_repaired: bool) -> tuple[Finding, ...]:
        """Oldest first."""
        of = [
            f
            for f in self._findings.values()
            if group in (None, f.group) and (include_repaired or f.state != "repaired")
        ]
        return tuple(sorted(of, key=lambda f: (f.found_at, f.id)))


class MemoryRoutes:
    """`RouteStore`."""

    def __init__(self) -> None:
        """Empty."""
        self._routes: dict[GroupName, GroupRoutes] = {}

    async def all(self) -> Mapping[GroupName, GroupRoutes]:
        """Every group's routes."""
        return dict(sorted(self._routes.items()))

    async def save(self, routes: GroupRoutes, expected: int) -> bool:
        """Compare and set on the generation."""
        known = self._routes.get(routes.group)
        if (known.generation if known else 0) != expected:
            return False
        self._routes[routes.group] = routes
        return True


class MemoryNodes:
    """`NodeStore`."""

    def __init__(self) -> None:
        """Empty."""
        self._nodes: dict[str, tuple[str, datetime]] = {}

    async def claim(self, machine: str, group: GroupName, fleet: FleetId, key_digest: str, at: datetime) -> str:  # noqa: ARG002  memory needs neither
        """The first key of a machine counts."""
        return self._nodes.setdefault(machine, (key_digest, at))[0]

    async def all(self) -> Mapping[str, datetime]:
        """Who joined when."""
        return {m: at for m, (_, at) in sorted(self._nodes.items())}

    async def forget(self, machines: Sequence[str]) -> None:
        """Gone."""
        for machine in machines:
            self._nodes.pop(machine, None)
