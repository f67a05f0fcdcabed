"""The other side of the workflows' contract: every Temporal activity of the table, over one small world in memory.

It behaves as the services promise to (idempotent, absolute sizes, growth before removal, leases checked on every write),
uses the real Deployer over its memory store, records every call, and checks after each that the group still serves what
it needs. Faults are asked for by name and number of the call: fail before doing, fail after doing, do twice, cancel.
"""

import inspect
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import BaseModel
from temporalio import activity
from temporalio.exceptions import ApplicationError

from services.deployer.adapters.memory import MemoryArtifacts, MemoryStore
from services.deployer.domain.judge import FleetSample, JudgePolicy
from services.deployer.domain.ports import Unreadable
from services.deployer.domain.revision import RevisionRecord
from services.deployer.operations.contract import revision_of, revision_to
from services.deployer.operations.deployments import Deployments
from services.deployer.operations.judging import Judging
from shared.contracts import admission, dead_letters, deployment, provisioning, rating, scaling
from shared.contracts.activities import (
    ACTIVITIES,
    NamedEnvironment,
    NamedGroup,
    NamedPipeline,
    Nothing,
    ScopeInput,
    SweepReport,
)
from shared.contracts.objects import Environment, Pipeline, ServerGroup
from shared.domain.activity import ActivityOutcome, HolderAsk
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


