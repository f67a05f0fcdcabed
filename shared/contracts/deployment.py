"""Deployments as workflows, the Deployer and the API speak them."""

from typing import Annotated, Literal

from pydantic import Field

from shared.contracts.admission import LeaseModel
from shared.contracts.base import Contract, ReasonModel
from shared.contracts.objects import Rollout
from shared.contracts.provisioning import Artifact, GroupModel, Revision


class DeployInput(Contract):
    """Workflow `DeployGroup`. What is None stays as in the running revision."""

    group: str
    request_id: str
    environment: str | None = None  # name
    code: Artifact | None = None
    variables: dict[str, str] | None = None
    rollout: Rollout | None = None
    reason: str = ""
    requested_by: str = ""
    override_reason: str = ""
    override_bad: bool = False  # deploy a version that was marked bad
    wait: bool = True  # for admission; False: one refusal is the answer
    wait_s_max: float = Field(default=1800.0, ge=0)


class AddFleetStep(Contract):
    """Make the new fleet with its first nodes, no traffic."""

    kind: Literal["add_fleet"] = "add_fleet"
    fleet: str
    nodes: int


class ShareStep(Contract):
    """Give the new fleet its share: reserve (share, floor), wait until in service, then route."""

    kind: Literal["share"] = "share"
    fleet: str
    percent: int
    floor: int  # nodes of the new fleet
    old_floor: int  # nodes kept in the old fleet


class BakeStep(Contract):
    """Let it run."""

    kind: Literal["bake"] = "bake"
    seconds: float


class JudgeStep(Contract):
    """Compare new with old since the last share step."""

    kind: Literal["judge"] = "judge"
    fleet: str
    against: str


class RemoveFleetStep(Contract):
    """Take the old fleet away."""

    kind: Literal["remove_fleet"] = "remove_fleet"
    fleet: str


Step = Annotated[AddFleetStep | ShareStep | BakeStep | JudgeStep | RemoveFleetStep, Field(discriminator="kind")]


class DeployPlan(Contract):
    """Frozen at the start: it can be printed, diffed, stored and tested by equality."""

    deployment_id: str
    group: str
    revision: Revision
    old_fleet: str
    new_fleet: str
    strategy: str
    nodes: int  # the group's total when it was planned
    steps: tuple[Step, ...]
    warnings: tuple[str, ...] = ()


class OpenDeploymentInput(Contract):
    """`deployer.open_deployment`: checks the way back, makes the revision and the plan; idempotent."""

    request: DeployInput
    group: GroupModel
    environment: Artifact | None = None


class OpenedDeployment(Contract):
    """The plan, or why there is none (same revision, version marked bad, no way back)."""

    plan: DeployPlan | None
    reasons: tuple[ReasonModel, ...] = ()


class RecordStepInput(Contract):
    """`deployer.record_step`: intent before the act, result after it."""

    deployment_id: str
    step: int
    state: Literal["started", "waiting", "done", "failed"]
    note: str = ""
    reasons: tuple[ReasonModel, ...] = ()


class JudgeInput(Contract):
    """`deployer.judge`: over the window since `since_s` (seconds since the epoch)."""

    deployment_id: str
    group: str
    new_fleet: str
    old_fleet: str
    since_s: float
    until_s: float
    error_ratio_max: float
    lag_p95_s_max: float


class SampleModel(Contract):
    """What one fleet did in the window."""

    fleet: str
    processed: float = 0.0
    failed: float = 0.0
    seconds_per_message: float | None = None
    nodes: int = 0


class Judgement(Contract):
    """Only `fail` rolls back on its own; `error` is never a pass."""

    outcome: Literal["pass", "fail", "inconclusive", "no_data", "error"]
    advice: Literal["go_on", "hold", "roll_back"] = "hold"  # what a deployment does next
    reasons: tuple[ReasonModel, ...] = ()
    new: SampleModel | None = None
    old: SampleModel | None = None


class CloseDeploymentInput(Contract):
    """`deployer.close_deployment`; by its request where its id was never heard, and then there may be none."""

    deployment_id: str = ""
    request_id: str = ""
    phase: Literal["FINISHED", "ROLLED_BACK", "FAILED", "CANCELLED", "SUPERSEDED", "REFUSED"]
    reasons: tuple[ReasonModel, ...] = ()
    mark_bad: bool = False


class DeploymentModel(Contract):
    """A deployment as the API shows it; times are seconds since the epoch."""

    id: str
    group: str
    revision: int
    from_revision: int
    phase: Literal[
        "PLANNED",
        "WAITING",
        "RUNNING",
        "ROLLING_BACK",
        "FINISHED",
        "ROLLED_BACK",
        "FAILED",
        "CANCELLED",
        "SUPERSEDED",
        "REFUSED",
    ]
    strategy: str
    step: int = 0
    steps: int = 0
    step_text: str = ""
    requested_by: str = ""
    reason: str = ""
    started_at: float = 0.0
    ended_at: float | None = None
    reasons: tuple[ReasonModel, ...] = ()
    judgements: tuple[Judgement, ...] = ()
    plan: DeployPlan | None = None


class RollBackInput(Contract):
    """Workflow `RollBack`: the old fleet is sized to the group's need and in traffic before the bad one leaves."""

    group: str
    deployment_id: str
    good_fleet: str
    bad_fleet: str
    request_id: str
    takes_over: LeaseModel | None = None  # the deployment's lease
    reasons: tuple[ReasonModel, ...] = ()
    mark_bad: bool = True  # the version may not be deployed again without an override
    phase: Literal["ROLLED_BACK", "CANCELLED", "FAILED"] = "ROLLED_BACK"  # how the deployment is closed
