"""What the admin API needs from outside: a store whose writes go together, workflows, a place for code, secrets."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from services.admin_api.domain.records import (
    AuditEntry,
    AuditRow,
    Event,
    ObjectKey,
    Operation,
    Plan,
    Spec,
    StoredObject,
    TokenRecord,
)
from shared.domain.names import Workspace


class Objects(Protocol):
    """Intent, with its history."""

    async def read(self, workspace: Workspace, *, lock: bool = False) -> dict[ObjectKey, StoredObject]:
        """All objects of a workspace, deleted ones too; `lock` keeps other writers out until the end of the unit."""
        ...

    async def write(self, stored: StoredObject) -> None:
        """Keep it, and its generation in the history."""
        ...

    async def spec_at(self, workspace: Workspace, key: ObjectKey, generation: int) -> Spec | None:
        """What an object was at a generation."""
        ...


class Plans(Protocol):
    """Plans that were shown."""

    async def add(self, plan: Plan) -> None:
        """Keep it."""
        ...

    async def get(self, plan_id: str, *, lock: bool = False) -> Plan | None:
        """One plan."""
        ...

    async def applied(self, plan_id: str, operation_id: str) -> None:
        """It was handed over."""
        ...


class Operations(Protocol):
    """Long work."""

    async def add(self, operation: Operation) -> None:
        """Keep it."""
        ...

    async def update(self, operation: Operation) -> None:
        """Keep its new state."""
        ...

    async def get(self, operation_id: str) -> Operation | None:
        """One operation."""
        ...

    async def unended(self, limit: int) -> list[Operation]:
        """Those that are queued or running, oldest first."""
        ...

    async def newest(self, workspace: Workspace, limit: int) -> list[Operation]:
        """Newest first."""
        ...


class Audit(Protocol):
    """The hash-chained log."""

    async def append(self, entry: AuditEntry) -> AuditRow:
        """Add to the chain; writers wait for one another."""
        ...

    async def newest(self, limit: int, before_seq: int | None = None) -> list[AuditRow]:
        """Newest first."""
        ...


class Tokens(Protocol):
    """Credentials."""

    async def add(self, record: TokenRecord, digest: str) -> None:
        """Keep it; AlreadyExists when the name is taken."""
        ...

    async def put_bootstrap(self, record: TokenRecord, digest: str) -> None:
        """Make this the bootstrap token, in place of an earlier one."""
        ...

    async def by_digest(self, digest: str) -> TokenRecord | None:
        """The token of that digest."""
        ...

    async def newest(self) -> list[TokenRecord]:
        """All of them."""
        ...

    async def revoke(self, token_id: str, at: datetime) -> bool:
        """False when there is none."""
        ...


class Events(Protocol):
    """What changed, for streams."""

    async def append(  # noqa: PLR0913  an event has this many parts
        self, at: datetime, workspace: str, kind: str, name: str, generation: int, body: Mapping[str, Any] | None
    ) -> None:
        """Add one; writers wait for one another, so that `seq` never shows a gap that fills later."""
        ...

    async def after(self, seq: int, limit: int) -> list[Event]:
        """Oldest first."""
        ...

    async def bounds(self) -> tuple[int, int]:
        """Oldest and newest `seq` kept; (0, 0) when there is none."""
        ...

    async def newest(self, kinds: Sequence[str], limit: int) -> list[Event]:
        """Newest first."""
        ...

    async def latest_bodies(self, kinds: Sequence[str]) -> dict[tuple[str, str], Mapping[str, Any] | None]:
        """The newest body per kind and name."""
        ...

    async def trim(self, keep: int) -> None:
        """Forget all but the newest `keep`."""
        ...


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """What was answered under an idempotency key; `status` 0 while the first request still runs."""

    fingerprint: str
    status: int
    body: bytes


class Answers(Protocol):
    """Answers by idempotency key."""

    async def claim(
        self, owner: str, key: str, fingerprint: str, at: datetime, forget_before: datetime
    ) -> KeptAnswer | None:
        """None when the key is new and now ours; else what is kept under it."""
        ...

    async def keep(self, owner: str, key: str, status: int, body: bytes) -> None:
        """Record the answer."""
        ...

    async def release(self, owner: str, key: str) -> None:
        """Nothing was done: the key may be used again."""
        ...


@dataclass(frozen=True, slots=True)
class CodeRecord:
    """A code bundle that was published."""

    sha256: str
    url: str
    size: int


class CodeIndex(Protocol):
    """Which code bundles there are."""

    async def add(self, record: CodeRecord, at: datetime, by: str) -> None:
        """Keep it; the same again changes nothing."""
        ...

    async def get(self, sha256: str) -> CodeRecord | None:
        """One bundle."""
        ...


class Unit(Protocol):
    """The stores within one transaction."""

    @property
    def objects(self) -> Objects:
        """Intent."""
        ...

    @property
    def plans(self) -> Plans:
        """Plans."""
        ...

    @property
    def operations(self) -> Operations:
        """Long work."""
        ...

    @property
    def audit(self) -> Audit:
        """The audit log."""
        ...

    @property
    def tokens(self) -> Tokens:
        """Credentials."""
        ...

    @property
    def events(self) -> Events:
        """Changes."""
        ...

    @property
    def answers(self) -> Answers:
        """Answers by idempotency key."""
        ...

    @property
    def code(self) -> CodeIndex:
        """Code bundles."""
        ...


class Store(Protocol):
    """Where all of it lies."""

    def unit(self) -> AbstractAsyncContextManager[Unit]:
        """One transaction: committed at the end of the block, undone by an exception."""
        ...


@dataclass(frozen=True, slots=True)
class WorkflowState:
    """A workflow run: `status` is running, completed, failed, cancelled, terminated, timed_out or continued."""

    status: str
    run_id: str
    result: Mapping[str, Any] | None = None
    failure: str = ""
    closed_at: datetime | None = None
    request_id: str = ""  # of the request it works on, where it says so


class Workflows(Protocol):
    """Temporal; Unavailable when it does not answer."""

    async def start(self, workflow_type: str, workflow_id: str, value: Mapping[str, Any] | None, *, again: bool) -> str:
        """Start and give the run id. `again`: an ended run of that id does not stand in the way, a running one does.

        AlreadyExists when one stands in the way.
        """
        ...

    async def state(self, workflow_id: str, run_id: str) -> WorkflowState | None:
        """None when there is no such run; an empty run id means the newest."""
        ...

    async def progress(self, workflow_id: str, run_id: str) -> Any:
        """The answer of its query `progress`; None when nobody answers."""
        ...

    async def tell(self, workflow_id: str, signal: str, value: Mapping[str, Any] | str) -> None:
        """Send a signal to the newest run; NotFound when none runs."""
        ...

    async def cancel(self, workflow_id: str, run_id: str) -> None:
        """Ask it to end; it undoes what it began."""
        ...


class CodeStore(Protocol):
    """The bundle bucket."""

    async def put(self, sha256: str, content: bytes) -> str:
        """Publish once under its own digest; gives the URL."""
        ...

    async def put_sample(self, sha256: str, content: bytes) -> str:
        """Keep events that a rating sends, under their own digest; gives the URL."""
        ...


class Credentials(Protocol):
    """New secrets."""

    def new_token(self) -> str:
        """Text with at least 256 bits of chance."""
        ...
