"""The other side of the workflows' contract: every Temporal activity of the table, over one small world in memory.

It behaves as the services promise to (idempotent, absolute sizes, growth before removal, leases checked on every write),
uses the real Deployer over its memory store, records every call, and checks after each that the group still serves what
it needs. Faults are asked for by name and number of the call: fail before doing, fail after doing, do twice, cancel.
"""

import math
from collections.abc import Callable
from typing import Any

from temporalio import activity

from services.deployer.operations.contract import revision_of, revision_to
from shared.contracts import admission, deployment, provisioning, rating, scaling
from shared.contracts.activities import ACTIVITIES, Nothing, ScopeInput, SweepReport
from shared.domain.activity import ActivityOutcome, HolderAsk
from tests.workflows.answers import reason
from tests.workflows.provisioner_side import ProvisionerSide
from tests.workflows.world_state import Held


class World(ProvisionerSide):
    """What a workflow's activities reach."""

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
            why = reason("TakenOver" if held.outcome is ActivityOutcome.TAKEN_OVER else "Ended")
            return admission.HeartbeatAnswer(ask=HolderAsk.STOP, reasons=(why,))
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
