"""What people send."""

from typing import Any, Literal

from pydantic import Field

from shared.contracts.base import Declared
from shared.contracts.objects import Rollout

Body = dict[str, Any]
SHA256 = r"^[0-9a-f]{64}$"


class PlanRequest(Declared):
    """Objects to plan for. `source` names the set they come from; with `prune`, what it no longer declares goes."""

    objects: tuple[Body, ...]
    source: str = Field(default="", max_length=200)
    prune: bool = False


class DestroyRequest(Declared):
    """Objects to plan the deletion of."""

    objects: tuple["NamedObject", ...] = Field(min_length=1, max_length=500)


class NamedObject(Declared):
    """One object."""

    kind: Literal["environment", "server-group", "pipeline"]
    name: str


class ApplyRequest(Declared):
    """Apply the plan whose digest was shown."""

    digest: str = ""


class DeployRequest(Declared):
    """Deploy a group. What is left out stays; without code, environment and variables the declared state is deployed.

    `override_reason` passes the check of verdicts; `wait` queues for admission instead of being refused.
    """

    group: str
    code: str | None = Field(default=None, pattern=SHA256)
    environment: str | None = None
    variables: dict[str, str] | None = None
    rollout: Rollout | None = None
    reason: str = Field(default="", max_length=500)
    override_reason: str = Field(default="", max_length=500)
    wait: bool = False
    wait_s_max: float = Field(default=1800.0, ge=0)


class ReasonRequest(Declared):
    """Why; kept in the audit log."""

    reason: str = Field(default="", max_length=500)


class RollBackRequest(Declared):
    """Go back to the revision before."""

    reason: str = Field(default="", max_length=500)
    wait: bool = False


class FreezeRequest(Declared):
    """Hold a scope for `seconds`."""

    scope: str
    seconds: float
    reason: str = Field(min_length=1, max_length=500)


class QuietRequest(Declared):
    """Quiet alarms of `classes` in a scope for `seconds`."""

    scope: str
    classes: tuple[str, ...] = Field(min_length=1, max_length=32)
    seconds: float
    reason: str = Field(min_length=1, max_length=500)


class DriftRequest(Declared):
    """Look at one group, or at all."""

    group: str = ""


class TokenRequest(Declared):
    """A new token; workspace `*` is every workspace."""

    name: str
    role: str
    workspace: str = "default"
    expires_s: float | None = None