@dataclass
class World:
    fault: Fault | None = None
    twice: bool = False
    nodes_come: bool = True
    blocked: list[admission.BeginAnswer] = field(default_factory=list)
    asks: dict[int, admission.HeartbeatAnswer] = field(default_factory=dict)  # by number of the heartbeat
    verdicts: list[str] = field(default_factory=list)  # of the pipeline, in order; then HEALTHY
    findings: list[provisioning.DriftFinding] = field(default_factory=list)
    bad_revisions: frozenset[int] = frozenset()
    unreadable: int = 0  # judgements for which measurements cannot be read
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
            if name not in {"autoscaler.reserve", "provisioner.check_drift"} and not _alike(answer, again):
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

    # ------------------------------------------------------------------------------------------------------- observer

    async def observer_begin(self, given: admission.BeginInput) -> admission.BeginAnswer:
        if given.request_id in self.requests:
            held = self.held[self.requests[given.request_id]]
            return admission.BeginAnswer(outcome="granted", lease=held.lease, lease_ttl_s=given.ttl_s)
        if self.blocked:
            return self.blocked.pop(0)
        for held in self.held.values():
            if held.lease.activity_id == given.takes_over and held.outcome is None:
                held.outcome = ActivityOutcome.TAKEN_OVER
        token = len(self.held) + 1
        lease = admission.LeaseModel(activity_id=f"act-{token}", token=token, kind=given.kind, scope=given.scope)
        self.held[lease.activity_id] = Held(lease, given)
        self.requests[given.request_id] = lease.activity_id
        return admission.BeginAnswer(outcome="granted", lease=lease, lease_ttl_s=given.ttl_s)

    async def observer_heartbeat(self, given: admission.HeartbeatInput) -> admission.HeartbeatAnswer:
        held = self.held[given.activity_id]
        if held.outcome is not None:
            reason = _reason("TakenOver" if held.outcome is ActivityOutcome.TAKEN_OVER else "Ended")
            return admission.HeartbeatAnswer(ask=HolderAsk.STOP, reasons=(reason,))
        answer = self.asks.get(self.counts["observer.heartbeat"])
        if answer is not None and answer.ask is HolderAsk.STOP:
            held.outcome = ActivityOutcome.EXPIRED
        return answer or admission.HeartbeatAnswer(ask=HolderAsk.GO_ON, lease_ttl_s=30.0)

    async def observer_end(self, given: admission.EndInput) -> Nothing:
        held = self.held[given.activity_id]
        held.outcome = held.outcome or given.outcome
        return Nothing()

    async def observer_verdict(self, given: ScopeInput) -> admission.VerdictModel:
        state = self.verdicts.pop(0) if self.verdicts else "HEALTHY"
        return admission.VerdictModel(scope=given.scope, state=state, effective=state)

    async def observer_sweep(self, _: Nothing) -> SweepReport:
        return SweepReport(ended=("act-lapsed",))

    # ---------------------------------------------------------------------------------------------------- provisioner

    async def provisioner_register_group(self, given: provisioning.RegisterGroupInput) -> provisioning.GroupModel:
        self.groups[given.spec.name] = given.spec
        return self.model(given.spec.name)

    async def provisioner_get_group(self, given: NamedGroup) -> provisioning.GroupModel:
        return self.model(given.group)

    async def provisioner_apply_group(self, given: provisioning.GroupStackInput) -> provisioning.StackResult:
        self._lease("apply_group", given.lease)
        return self._stack(given.group, unchanged=6)

    async def provisioner_remove_group(self, given: provisioning.GroupStackInput) -> provisioning.StackResult:
        self._lease("remove_group", given.lease)
        if given.group.startswith("rating-"):
            self.copy, self.copy_topics = None, frozenset()
            return self._stack(given.group)
        self.need = 0
        self.fleets.clear()
        return self._stack(given.group)

    async def provisioner_add_fleet(self, given: provisioning.AddFleetInput) -> provisioning.StackResult:
        self._lease("add_fleet", given.lease)
        fresh = FleetState(given.revision.number, given.desired_initial, 0, given.weight)
        self.fleets.setdefault(given.revision.fleet, fresh)
        self.revisions[given.revision.number] = given.revision
        return self._stack(given.group)

    async def provisioner_remove_fleet(self, given: provisioning.RemoveFleetInput) -> provisioning.StackResult:
        self._lease("remove_fleet", given.lease)
        if given.fleet in self.fleets and self.fleets[given.fleet].weight > 0:
            raise ApplicationError(f"{given.fleet} has traffic", type="Refused", non_retryable=True)
        self.fleets.pop(given.fleet, None)
        return self._stack(given.group)

    async def provisioner_wait_members(self, given: provisioning.WaitMembersInput) -> provisioning.MembersState:
        if self.copy is not None and given.fleet == self.copy.fleet:
            return self.copy.model_copy(update={"satisfied": self.nodes_come, "in_service": int(self.nodes_come)})
        fleet = self.fleets[given.fleet]
        if self.nodes_come:
            fleet.in_service = fleet.desired
        return provisioning.MembersState(
            fleet=given.fleet,
            desired=fleet.desired,
            in_service=fleet.in_service,
            pending=fleet.desired - fleet.in_service,
            satisfied=fleet.in_service >= given.count,
            detail="" if self.nodes_come else "InsufficientInstanceCapacity",
        )

    async def provisioner_set_weights(self, given: provisioning.SetWeightsInput) -> Nothing:
        self._lease("set_weights", given.lease)
        for name, fleet in self.fleets.items():
            fleet.weight = given.weights.get(name, 0)
        return Nothing()

    async def provisioner_set_ramp(self, given: provisioning.SetRampInput) -> Nothing:
        self._lease("set_ramp", given.lease)
        if self.ramps[-1:] != [given.percent]:
            self.ramps.append(given.percent)
        return Nothing()

    async def provisioner_register_pipeline(self, given: provisioning.PipelineInput) -> provisioning.PipelineModel:
        self.pipelines[given.spec.name] = given.spec
        percent = self.ramps[-1] if self.ramps else 0
        return provisioning.PipelineModel(spec=given.spec, generation=given.generation, ramp_percent=percent)

    async def provisioner_get_pipeline(self, given: NamedPipeline) -> provisioning.PipelineModel:
        if given.pipeline not in self.pipelines:
            raise ApplicationError(f"pipeline {given.pipeline}: there is none", type="NotFound", non_retryable=True)
        percent = self.ramps[-1] if self.ramps else 0
        return provisioning.PipelineModel(spec=self.pipelines[given.pipeline], generation=1, ramp_percent=percent)

    async def provisioner_remove_pipeline(self, given: NamedPipeline) -> Nothing:
        self.pipelines.pop(given.pipeline, None)
        return Nothing()

    async def provisioner_build_environment(
        self, given: provisioning.BuildEnvironmentInput
    ) -> provisioning.EnvironmentModel:
        return provisioning.EnvironmentModel(spec=given.spec, phase="READY", digest="d1", artifact=ENVIRONMENT)

    async def provisioner_get_environment(self, given: NamedEnvironment) -> provisioning.EnvironmentModel:
        spec = Environment(name=given.environment, requirements="headrace-runtime\n")
        return provisioning.EnvironmentModel(spec=spec, phase="READY", artifact=ENVIRONMENT)

    async def provisioner_remove_environment(self, _: NamedEnvironment) -> Nothing:
        return Nothing()

    async def provisioner_redrive_dead_letters(self, given: dead_letters.RedriveInput) -> dead_letters.RedriveReport:
        self.redriven = self.redriven or len(given.request.offsets)
        return dead_letters.RedriveReport(redriven=self.redriven)

    async def provisioner_check_drift(self, _: Nothing) -> provisioning.DriftReport:
        return provisioning.DriftReport(checked=4, findings=tuple(self.findings))

    async def provisioner_repair_drift(self, given: provisioning.RepairDriftInput) -> provisioning.StackResult:
        self._lease("repair_drift", given.lease)
        self.findings = [f for f in self.findings if f.id not in given.finding_ids]
        return self._stack(given.group, updated=1)

    async def provisioner_add_copy(self, given: rating.AddCopyInput) -> rating.CopyModel:
        self._lease("add_copy", given.lease)
        copied = f"rating-{given.group}"
        self.copy_topics = frozenset({f"headrace-rating.{copied}.in"})
        self.copy = provisioning.MembersState(fleet=f"{copied}-r1", desired=1, in_service=0, pending=1, satisfied=False)
        return rating.CopyModel(
            copy_group=copied,
            fleet=self.copy.fleet,
            revision=1,
            node_type="m6a.large",
            promise=rating.RatingPromise(latency_p95_s=1.0, errors_max=0.001),
            call=rating.RatingCall(batch=50, step_s=given.loading.step_s, first=given.loading.first),
            sample=code("sample"),
            way=rating.RatingWay(type="topic", topic=f"headrace-rating.{copied}.in"),
        )

    async def provisioner_drive_step(self, given: rating.DriveInput) -> rating.DriveAnswer:
        """A node that sustains 300: each step doubles, the fourth says so."""
        if self.copy is None or given.copied.way.topic not in self.copy_topics:
            self.problems.append("load was driven without a copy")
        wanted = given.copied.call.first * 2 ** len(given.steps)
        if wanted > 2 * KNEE:
            return rating.DriveAnswer(found=rating.RatingFound(rate=KNEE, low=KNEE - 20, high=KNEE + 20))
        held = wanted <= KNEE
        step = rating.RatingStep(
            wanted=wanted, offered=wanted, answered=min(wanted, KNEE), latency_p95_s=0.1, errors=0.0, held=held
        )
        return rating.DriveAnswer(step=step)

    async def provisioner_sweep(self, _: Nothing) -> SweepReport:
        copies = (self.copy.fleet.removeprefix("rating-").removesuffix("-r1"),) if self.copy else ()
        return SweepReport(notes=("nothing to sweep",), copies=copies)

    # ------------------------------------------------------------------------------------------------------- deployer

    async def deployer_open_deployment(self, given: deployment.OpenDeploymentInput) -> deployment.OpenedDeployment:
        return await self.deployer.open(given)

    async def deployer_record_step(self, given: deployment.RecordStepInput) -> Nothing:
        await self.deployer.record_step(given)
        return Nothing()

    async def deployer_judge(self, given: deployment.JudgeInput) -> deployment.Judgement:
        return await self.judging.judge(given)

    async def deployer_close_deployment(self, given: deployment.CloseDeploymentInput) -> Nothing:
        await self.deployer.close(given)
        return Nothing()

    async def deployer_first_revision(self, given: provisioning.Revision) -> provisioning.Revision:
        return revision_to(await self.deployer.first_revision(revision_of(given)))

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

    # ----------------------------------------------------------------------------------------------------- autoscaler

    async def autoscaler_reserve(self, given: scaling.ReserveInput) -> scaling.ReserveAnswer:
        self._lease("reserve", given.lease)
        self.reserved[given.fleet] = given
        total = self.need
        wanted = max(given.floor, math.ceil(given.share * total))
        fleet = self.fleets[given.fleet]
        fleet.desired = max(wanted, fleet.desired if given.share == 1.0 else 0)
        fleet.in_service = min(fleet.in_service, fleet.desired)
        for name, other in self.fleets.items():
            if name != given.fleet:
                least = max(given.other_floor, total - fleet.in_service)
                other.desired = min(other.desired, least)
                other.in_service = min(other.in_service, other.desired)
        desired = {name: f.desired for name, f in self.fleets.items()}
        return scaling.ReserveAnswer(group=given.group, total=total, desired=desired)

    async def autoscaler_release(self, _: scaling.ReleaseInput) -> Nothing:
        self.reserved.clear()
        return Nothing()

    async def autoscaler_set_desired(self, given: scaling.SetDesiredInput) -> scaling.ScaleResult:
        self._lease("set_desired", given.lease)
        for name, nodes in given.scale.desired.items():
            self.fleets[name].desired = nodes
        return scaling.ScaleResult(decision_id=given.scale.decision_id, outcome="set", text=str(given.scale.desired))

    async def autoscaler_wait_in_service(self, given: scaling.WaitInServiceInput) -> scaling.ScaleResult:
        for fleet in self.fleets.values():
            fleet.in_service = fleet.desired if self.nodes_come else fleet.in_service
        outcome = "in_service" if self.nodes_come else "gave_up"
        return scaling.ScaleResult.model_validate({"decision_id": given.scale.decision_id, "outcome": outcome})

    async def autoscaler_record_outcome(self, given: scaling.ScaleResult) -> Nothing:
        if self.outcomes[-1:] != [given]:
            self.outcomes.append(given)
        return Nothing()

    async def autoscaler_record_rating(self, given: rating.RatingModel) -> rating.RatingModel:
        self.ratings.setdefault(given.id, given)
        return self.ratings[given.id]

    async def autoscaler_sweep(self, _: Nothing) -> SweepReport:
        return SweepReport()


