"""Between what travels (`shared.contracts`) and what is decided about (the domain): same fields, two types."""

from collections.abc import Sequence
from dataclasses import asdict

from pydantic import TypeAdapter

from services.deployer.domain.judge import FleetSample, Judged
from services.deployer.domain.opening import Fleet, Wish
from services.deployer.domain.plan import Plan
from services.deployer.domain.records import Analysis, Deployment
from services.deployer.domain.revision import Artifact, Revision
from services.deployer.domain.strategies import RolloutWish
from shared.contracts import deployment as wire
from shared.contracts import provisioning
from shared.contracts.base import ReasonModel
from shared.contracts.objects import Rollout
from shared.domain.names import FleetId, RevisionNumber
from shared.domain.reason import Reason

_REVISION = TypeAdapter(Revision)
_ARTIFACT = TypeAdapter(Artifact)


def revision_of(model: provisioning.Revision) -> Revision:
    """Into the domain."""
    return _REVISION.validate_python(model.model_dump())


def revision_to(revision: Revision) -> provisioning.Revision:
    """For the wire."""
    return provisioning.Revision.model_validate(asdict(revision))


def wish_of(request: wire.DeployInput, environment: provisioning.Artifact | None) -> Wish:
    """What is to change."""
    return Wish(
        environment=_artifact(environment),
        code=_artifact(request.code),
        variables=request.variables,
        override_bad=request.override_bad,
    )


def fleets_of(group: provisioning.GroupModel) -> tuple[Fleet, ...]:
    """The group's fleets."""
    return tuple(
        Fleet(FleetId(f.fleet), RevisionNumber(f.revision), f.weight, f.desired, f.in_service) for f in group.fleets
    )


def rollout_of(rollout: Rollout) -> RolloutWish:
    """The declared rollout."""
    return RolloutWish(
        type=rollout.type,
        percents=getattr(rollout, "percents", ()),
        percent=getattr(rollout, "percent", RolloutWish(rollout.type).percent),
        bake_s=rollout.bake_s,
    )


def plan_to(plan: Plan) -> wire.DeployPlan:
    """For the wire; the steps have the same fields on both sides."""
    return wire.DeployPlan.model_validate(asdict(plan))


def sample_of(sample: wire.SampleModel) -> FleetSample:
    """Into the domain."""
    return FleetSample(FleetId(sample.fleet), sample.processed, sample.failed, sample.seconds_per_message, sample.nodes)


def reasons_to(reasons: Sequence[Reason]) -> tuple[ReasonModel, ...]:
    """For the wire."""
    return tuple(ReasonModel.of(r) for r in reasons)


def judgement_to(judged: Judged) -> wire.Judgement:
    """For the wire."""
    return wire.Judgement(
        outcome=judged.outcome,
        advice=judged.advice,
        reasons=reasons_to(judged.reasons),
        new=wire.SampleModel.model_validate(asdict(judged.new)) if judged.new else None,
        old=wire.SampleModel.model_validate(asdict(judged.old)) if judged.old else None,
    )


def deployment_to(deployment: Deployment, analyses: Sequence[Analysis] = ()) -> wire.DeploymentModel:
    """For the wire."""
    return wire.DeploymentModel.model_validate(
        {
            "id": deployment.id,
            "group": deployment.group,
            "revision": deployment.revision,
            "from_revision": deployment.from_revision,
            "phase": deployment.phase.value,
            "strategy": deployment.plan.strategy,
            "step": deployment.step,
            "steps": len(deployment.plan.steps),
            "step_text": deployment.step_text,
            "requested_by": deployment.requested_by,
            "reason": deployment.reason,
            "started_at": deployment.started_at,
            "ended_at": deployment.ended_at,
            "reasons": reasons_to(deployment.reasons),
            "judgements": [judgement_to(a.judged) for a in analyses],
            "plan": plan_to(deployment.plan),
        }
    )


def _artifact(model: provisioning.Artifact | None) -> Artifact | None:
    return _ARTIFACT.validate_python(model.model_dump()) if model is not None else None
