"""Opening, recording and closing deployments. Every call may be repeated: the same request has one deployment."""

from dataclasses import replace

from services.deployer.domain.lifecycle import FINAL, Phase, follow, follow_step
from services.deployer.domain.opening import Opening, missing_artifacts, open_reasons
from services.deployer.domain.plan import Plan, step_text, unsafe
from services.deployer.domain.ports import Artifacts, Store
from services.deployer.domain.records import Deployment, StepRecord
from services.deployer.domain.revision import Revision, RevisionRecord, next_number
from services.deployer.domain.strategies import Situation, compose
from services.deployer.operations.contract import (
    fleets_of,
    plan_to,
    reasons_to,
    revision_of,
    revision_to,
    rollout_of,
    wish_of,
)
from shared.contracts import provisioning
from shared.contracts.deployment import (
    CloseDeploymentInput,
    OpenDeploymentInput,
    OpenedDeployment,
    RecordStepInput,
)
from shared.domain.clock import Clock, Ids
from shared.domain.errors import Conflict, Defect
from shared.domain.names import DeploymentId, GroupName, RequestId
from shared.domain.reason import Reason

SAVE_TRIES = 5  # when somebody else changed the deployment in between
REASON_LENGTH_MAX = 500


class Deployments:
    """Over the store and the bundle store."""

    def __init__(self, store: Store, artifacts: Artifacts, clock: Clock, ids: Ids) -> None:
        """All ports."""
        self._store, self._artifacts, self._clock, self._ids = store, artifacts, clock, ids

    async def first_revision(self, wanted: Revision) -> Revision:
        """The revision that a new group starts with; the same content again is the same revision."""
        known = await self._store.revisions(wanted.group)
        if known and known[0].revision.same_content(wanted):
            return known[0].revision
        made = replace(wanted, number=next_number(known))
        await self._store.add_revision(RevisionRecord(made, self._now_s()))
        return made

    async def open(self, given: OpenDeploymentInput) -> OpenedDeployment:
        """Check the way back, make the revision and the plan; a repeated request gets the plan it got first."""
        request = given.request
        group = GroupName(request.group)
        kept = await self._store.by_request(RequestId(request.request_id))
        if kept is not None:
            return OpenedDeployment(plan=plan_to(kept.plan))
        known = await self._store.revisions(group)
        opening = open_reasons(group, wish_of(request, given.environment), fleets_of(given.group), known)
        if not isinstance(opening, Opening):
            return _refused(opening)
        missing = await self._missing(opening)
        if missing:
            return _refused(missing)
        plan = compose(self._situation(given, opening))
        if isinstance(plan, Reason):
            return _refused((plan,))
        broken = unsafe(plan, given.group.partitions)
        if broken:
            raise Defect(f"the plan of strategy {plan.strategy} for group {group} is not safe: {', '.join(broken)}")
        opened = await self._store.open(
            self._draft(given, opening, plan), RevisionRecord(opening.wanted, self._now_s())
        )
        return OpenedDeployment(plan=plan_to(opened.plan))

    async def record_step(self, given: RecordStepInput) -> None:
        """Intent before the act, result after it."""
        for _ in range(SAVE_TRIES):
            seen = await self._store.deployment(DeploymentId(given.deployment_id))
            steps = seen.plan.steps
            name = step_text(steps[given.step - 1]) if 1 <= given.step <= len(steps) else ""
            after = replace(
                seen,
                phase=follow_step(seen.phase, given.state),
                step=seen.step if seen.phase in FINAL else max(seen.step, given.step),
                step_text=seen.step_text if seen.phase in FINAL else f"{name}: {given.note or given.state}",
            )
            record = StepRecord(seen.id, given.step, given.state, given.note, self._now_s())
            if await self._store.save(after, seen, record):
                return
        raise _contended(given.deployment_id)

    async def close(self, given: CloseDeploymentInput) -> None:
        """Record how it ended; a bad version is marked, so that it is not deployed again by accident."""
        reasons = tuple(r.to_domain() for r in given.reasons)
        for _ in range(SAVE_TRIES):
            seen = await self._closing(given)
            if seen is None:
                return
            phase = follow(seen.id, seen.phase, Phase(given.phase))
            if given.mark_bad:
                why = "; ".join(r.text for r in reasons)[:REASON_LENGTH_MAX] or f"deployment {seen.id}"
                await self._store.mark_bad(seen.group, seen.revision, why)
            if phase is seen.phase and phase in FINAL:
                return
            after = replace(seen, phase=phase, reasons=reasons, ended_at=self._now_s())
            if await self._store.save(after, seen):
                return
        raise _contended(given.deployment_id or given.request_id)

    async def _closing(self, given: CloseDeploymentInput) -> Deployment | None:
        if given.deployment_id:
            return await self._store.deployment(DeploymentId(given.deployment_id))
        return await self._store.by_request(RequestId(given.request_id))

    async def first_revision_of(self, model: provisioning.Revision) -> provisioning.Revision:
        """The same on the wire."""
        return revision_to(await self.first_revision(revision_of(model)))

    # ---------------------------------------------------------------------------------------------------------- parts

    async def _missing(self, opening: Opening) -> tuple[Reason, ...]:
        wanted = {a.url: a for a in (*opening.running.artifacts, *opening.wanted.artifacts)}
        return missing_artifacts(opening, {url: await self._artifacts.exists(a) for url, a in wanted.items()})

    def _situation(self, given: OpenDeploymentInput, opening: Opening) -> Situation:
        return Situation(
            deployment_id=DeploymentId(self._ids.new("dep")),
            revision=opening.wanted,
            old_fleet=opening.old.fleet,
            nodes=opening.nodes,
            rollout=rollout_of(given.request.rollout or given.group.spec.rollout),
            partitions=given.group.partitions,
            leftovers=opening.leftovers,
        )

    def _draft(self, given: OpenDeploymentInput, opening: Opening, plan: Plan) -> Deployment:
        return Deployment(
            id=plan.deployment_id,
            request=RequestId(given.request.request_id),
            group=plan.group,
            revision=opening.wanted.number,
            from_revision=opening.running.number,
            phase=Phase.PLANNED,
            plan=plan,
            started_at=self._now_s(),
            requested_by=given.request.requested_by,
            reason=given.request.reason,
        )

    def _now_s(self) -> float:
        return self._clock.now().timestamp()


def _refused(reasons: tuple[Reason, ...]) -> OpenedDeployment:
    return OpenedDeployment(plan=None, reasons=reasons_to(reasons))


def _contended(deployment: str) -> Conflict:
    return Conflict(f"deployment {deployment} changed {SAVE_TRIES} times while it was written", remedy="try again")
