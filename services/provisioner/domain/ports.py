"""What the Provisioner needs from outside, in its own words. Every failure is an error of `shared.domain.errors`."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from pathlib import Path
from typing import Protocol

from services.provisioner.domain.dead_letters import Letter, Shelf
from services.provisioner.domain.drift import Finding
from services.provisioner.domain.environment import EnvironmentIntent, EnvironmentState
from services.provisioner.domain.group import Bundle, Fleet, FleetState, Group, GroupIntent, Inventory, StageSeat
from services.provisioner.domain.group_stack import Site
from services.provisioner.domain.load import LoadFound, LoadOrder, LoadStep
from services.provisioner.domain.pipeline import PipelineIntent, PipelineState, TopicPlan
from services.provisioner.domain.resources import StackPlan
from services.provisioner.domain.runs import ProcessMark, StackBusy, StackDifference, StackOutcome, StackRun
from services.provisioner.domain.traffic import GroupRoutes
from services.provisioner.domain.warnings import NodePrice
from shared.domain.names import FleetId, GroupName, PipelineName, Workspace

DeclaredFields = Mapping[str, Mapping[str, str]]
LiveFields = Mapping[str, Mapping[str, str] | None]
OnProcess = Callable[[ProcessMark], Awaitable[None]]

# ------------------------------------------------------------------------------------------------------------- stores


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


# ------------------------------------------------------------------------------------------------------------ outside


class Stacks(Protocol):
    """Pulumi. `on_process` is awaited before a process of the run does anything."""

    async def up(self, plan: StackPlan, on_process: OnProcess, *, refresh: bool) -> StackOutcome | StackBusy:
        """Make the world as planned. Cancelling ends the process politely and waits for it."""
        ...

    async def destroy(self, plan: StackPlan, on_process: OnProcess) -> StackOutcome | StackBusy:
        """Remove everything and the stack."""
        ...

    async def differences(self, plan: StackPlan) -> tuple[StackDifference, ...]:
        """The engine's own refresh, read only."""
        ...

    async def recover(self, plan: StackPlan, dead: Sequence[ProcessMark]) -> str:
        """After a crash: break a lock that one of the dead holds, adopt or clear half-made resources; what was done."""
        ...


class Processes(Protocol):
    """Processes of this host."""

    def alive(self, process: ProcessMark) -> bool:
        """Whether it may still run; one of another host may."""
        ...

    async def end(self, process: ProcessMark) -> None:
        """End it: politely, then not."""
        ...


class Machines(Protocol):
    """AWS, reading."""

    async def inventory(self) -> Inventory:
        """Every managed fleet."""
        ...

    async def fleet(self, asg: str) -> FleetState | None:
        """One fleet, read now; None when there is none."""
        ...

    async def fleet_of(self, machine: str) -> FleetId | None:
        """The fleet of a machine that is on its way in or in service, read now."""
        ...

    async def last_failure(self, asg: str) -> str:
        """The text of the newest scaling activity, when it failed; else empty."""
        ...

    async def shapes(self, declared: Mapping[GroupName, DeclaredFields]) -> Mapping[GroupName, LiveFields]:
        """The live fields of declared resources, in a few calls for all groups; None for a resource that is gone."""
        ...


class Prices(Protocol):
    """AWS's price list."""

    async def of(self, node_type: str) -> NodePrice | None:
        """A machine of a type, on demand, in our region; None when the list does not have it."""
        ...


class Sites(Protocol):
    """Where stacks stand."""

    async def site(self) -> Site:
        """Network, image, bucket."""
        ...


class Bundles(Protocol):
    """The bundle store: what is there never changes."""

    async def find(self, key: str) -> Bundle | None:
        """An object by its key."""
        ...

    async def read(self, url: str, bytes_max: int) -> bytes:
        """A whole object; NotFound, or InvalidInput when it is larger."""
        ...

    async def put_text(self, folder: str, text: str) -> Bundle:
        """Keep a text under its own sha256."""
        ...

    async def put_file(self, key: str, path: Path) -> Bundle:
        """Keep a file."""
        ...


class JoinTokens(Protocol):
    """One secret per fleet."""

    async def ensure(self, parameter: str) -> str:
        """Make the token if there is none; the sha256 of the one that is there."""
        ...

    async def remove(self, parameter: str) -> None:
        """It is gone."""
        ...


class Topics(Protocol):
    """The broker's topics."""

    async def ensure(self, topics: Sequence[TopicPlan]) -> None:
        """Make those that are missing and grow those that are too small; InvalidInput for one that is larger."""
        ...

    async def remove(self, names: Sequence[str]) -> None:
        """They are gone; one that never was is fine."""
        ...

    async def remove_below(self, prefix: str) -> None:
        """Every topic whose name begins so is gone; none is fine."""
        ...


class Redrive(Protocol):
    """One redrive of a dead-letter topic."""

    async def send(self, letters: Sequence[Letter]) -> None:
        """To the stage again, each with its marker: all of them, or none. Conflict when another redrive has begun."""
        ...


class DeadLetterTopics(Protocol):
    """Dead letters on the broker."""

    async def read(self, topic: str) -> Shelf:
        """What it holds."""
        ...

    def redrive(self, dead: str, back: str) -> AbstractAsyncContextManager[Redrive]:
        """Begin one from topic `dead` to topic `back`; an earlier one that still runs cannot send any more."""
        ...


class LoadDriver(Protocol):
    """Load on one node, straight to it, beside all routes."""

    async def drive(self, order: LoadOrder) -> LoadStep | LoadFound:
        """Drive the step that comes next, or say what the steps have found.

        InvalidInput when the node takes nothing of the sample; Unavailable when it does not answer.
        """
        ...


class RouteMirror(Protocol):
    """Routes for clients and nodes; cheap to recompute, so it may be lost."""

    async def restore(self, workspace: Workspace, documents: Mapping[GroupName, str]) -> tuple[GroupName, ...]:
        """Write what is missing or older than given (JSON with `generation`) and announce it; the groups written."""
        ...


class Authority(Protocol):
    """The stack's certificate authority."""

    @property
    def certificate_pem(self) -> str:
        """Public."""
        ...

    def key_digest(self, csr_pem: str) -> str:
        """Check the request's own signature; the sha256 of its public key."""
        ...

    def sign(self, csr_pem: str, uri: str, address: str, now: datetime) -> str:
        """A machine's certificate, PEM."""
        ...


class EnvironmentBuilds(Protocol):
    """uv."""

    @property
    def python(self) -> str:
        """The Python that machines run, `major.minor`."""
        ...

    async def lock(self, name: str, requirements: str) -> str:
        """Pinned requirements with hashes; InvalidInput names the requirement that cannot be resolved."""
        ...

    async def build(self, name: str, locked: str) -> Path:
        """A tar.gz with `site/`; the same bytes for the same lock. The caller discards it."""
        ...

    async def discard(self, path: Path) -> None:
        """Remove what `build` made."""
        ...


class Leases(Protocol):
    """The Observer's word about an activity."""

    async def renew(self, activity: str, token: int) -> float:
        """Seconds that the lease has now; StaleLease when it lapsed, ended or was taken over."""
        ...
