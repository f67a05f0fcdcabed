"""What the Provisioner needs from outside, in its own words. Every failure is an error of `shared.domain.errors`."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from pathlib import Path
from typing import Protocol

from services.provisioner.domain.dead_letters import Letter, Shelf
from services.provisioner.domain.declared import DeclaredFields
from services.provisioner.domain.group import Bundle, FleetState, Inventory
from services.provisioner.domain.group_stack import Site
from services.provisioner.domain.load import LoadFound, LoadOrder, LoadStep
from services.provisioner.domain.pipeline import TopicPlan
from services.provisioner.domain.resources import StackPlan
from services.provisioner.domain.runs import ProcessMark, StackBusy, StackDifference, StackOutcome
from services.provisioner.domain.warnings import NodePrice
from shared.domain.names import FleetId, GroupName, Workspace

LiveFields = Mapping[str, Mapping[str, str] | None]
OnProcess = Callable[[ProcessMark], Awaitable[None]]


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
