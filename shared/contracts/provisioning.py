"""Provisioning as workflows and services speak it."""

from typing import Literal

from pydantic import Field

from shared.contracts.admission import LeaseModel
from shared.contracts.base import Contract, ReasonModel
from shared.contracts.objects import Environment, Pipeline, ServerGroup


class Artifact(Contract):
    """Something immutable in the bundle store."""

    url: str  # s3://bucket/key
    sha256: str
    size: int = 0


class Revision(Contract):
    """One deployable version of a group: immutable, numbered per group."""

    group: str
    number: int
    environment: Artifact | None = None
    code: Artifact | None = None
    variables: dict[str, str] = Field(default_factory=dict)

    @property
    def fleet(self) -> str:
        """The fleet that runs it."""
        return f"{self.group}-r{self.number}"


class FleetModel(Contract):
    """One Auto Scaling Group of a group."""

    fleet: str
    asg: str  # the ASG's name
    revision: int
    weight: int = 0  # 0: takes no traffic; else relative share
    nodes_min: int = 0
    nodes_max: int = 0
    desired: int = 0
    in_service: int = 0


class GroupModel(Contract):
    """A group as the Provisioner knows it."""

    spec: ServerGroup
    generation: int
    phase: Literal["PENDING", "CREATING", "READY", "UPDATING", "DELETING", "ERROR"] = "PENDING"
    detail: str = ""
    fleets: tuple[FleetModel, ...] = ()
    revisions: tuple[Revision, ...] = ()  # of its fleets
    pipeline: str = ""  # set when a stage runs on it
    stage: str = ""
    topic_in: str = ""  # the topic the stage consumes
    consumer_group: str = ""
    partitions: int = 0


class PipelineModel(Contract):
    """A pipeline as the Provisioner knows it."""

    spec: Pipeline
    generation: int
    phase: Literal["PENDING", "CREATING", "RAMPING", "READY", "DELETING", "ERROR"] = "PENDING"
    detail: str = ""
    ramp_percent: int = 0


class ProvisionGroupInput(Contract):
    """Workflow `ProvisionGroup`: create or update. First creation makes revision 1 and its fleet."""

    spec: ServerGroup
    generation: int
    request_id: str
    lease: LeaseModel | None = None  # set when a parent workflow holds it
    code: Artifact | None = None  # where `spec.code` is published; set when there is code


class ProvisionPipelineInput(Contract):
    """Workflow `ProvisionPipeline`: its groups exist already; topics, assignment, then a ramp."""

    spec: Pipeline
    generation: int
    request_id: str


class DestroyInput(Contract):
    """Workflow `DestroyObject`."""

    kind: Literal["environment", "server-group", "pipeline"]
    name: str
    request_id: str


class OperationResult(Contract):
    """How a workflow ended; a business failure is a result, not a failed workflow."""

    outcome: Literal["done", "refused", "failed", "rolled_back", "cancelled", "superseded"]
    text: str = ""
    reasons: tuple[ReasonModel, ...] = ()
    details: dict[str, str] = Field(default_factory=dict)


class RegisterGroupInput(Contract):
    """`provisioner.register_group`: keep the spec and generation."""

    spec: ServerGroup
    generation: int


class AddFleetInput(Contract):
    """`provisioner.add_fleet`: Pulumi up with one more fleet (idempotent). Starts at `desired_initial` nodes."""

    group: str
    revision: Revision
    desired_initial: int
    weight: int = 0
    lease: LeaseModel


class RemoveFleetInput(Contract):
    """`provisioner.remove_fleet`: Pulumi up without it (idempotent). Refused while it is the last with weight."""

    group: str
    fleet: str
    lease: LeaseModel


class GroupStackInput(Contract):
    """`provisioner.apply_group` and `provisioner.remove_group`: the stack as registered."""

    group: str
    lease: LeaseModel


class StackResult(Contract):
    """What Pulumi did."""

    group: str
    created: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0
    seconds: float = 0.0
    fleets: tuple[FleetModel, ...] = ()


class WaitMembersInput(Contract):
    """`provisioner.wait_members`: until a fleet has `count` nodes in service; gives up after `timeout_s`."""

    group: str
    fleet: str
    count: int
    timeout_s: float


class MembersState(Contract):
    """Who is in service."""

    fleet: str
    desired: int
    in_service: int
    pending: int
    satisfied: bool
    detail: str = ""  # e.g. the text of the last failed scaling activity


class SetWeightsInput(Contract):
    """`provisioner.set_weights`: which fleets take traffic, absolute; others get 0. At least one stays above 0."""

    group: str
    weights: dict[str, int]
    lease: LeaseModel


class SetRampInput(Contract):
    """`provisioner.set_ramp`: share of key-hash buckets (1,000, monotone) that the ingest edge admits."""

    pipeline: str
    percent: int = Field(ge=0, le=100)
    lease: LeaseModel | None = None


class PipelineInput(Contract):
    """`provisioner.register_pipeline` (topics, assignment of stages to groups) and `provisioner.remove_pipeline`."""

    spec: Pipeline
    generation: int


class BuildEnvironmentInput(Contract):
    """Workflow `BuildEnvironment` and `provisioner.build_environment`: resolve with hashes, fetch, build, publish."""

    spec: Environment
    generation: int
    request_id: str = ""


class EnvironmentModel(Contract):
    """An environment as the Provisioner knows it."""

    spec: Environment
    phase: Literal["PENDING", "BUILDING", "READY", "ERROR"] = "PENDING"
    detail: str = ""
    digest: str = ""  # sha256 of the locked requirements and the Python version
    artifact: Artifact | None = None
    locked: str = ""  # pinned requirements with hashes


class DriftFinding(Contract):
    """One field of one resource that is not as declared."""

    group: str
    resource: str  # e.g. autoscaling group default-delays-r1
    field: str  # e.g. MaxSize
    declared: str
    live: str
    drift_class: Literal["benign", "managed", "capacity", "security", "destructive"]
    owner: str  # who may write the field: provisioner, autoscaler, deployer
    found_at: float  # seconds since the epoch
    id: str = ""
    state: Literal["open", "repairing", "repaired", "accepted"] = "open"


class DriftReport(Contract):
    """`provisioner.check_drift`."""

    checked: int
    findings: tuple[DriftFinding, ...] = ()
    method: str = "describe"


class RepairDriftInput(Contract):
    """`provisioner.repair_drift`: Pulumi up with refresh on the group's stack."""

    group: str
    finding_ids: tuple[str, ...]
    lease: LeaseModel


class RampInput(Contract):
    """Workflow `RampTraffic`."""

    pipeline: str
    percents: tuple[int, ...]
    bake_s: float
    request_id: str