class Stage:
    """Activities of all queues, played by whichever world is on."""

    def __init__(self) -> None:
        self.world = World()

    def activities(self, queue: str) -> list[Callable[..., Any]]:
        return [self._activity(name) for name, row in ACTIVITIES.items() if row.queue == queue]

    def _activity(self, name: str) -> Callable[..., Any]:
        async def run(given: Any) -> Any:
            return await self.world.call(name, given)

        row = ACTIVITIES[name]
        run.__annotations__ = {"given": row.input, "return": row.output}
        return activity.defn(name=name)(run)


def _reason(code: str) -> Any:
    from shared.contracts.base import ReasonModel

    return ReasonModel(code=code, scope="group/delays", text=code)


def park(code: str = "Held") -> admission.HeartbeatAnswer:
    return admission.HeartbeatAnswer(ask=HolderAsk.PARK, lease_ttl_s=30.0, reasons=(_reason(code),), retry_after_s=5.0)


def stop(code: str) -> admission.HeartbeatAnswer:
    return admission.HeartbeatAnswer(ask=HolderAsk.STOP, reasons=(_reason(code),))


def blocked(code: str = "Held", retry_after_s: float = 5.0) -> admission.BeginAnswer:
    return admission.BeginAnswer(outcome="blocked", reasons=(_reason(code),), retry_after_s=retry_after_s)


def _alike(a: BaseModel, b: BaseModel) -> bool:
    return a == b


__all__ = ["Fault", "Stage", "World", "blocked", "code", "park", "replace", "stop"]
