"""What the world of `tests.workflows.world` holds, how a call of it passes, and what is checked after each."""

import inspect
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel
from temporalio.exceptions import ApplicationError

from services.deployer.adapters.memory import MemoryArtifacts, MemoryStore
from services.deployer.domain.judge import FleetSample, JudgePolicy
from services.deployer.domain.ports import Unreadable
from services.deployer.domain.revision import RevisionRecord
from services.deployer.operations.contract import revision_of
from services.deployer.operations.deployments import Deployments
from services.deployer.operations.judging import Judging
from shared.contracts import admission, provisioning, rating, scaling
from shared.contracts.activities import ACTIVITIES
from shared.contracts.objects import Pipeline, ServerGroup
from shared.domain.activity import ActivityOutcome
from shared.domain.names import FleetId, GroupName
from shared.system import SystemClock, SystemIds

Handler = Callable[[Any], Awaitable[BaseModel]]
KNEE = 300.0  # messages/s of a node that is rated
ENVIRONMENT = provisioning.Artifact(url="s3://bundles/env-1", sha256="env-1")


def code(name: str) -> provisioning.Artifact:
    return provisioning.Artifact(url=f"s3://bundles/{name}", sha256=name)


@dataclass
class FleetState:
    revision: int
    desired: int = 0
    in_service: int = 0
    weight: int = 0


@dataclass
class Held:
    lease: admission.LeaseModel
    request: admission.BeginInput
    outcome: ActivityOutcome | None = None


@dataclass(frozen=True)
class Fault:
    """What happens at the `nth` call (from 1) of an activity: before, after or cancel."""

    name: str
    nth: int
    how: str


def members_coming(fleet: str, nodes: int) -> provisioning.MembersState:
    """Asked for, and not there yet."""
    return provisioning.MembersState(fleet=fleet, desired=nodes, in_service=0, pending=nodes, satisfied=False)


