"""Contracts to the domain's words, and back."""

from datetime import datetime
from hashlib import sha256

from services.provisioner.domain.drift import Finding
from services.provisioner.domain.environment import EnvironmentIntent, EnvironmentState
from services.provisioner.domain.group import Bundle, Fleet, Group, GroupIntent, Inventory
from services.provisioner.domain.names import asg_name
from services.provisioner.domain.pipeline import PipelineIntent, PipelineState, StageIntent, TopicPlan
from services.provisioner.domain.runs import StackOutcome
from services.provisioner.domain.traffic import FleetRoute, GroupRoutes
from shared.contracts import node, provisioning
from shared.contracts.objects import (
    Environment,
    Pipeline,
    ProvisionedScaling,
    ServerGroup,
    TopicSink,
    Transform,
    Transmit,
)
from shared.contracts.rateable import group_called
from shared.contracts.serving import PushIngest
from shared.domain.names import FleetId, GroupName, PipelineName, RevisionNumber, StageName, Workspace

PUSHED_PARTITIONS = 12  # of a topic that nobody else has made: as many as a pipeline has by default


def group_intent(spec: ServerGroup, generation: int) -> GroupIntent:
    """A group as declared."""
    scaling = spec.scaling
    if isinstance(scaling, ProvisionedScaling):
        nodes_min, nodes_max = scaling.desired_nodes, scaling.desired_nodes
    else:
        nodes_min, nodes_max = scaling.min_nodes, scaling.max_nodes
    return GroupIntent(
        name=GroupName(spec.name),
        workspace=Workspace(spec.workspace),
        kind=spec.kind,
        node_type=spec.node_type,
        nodes_min=nodes_min,
        nodes_max=nodes_max,
        owner=spec.owner,
        generation=generation,
        document=spec.model_dump_json(),
    )


def spec_of(group: Group) -> ServerGroup:
    """Back."""
    return ServerGroup.model_validate_json(group.intent.document)


def pipeline_intent(spec: Pipeline, generation: int) -> PipelineIntent:
    """A pipeline as declared."""
    return PipelineIntent(
        name=PipelineName(spec.name),
        partitions=spec.partitions,
        stages=tuple(
            StageIntent(
                name=StageName(s.name),
                group=GroupName(s.group),
                work=s.work.type,
                targets=tuple(StageName(e.target) for e in spec.edges if e.source == s.name),
                sink_topics=tuple(k.topic for k in s.work.sinks if isinstance(k, TopicSink))
                if isinstance(s.work, Transmit)
                else (),
                calls=GroupName(s.work.group) if isinstance(s.work, Transform) and s.work.group else None,
                retry_levels=len(s.retry.global_delays_s),
            )
            for s in spec.stages
        ),
        generation=generation,
        document=spec.model_dump_json(),
    )


def environment_intent(spec: Environment, generation: int) -> EnvironmentIntent:
    """An environment as declared."""
    return EnvironmentIntent(spec.name, spec.requirements, spec.python, generation, spec.model_dump_json())


def artifact(bundle: Bundle | None) -> provisioning.Artifact | None:
    """A bundle as workflows speak it."""
    return provisioning.Artifact(url=bundle.url, sha256=bundle.sha256, size=bundle.size) if bundle else None


def environment_model(state: EnvironmentState) -> provisioning.EnvironmentModel:
    """An environment as workflows speak it."""
    return provisioning.EnvironmentModel.model_validate(
        {
            "spec": Environment.model_validate_json(state.intent.document),
            "phase": state.phase,
            "detail": state.detail,
            "digest": state.digest,
            "artifact": artifact(state.bundle),
            "locked": state.locked,
        }
    )


def fleet_models(group: Group, inventory: Inventory | None) -> tuple[provisioning.FleetModel, ...]:
    """Its fleets with what AWS says of them, if it was asked."""
    return tuple(_fleet_model(group, f, inventory) for f in group.fleets)


def _fleet_model(group: Group, fleet: Fleet, inventory: Inventory | None) -> provisioning.FleetModel:
    live = inventory.fleet(fleet.id) if inventory else None
    return provisioning.FleetModel(
        fleet=fleet.id,
        asg=asg_name(group.intent.workspace, fleet.id),
        revision=fleet.revision,
        weight=fleet.weight,
        nodes_min=live.minimum if live else 0,
        nodes_max=live.maximum if live else group.intent.nodes_max,
        desired=live.desired if live else 0,
        in_service=live.in_service if live else 0,
    )


def group_model(group: Group, inventory: Inventory | None, pipeline: PipelineState | None) -> provisioning.GroupModel:
    """A group as workflows and services speak it."""
    consumes = pipeline is not None and group.seat is not None and group.intent.kind != "ingest"
    seat = group.seat
    return provisioning.GroupModel.model_validate(
        {
            "spec": spec_of(group),
            "generation": group.intent.generation,
            "phase": group.phase,
            "detail": group.detail,
            "fleets": fleet_models(group, inventory),
            "revisions": tuple(provisioning.Revision.model_validate_json(f.revision_document) for f in group.fleets),
            "pipeline": seat.pipeline if seat else "",
            "stage": seat.stage if seat else "",
            "topic_in": node.topic_in(seat.pipeline, seat.stage) if seat and consumes else "",
            "consumer_group": node.consumer_group(seat.pipeline, seat.stage) if seat and consumes else "",
            "partitions": pipeline.intent.partitions if pipeline and consumes else 0,
        }
    )


