"""What the Provisioner remembers, in its own words. Every failure is an error of `shared.domain.errors`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from services.provisioner.domain.declared import DeclaredFields
from services.provisioner.domain.drift import Finding
from services.provisioner.domain.environment import EnvironmentIntent, EnvironmentState
from services.provisioner.domain.group import Bundle, Fleet, Group, GroupIntent, StageSeat
from services.provisioner.domain.pipeline import PipelineIntent, PipelineState
from services.provisioner.domain.runs import ProcessMark, StackRun
from services.provisioner.domain.traffic import GroupRoutes
from shared.domain.names import FleetId, GroupName, PipelineName


class GroupStore(Protocol):
    """Groups and their fleets. Each method is one transaction."""

    async def register(self, intent: GroupIntent) -> Group:
        """Keep the intent; Conflict when a newer generation is known. The same one twice is the same."""
        ...

    async def get(self, name: GroupName) -> Group | None:
        """One group."""
        ...

    async def all(self) -> tuple[Group, ...]:
        """Every group, by name."""
        ...

    async def set_phase(self, name: GroupName, phase: str, detail: str) -> None:
        """How far it is."""
        ...

    async def put_fleet(self, fleet: Fleet) -> Fleet:
        """Add a fleet; one that is known is given back as it is, but no longer leaving."""
        ...

    async def mark_leaving(self, fleet: FleetId) -> None:
        """It is no longer part of the stack and takes no traffic."""
        ...

    async def drop_fleet(self, fleet: FleetId) -> None:
        """It is gone."""
        ...

    async def set_weights(self, group: GroupName, weights: Mapping[FleetId, int], token: int) -> None:
        """Absolute weights of these fleets; StaleLease, and nothing is written, when the group's fence has seen a higher token."""
        ...

    async def seat(self, pipeline: PipelineName, seats: Mapping[GroupName, StageSeat]) -> tuple[GroupName, ...]:
        """Give the pipeline's stages their groups, and free its other ones; the names of the groups that changed."""
        ...

    async def remove(self, name: GroupName) -> None:
        """It is gone, with its fleets."""
        ...


class Fences(Protocol):
    """Fencing tokens seen per scope."""

    async def check(self, scope: str, token: int) -> None:
        """Remember the token; StaleLease when a higher one was seen."""
        ...


class PipelineStore(Protocol):
    """Pipelines."""

    async def register(self, intent: PipelineIntent) -> PipelineState:
        """Keep the intent; Conflict when a newer generation is known."""
        ...

    async def get(self, name: PipelineName) -> PipelineState | None:
        """One pipeline."""
        ...

    async def all(self) -> tuple[PipelineState, ...]:
        """Every pipeline, by name."""
        ...

    async def set_phase(self, name: PipelineName, phase: str, detail: str) -> None:
        """How far it is."""
        ...

    async def set_ramp(self, name: PipelineName, percent: int) -> None:
        """Share of the key-hash buckets admitted."""
        ...

    async def remove(self, name: PipelineName) -> None:
        """It is gone."""
        ...


class EnvironmentStore(Protocol):
    """Environments."""

    async def register(self, intent: EnvironmentIntent) -> EnvironmentState:
        """Keep the intent, BUILDING unless this very one is READY; Conflict when a newer generation is known."""
        ...

    async def get(self, name: str) -> EnvironmentState | None:
        """One environment."""
        ...

    async def all(self) -> tuple[EnvironmentState, ...]:
        """Every environment, by name."""
        ...

    async def finish(self, name: str, generation: int, digest: str, bundle: Bundle, locked: str) -> None:
        """It is built; nothing happens when another generation was registered meanwhile."""
        ...

    async def fail(self, name: str, generation: int, detail: str) -> None:
        """It could not be built."""
        ...

    async def remove(self, name: str) -> None:
        """It is gone."""
        ...


class StackStore(Protocol):
    """Runs of Pulumi, and what each stack declared when it was last applied."""

    async def open(self, run: StackRun) -> None:
        """Before the first process."""
        ...

    async def note_process(self, run: str, process: ProcessMark) -> None:
        """A process of the run."""
        ...

    async def close(self, run: str, state: str, detail: str, at: datetime) -> None:
        """After the last process."""
        ...

    async def runs(self, stack: str, limit: int) -> tuple[StackRun, ...]:
        """Newest first."""
        ...

    async def running(self) -> tuple[StackRun, ...]:
        """Every run that was not closed, oldest first."""
        ...

    async def declare(self, group: GroupName, fields: DeclaredFields) -> None:
        """What the stack holds now, by our word."""
        ...

    async def declared(self) -> Mapping[GroupName, DeclaredFields]:
        """Of every group."""
        ...

    async def forget(self, group: GroupName) -> None:
        """The stack is gone."""
        ...


class DriftStore(Protocol):
    """Drift findings."""

    async def put(self, findings: Sequence[Finding]) -> None:
        """Write findings by id."""
        ...

    async def list(self, group: GroupName | None, *, include_repaired: bool) -> tuple[Finding, ...]:
        """Findings, oldest first; repaired ones when asked for."""
        ...


class RouteStore(Protocol):
    """Routes; their generation only grows, also over the removal of a group."""

    async def all(self) -> Mapping[GroupName, GroupRoutes]:
        """Every group's routes."""
        ...

    async def save(self, routes: GroupRoutes, expected: int) -> bool:
        """Write them when the stored generation is `expected` (0: none is stored); whether they were written."""
        ...


class NodeStore(Protocol):
    """Machines that have joined."""

    async def claim(self, machine: str, group: GroupName, fleet: FleetId, key_digest: str, at: datetime) -> str:
        """Remember the machine's key, unless one is known; the digest of the key that counts."""
        ...

    async def all(self) -> Mapping[str, datetime]:
        """Machines and when they joined."""
        ...

    async def forget(self, machines: Sequence[str]) -> None:
        """They are gone."""
        ...
