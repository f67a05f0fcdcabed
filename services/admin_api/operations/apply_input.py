"""From a plan that was written to the input of the workflow that carries it out."""

from collections.abc import Mapping

from services.admin_api.domain.ports import CodeRecord, Unit
from services.admin_api.domain.records import Action, ObjectKey, ObjectKind, Plan, StoredObject
from services.admin_api.domain.roles import Actor
from shared.contracts.apply import ApplyInput
from shared.contracts.deployment import DeployInput
from shared.contracts.objects import Environment, Pipeline, ServerGroup
from shared.contracts.provisioning import (
    Artifact,
    BuildEnvironmentInput,
    DestroyInput,
    ProvisionGroupInput,
    ProvisionPipelineInput,
)


async def apply_input(
    unit: Unit, plan: Plan, written: Mapping[ObjectKey, StoredObject], operation_id: str, actor: Actor
) -> ApplyInput:
    """What `ApplyObjects` gets: environments, groups, deployments, pipelines, destroys."""
    environments, groups, deploys, pipelines, destroys = [], [], [], [], []
    for change in plan.changes:
        new, request = written[change.key], f"{operation_id}/{change.key}"
        if change.action is Action.DELETE:
            kind = change.key.kind.value
            destroys.append(DestroyInput(kind=kind, name=change.key.name, request_id=request))
        elif change.key.kind is ObjectKind.ENVIRONMENT:
            made = Environment.model_validate(new.spec)
            environments.append(BuildEnvironmentInput(spec=made, generation=new.generation, request_id=request))
        elif change.key.kind is ObjectKind.SERVER_GROUP:
            spec = ServerGroup.model_validate(new.spec)
            code = artifact_of(await unit.code.get(spec.code)) if spec.code else None
            groups.append(ProvisionGroupInput(spec=spec, generation=new.generation, request_id=request, code=code))
            if change.deploys:
                deploys.append(_deploy(spec, code, f"{request}/deploy", actor, plan))
        else:
            pipeline = Pipeline.model_validate(new.spec)
            pipelines.append(ProvisionPipelineInput(spec=pipeline, generation=new.generation, request_id=request))
    return ApplyInput(
        plan_id=plan.id,
        request_id=operation_id,
        environments=tuple(environments),
        groups=tuple(groups),
        deploys=tuple(deploys),
        pipelines=tuple(pipelines),
        destroys=tuple(destroys),
    )


def _deploy(spec: ServerGroup, code: Artifact | None, request_id: str, actor: Actor, plan: Plan) -> DeployInput:
    return DeployInput(
        group=spec.name,
        request_id=request_id,
        environment=spec.environment,
        code=code,
        variables=spec.variables,
        rollout=spec.rollout,
        reason=f"plan {plan.id}",
        requested_by=actor.name,
    )


def artifact_of(record: CodeRecord | None) -> Artifact | None:
    """Where a code bundle is."""
    return Artifact(url=record.url, sha256=record.sha256, size=record.size) if record else None