def pipeline_model(state: PipelineState) -> provisioning.PipelineModel:
    """A pipeline as workflows and services speak it."""
    return provisioning.PipelineModel.model_validate(
        {
            "spec": Pipeline.model_validate_json(state.intent.document),
            "generation": state.intent.generation,
            "phase": state.phase,
            "detail": state.detail,
            "ramp_percent": state.ramp_percent,
        }
    )


def stack_result(group: Group, outcome: StackOutcome, inventory: Inventory | None) -> provisioning.StackResult:
    """What Pulumi did."""
    return provisioning.StackResult(
        group=group.name,
        created=outcome.created,
        updated=outcome.updated,
        deleted=outcome.deleted,
        unchanged=outcome.unchanged,
        seconds=outcome.seconds,
        fleets=fleet_models(group, inventory),
    )


def routes_model(routes: GroupRoutes) -> node.Routes:
    """Routes as nodes and clients read them."""
    return node.Routes(
        group=routes.group,
        generation=routes.generation,
        fleets=tuple(
            node.FleetRoute(fleet=f.fleet, revision=f.revision, weight=f.weight, endpoints=f.endpoints, zones=f.zones)
            for f in routes.fleets
        ),
        ramp_percent=routes.ramp_percent,
    )


def assignment_digest(group: Group, pipeline: PipelineState | None) -> str:
    """What changes when nodes must hear anew what they work on."""
    parts = [group.intent.document, pipeline.intent.document if pipeline else "", repr(group.seat)]
    if group.intent.rehearsal:
        parts.append(group.intent.rehearsal)
    return sha256("\0".join(parts).encode()).hexdigest()[:16]


def assignment(
    group: Group, fleet: FleetRoute | Fleet, pipeline: PipelineState | None, kafka: node.KafkaAccess | None
) -> node.Assignment:
    """What the nodes of one fleet work on."""
    spec = spec_of(group)
    name = FleetId(fleet.fleet if isinstance(fleet, FleetRoute) else fleet.id)
    if group.intent.rehearsal:
        rehearsed = node.Assignment.model_validate_json(group.intent.rehearsal)
        return rehearsed.model_copy(update={"fleet": name, "revision": fleet.revision, "kafka": kafka})
    if pipeline is None or group.seat is None:
        pushed = kafka if isinstance(spec.serving, PushIngest) else None
        return node.Assignment(group=spec, fleet=name, revision=fleet.revision, kafka=pushed, slo=spec.slo)
    whole = Pipeline.model_validate_json(pipeline.intent.document)
    stage = next((s for s in whole.stages if s.name == group.seat.stage), None)
    if stage is None:
        return node.Assignment(group=spec, fleet=name, revision=fleet.revision, slo=spec.slo)
    consumes = stage.work.type != "ingest"
    return node.Assignment(
        group=spec,
        fleet=name,
        revision=RevisionNumber(fleet.revision),
        pipeline=whole,
        stage=stage,
        topic_in=node.topic_in(whole.name, stage.name) if consumes else "",
        topics_out=tuple(node.topic_in(whole.name, e.target) for e in whole.edges if e.source == stage.name),
        topic_dead=node.topic_dead(whole.name, stage.name) if consumes else "",
        topics_retry=node.topics_retry(whole.name, stage.name, len(stage.retry.global_delays_s)) if consumes else (),
        consumer_group=node.consumer_group(whole.name, stage.name) if consumes else "",
        kafka=kafka,
        slo=spec.slo,
    )


def pushed_topics_of(spec: ServerGroup) -> tuple[TopicPlan, ...]:
    """The topic that an ingest group pushes to; one that is there already stays as it is."""
    topic = spec.serving.topic if isinstance(spec.serving, PushIngest) else ""
    return (TopicPlan(topic, PUSHED_PARTITIONS, as_it_is=True),) if topic else ()


def groups_called(group: Group, pipeline: PipelineState | None) -> frozenset[str]:
    """The transform groups that the nodes of a group call: they may read the routes of these, and of their own."""
    stage = node.Assignment.model_validate_json(group.intent.rehearsal).stage if group.intent.rehearsal else None
    called = group_called(spec_of(group), stage)
    found = {called} if called else set()
    if pipeline and group.seat:
        found |= {s.calls for s in pipeline.intent.stages if s.name == group.seat.stage and s.calls}
    return frozenset(found)


def finding_model(finding: Finding) -> provisioning.DriftFinding:
    """A drift finding as people read it."""
    return provisioning.DriftFinding.model_validate(
        {
            "group": finding.group,
            "resource": finding.resource,
            "field": finding.field,
            "declared": finding.declared,
            "live": finding.live,
            "drift_class": finding.drift_class,
            "owner": finding.owner,
            "found_at": _seconds(finding.found_at),
            "id": finding.id,
            "state": finding.state,
        }
    )


def _seconds(at: datetime) -> float:
    return at.timestamp()
