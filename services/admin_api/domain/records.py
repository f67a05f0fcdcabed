"""What the admin API keeps: intent, plans, operations, tokens, the audit log, events. Times are aware, UTC.

A spec is the JSON of a user's object as `shared.contracts.objects` validated it; here it is data to compare.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from shared.domain.errors import AlreadyExists
from shared.domain.names import Workspace
from shared.domain.reason import Reason

Spec = Mapping[str, Any]
BOOTSTRAP_ID = "tok-bootstrap"


class ObjectKind(StrEnum):
    """The three kinds of intent, as URLs, plans and workflows name them."""

    ENVIRONMENT = "environment"
    SERVER_GROUP = "server-group"
    PIPELINE = "pipeline"


def kind_of_spec(spec: Spec) -> ObjectKind:
    """A server group's spec says which kind of group it is.

    >>> kind_of_spec({"kind": "transform"})
    <ObjectKind.SERVER_GROUP: 'server-group'>
    """
    kind = str(spec["kind"])
    return ObjectKind(kind) if kind in {"environment", "pipeline"} else ObjectKind.SERVER_GROUP


@dataclass(frozen=True, slots=True)
class ObjectKey:
    """Names one object of a workspace."""

    kind: ObjectKind
    name: str

    def __str__(self) -> str:
        """`server-group/delays`."""
        return f"{self.kind}/{self.name}"


@dataclass(frozen=True, slots=True)
class StoredObject:
    """Intent. `source` is the set of declarations it came from; `deleted` ones wait for their machines to go."""

    workspace: Workspace
    key: ObjectKey
    generation: int
    spec: Spec
    source: str
    created_at: datetime
    updated_at: datetime
    updated_by: str
    deleted: bool = False


class Action(StrEnum):
    """What a plan does to an object."""

    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field that becomes another value; `why` where the change has a consequence that its name does not tell."""

    field: str
    old: Any
    new: Any
    why: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """One object of a plan; `base_generation` is 0 when there is none yet."""

    action: Action
    key: ObjectKey
    base_generation: int
    spec: Spec | None  # as it becomes; None when it is deleted
    fields: tuple[FieldChange, ...] = ()
    deploys: bool = False  # new code, environment or variables reach the machines by a deployment
    why: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """Frozen: what is applied is what was shown. A plan with `blocked` reasons cannot be applied."""

    id: str
    workspace: Workspace
    source: str
    created_at: datetime
    created_by: str
    changes: tuple[Change, ...]
    unchanged: int = 0
    warnings: tuple[str, ...] = ()
    blocked: tuple[Reason, ...] = ()
    operation: str = ""  # set once it was applied


class OperationState(StrEnum):
    """Of something long."""

    QUEUED = "queued"  # recorded; its workflow is not started yet
    RUNNING = "running"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Operation:
    """Something long: a workflow, who asked for it, and how it ended."""

    id: str
    workspace: Workspace
    kind: str  # apply, deploy, rollback, drift-check
    subject: str  # e.g. group/delays
    workflow_type: str
    workflow_id: str
    input: Mapping[str, Any] | None
    requested_by: str
    created_at: datetime
    run_id: str = ""
    state: OperationState = OperationState.QUEUED
    outcome: str = ""  # done, refused, failed, rolled_back, cancelled, superseded
    text: str = ""
    result: Mapping[str, Any] | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """A credential; only the SHA-256 of its text is kept. Workspace `*` is every workspace."""

    id: str
    name: str
    role: str
    workspace: str
    created_at: datetime
    created_by: str
    expires_at: datetime | None = None
    revoked_at: datetime | None = None


def name_taken(record: TokenRecord) -> AlreadyExists:
    """Another token that holds has this name."""
    return AlreadyExists(
        f"token {record.name!r} exists already", field="name", remedy="choose another name, or revoke it first"
    )


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what, and how it went. `detail` holds no secret."""

    at: datetime
    actor: str
    role: str
    via: str  # cli, ui, api
    action: str
    subject: str
    outcome: str  # done or the error's code
    reason: str
    request_id: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AuditRow:
    """An entry in the chain."""

    seq: int
    entry: AuditEntry
    previous: str
    digest: str


@dataclass(frozen=True, slots=True)
class Event:
    """Something changed. `seq` only grows and is the token that resumes a stream."""

    seq: int
    at: datetime
    workspace: str
    kind: str
    name: str
    generation: int
    body: Mapping[str, Any] | None  # left out above the size limit: read the object