@dataclass
class WorldState:
    fault: Fault | None = None
    twice: bool = False
    nodes_come: bool = True
    blocked: list[admission.BeginAnswer] = field(default_factory=list)
    asks: dict[int, admission.HeartbeatAnswer] = field(default_factory=dict)  # by number of the heartbeat
    verdicts: list[str] = field(default_factory=list)  # of the pipeline, in order; then HEALTHY
    findings: list[provisioning.DriftFinding] = field(default_factory=list)
    bad_revisions: frozenset[int] = frozenset()
    unreadable: int = 0  # judgements for which measurements cannot be read
    called_nodes: int = 0  # of a transform group that the group's nodes call; 0: they call none
    cancel: Callable[[], Awaitable[None]] | None = None
    on_call: Callable[[str, int], Awaitable[None]] | None = None

    def __post_init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.counts: Counter[str] = Counter()
        self.groups: dict[str, ServerGroup] = {}
        self.fleets: dict[str, FleetState] = {}
        self.revisions: dict[int, provisioning.Revision] = {}
        self.pipelines: dict[str, Pipeline] = {}
        self.ramps: list[int] = []
        self.held: dict[str, Held] = {}
        self.requests: dict[str, str] = {}
        self.reserved: dict[str, scaling.ReserveInput] = {}
        self.outcomes: list[scaling.ScaleResult] = []
        self.need = 0
        self.redriven = 0
        self.copy: provisioning.MembersState | None = None  # stands beside the group
        self.copy_topics: frozenset[str] = frozenset()  # that it works on
        self.behind: provisioning.MembersState | None = None  # what it calls
        self.ratings: dict[str, rating.RatingModel] = {}
        self.problems: list[str] = []
        self.store = MemoryStore()
        clock = SystemClock()
        self.deployer = Deployments(self.store, MemoryArtifacts(), clock, SystemIds())
        self.judging = Judging(self, self.store, JudgePolicy())
        self.handlers = self._handlers()

    # ------------------------------------------------------------------------------------------------ what tests use

    async def given_group(self, spec: ServerGroup, nodes: int) -> None:
        """A group that serves with revision 1."""
        self.groups[spec.name] = spec
        first = provisioning.Revision(group=spec.name, number=1, environment=ENVIRONMENT, code=code("code-1"))
        self.revisions[1] = first
        await self.store.add_revision(RevisionRecord(revision_of(first), 0.0))
        self.fleets[first.fleet] = FleetState(1, nodes, nodes, 100)
        self.need = nodes

    @property
    def trace(self) -> list[str]:
        """Names of the calls, heartbeats left out."""
        return [name for name, _ in self.calls if name != "observer.heartbeat"]

    @property
    def open_leases(self) -> list[str]:
        return [h.lease.kind for h in self.held.values() if h.outcome is None]

    @property
    def serving(self) -> dict[str, int]:
        """Fleets with their weights."""
        return {name: f.weight for name, f in self.fleets.items()}

    async def read(
        self, group: GroupName, fleets: Sequence[FleetId], since_s: float, until_s: float
    ) -> dict[FleetId, FleetSample] | Unreadable:
        """The port `Measurements`: 500 messages a second and node; a bad revision fails a tenth."""
        if self.unreadable:
            self.unreadable -= 1
            return Unreadable("HTTP 503")

        def sample(name: FleetId) -> FleetSample:
            state = self.fleets.get(name)
            if state is None or not state.weight:
                return FleetSample(name)
            messages = 500.0 * state.in_service * (until_s - since_s)
            failed = messages / 10 if state.revision in self.bad_revisions else 0.0
            return FleetSample(name, messages - failed, failed, 0.002, state.in_service)

        return {name: sample(name) for name in fleets}

    # ------------------------------------------------------------------------------------------------------- plumbing

    async def call(self, name: str, given: Any) -> BaseModel:
        self.counts[name] += 1
        nth = self.counts[name]
        self.calls.append((name, given))
        if self.on_call is not None:
            await self.on_call(name, nth)
        fault = self.fault if self.fault is not None and (self.fault.name, self.fault.nth) == (name, nth) else None
        if fault is not None and fault.how == "before":
            raise ApplicationError(f"{name} failed", type="Refused", non_retryable=True)
        answer = await self.handlers[name](given)
        if self.twice and name != "observer.heartbeat":
            again = await self.handlers[name](given)
            if name not in {"autoscaler.reserve", "provisioner.check_drift"} and answer != again:
                self.problems.append(f"{name} repeated answers {again} after {answer}")
        self._check(name)
        if fault is not None and fault.how == "after":
            raise ApplicationError(f"{name} failed after it was done", type="Refused", non_retryable=True)
        if fault is not None and self.cancel is not None:
            await self.cancel()
        return answer

    def _handlers(self) -> dict[str, Handler]:
        methods = dict(inspect.getmembers(self, inspect.iscoroutinefunction))
        return {name: methods[name.replace(".", "_")] for name in ACTIVITIES}

    def _check(self, name: str) -> None:
        serving = sum(f.in_service for f in self.fleets.values() if f.weight > 0)
        if serving < self.need:
            self.problems.append(f"{name}: {serving} nodes serve, {self.need} are needed: {self.fleets}")
        if any(f.weight > 0 and f.in_service == 0 for f in self.fleets.values()) and self.need:
            self.problems.append(f"{name}: traffic on a fleet without nodes: {self.fleets}")

    def _lease(self, name: str, lease: admission.LeaseModel | None) -> None:
        held = self.held.get(lease.activity_id) if lease is not None else None
        if held is None or lease is None or held.lease.token != lease.token or held.outcome is not None:
            self.problems.append(f"{name} was called with a lease that is not live: {lease}")
            raise ApplicationError("stale lease", type="StaleLease", non_retryable=True)

    def model(self, name: str) -> provisioning.GroupModel:
        return provisioning.GroupModel(
            spec=self.groups[name],
            generation=1,
            phase="READY",
            fleets=tuple(
                provisioning.FleetModel(
                    fleet=f,
                    asg=f"default-{f}",
                    revision=s.revision,
                    weight=s.weight,
                    desired=s.desired,
                    in_service=s.in_service,
                    nodes_max=20,
                )
                for f, s in self.fleets.items()
            ),
            revisions=tuple(self.revisions.values()),
        )

    def _stack(self, group: str, **numbers: int) -> provisioning.StackResult:
        return provisioning.StackResult.model_validate({"group": group, **numbers})
