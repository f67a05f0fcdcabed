"""What the API shows: pydantic models, alike for every reader. Times are seconds since the epoch, as in contracts."""

from typing import Any

from pydantic import ConfigDict, Field

from shared.contracts.base import Contract, ReasonModel
from shared.contracts.deployment import DeploymentModel
from shared.contracts.provisioning import FleetModel

ReasonView = ReasonModel


class Condition(Contract):
    """One aspect of an object; `status` is True, False or Unknown."""

    type: str
    status: str
    reason: str
    message: str = ""
    since: float | None = None


class Pending(Contract):
    """A field that is not yet as declared: now -> becoming."""

    field: str
    now: Any = None
    becoming: Any = None


class StatusView(Contract):
    """What the control plane has made of the intent. UNKNOWN is never shown as well."""

    phase: str
    detail: str = ""
    verdict: str = "UNKNOWN"
    conditions: tuple[Condition, ...] = ()
    pending: tuple[Pending, ...] = ()
    fleets: tuple[FleetModel, ...] = ()
    pipeline: str = ""
    stage: str = ""
    ramp_percent: int | None = None
    digest: str = ""  # of an environment


class ActionView(Contract):
    """What may be done to an object now, by the reader; `cli` is the command that does it."""

    name: str
    allowed: bool
    reasons: tuple[ReasonView, ...] = ()
    retry_after_s: float | None = None
    cli: str = ""


class ObjectView(Contract):
    """An object: its spec's fields beside these."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str
    kind: str
    workspace: str
    generation: int
    observed_generation: int = 0
    status: StatusView
    actions: tuple[ActionView, ...] = ()
    source: str = ""
    created_at: float
    updated_at: float
    updated_by: str


class ObjectList(Contract):
    """A page of objects."""

    items: tuple[ObjectView, ...] = ()
    next_page_token: str = ""
    unanswered: tuple[ReasonView, ...] = ()


class FieldChangeView(Contract):
    """One field of a plan."""

    field: str
    old: Any = None
    new: Any = None
    why: str = ""


class ChangeView(Contract):
    """One object of a plan."""

    action: str
    kind: str
    name: str
    base_generation: int
    fields: tuple[FieldChangeView, ...] = ()
    deploys: bool = False
    why: str = ""


class PlanView(Contract):
    """A plan; `digest` covers its changes, and applying may name it."""

    id: str
    workspace: str
    source: str
    created_at: float
    created_by: str
    changes: tuple[ChangeView, ...]
    counts: dict[str, int]
    unchanged: int = 0
    warnings: tuple[str, ...] = ()
    blocked: tuple[ReasonView, ...] = ()
    operation: str = ""
    digest: str


class ProgressLine(Contract):
    """One line of an operation's progress."""

    object: str = ""
    state: str = ""
    text: str = ""
    step: int = 0
    steps: int = 0
    reasons: tuple[ReasonView, ...] = ()
    since: float = 0.0


class OperationView(Contract):
    """Something long. `state` is queued, running or ended; `outcome` is set when it has ended."""

    id: str
    workspace: str
    kind: str
    subject: str
    state: str
    outcome: str = ""
    text: str = ""
    reasons: tuple[ReasonView, ...] = ()
    details: dict[str, str] = Field(default_factory=dict)
    progress: tuple[ProgressLine, ...] = ()
    requested_by: str = ""
    created_at: float
    ended_at: float | None = None
    workflow_id: str = ""
    run_id: str = ""
    deployment: DeploymentModel | None = None


class OperationList(Contract):
    """Newest first."""

    items: tuple[OperationView, ...] = ()


class CodeView(Contract):
    """A published code bundle."""

    sha256: str
    size: int
    files: int = 0


class Me(Contract):
    """Who the token says you are."""

    name: str
    role: str
    workspace: str
    may: dict[str, bool]


class AuditView(Contract):
    """One row of the audit log; `digest` covers it and the row before."""

    seq: int
    at: float
    actor: str
    role: str
    via: str
    action: str
    subject: str
    outcome: str
    reason: str = ""
    request_id: str = ""
    detail: dict[str, Any] = Field(default_factory=dict)
    digest: str


class AuditList(Contract):
    """Newest first; `unbroken` says whether the rows shown continue one another."""

    items: tuple[AuditView, ...] = ()
    unbroken: bool = True


class TokenView(Contract):
    """A token; its text is shown once, when it is made."""

    id: str
    name: str
    role: str
    workspace: str
    created_at: float
    created_by: str
    expires_at: float | None = None
    revoked_at: float | None = None
    token: str = ""


class TokenList(Contract):
    """Newest first."""

    items: tuple[TokenView, ...] = ()


class Held(Contract):
    """A freeze or quiet window that was opened or lifted."""

    id: str
    scope: str
    seconds: float = 0.0
