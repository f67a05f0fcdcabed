"""Copies of groups for rating: one node on the revision that serves, as a group of its own beside the live one.

No live route, no live stage and no judgement knows a copy, so it gets no traffic and changes nothing of its original;
what it works on instead is in `rehearsal`. Where the original calls a transform group, nodes of that one's serving
revision are copied too, as a second group, and the copy calls those. What is written to either needs a lease of the
original. What they are driven with is a sample: never what passes through the live group.
"""

from dataclasses import replace

from services.provisioner.domain.group import Group, GroupIntent, Inventory
from services.provisioner.domain.load import Calls, LoadFound, LoadOrder, LoadStep, Posts, TopicFeed, bounded_by_called
from services.provisioner.domain.ports import Bundles, LoadDriver, Machines, Topics
from services.provisioner.domain.stores import GroupStore, PipelineStore
from services.provisioner.operations.groups import Groups
from services.provisioner.operations.lease_guard import LeaseGuard
from services.provisioner.operations.rehearsal import Rehearsal, rehearsal
from services.provisioner.operations.samples import Samples
from services.provisioner.operations.translation import group_intent, spec_of
from shared.contracts.node import PORT_SERVE
from shared.contracts.objects import Pipeline, ProvisionedScaling, ServerGroup, Stage, Transform
from shared.contracts.provisioning import AddFleetInput, GroupStackInput, Revision
from shared.contracts.rateable import batch_max, check_rateable, group_called, stage_on
from shared.contracts.rating import (
    AddCopyInput,
    CalledModel,
    CopyModel,
    DriveAnswer,
    DriveInput,
    Loading,
    RatingCall,
    RatingFound,
    RatingPromise,
    RatingStep,
)
from shared.domain.errors import Conflict, NotFound, Refused, Unavailable
from shared.domain.names import FleetId, GroupName, called_copy, rating_copy

BATCH_DEFAULT = 50  # where no stage says how many
WEIGHT = 1  # a node whose fleet takes no traffic runs no stage; only a copy reads the routes of a copy
PERCENT = 100


class Copies:
    """Makes them, and drives load on them; they are removed like any group."""

    def __init__(  # noqa: PLR0913  two stores, the groups, AWS, the bucket, the broker, the driver and the guard
        self,
        groups: GroupStore,
        pipelines: PipelineStore,
        whole: Groups,
        machines: Machines,
        bundles: Bundles,
        topics: Topics,
        driver: LoadDriver,
        guard: LeaseGuard,
        sink: str,
    ) -> None:
        """One for the whole service; `sink` is the `host:port` that the driver listens on for HTTP sinks, or empty."""
        self._groups = groups
        self._pipelines = pipelines
        self._whole = whole
        self._machines = machines
        self._samples = Samples(bundles)
        self._topics = topics
        self._driver = driver
        self._guard = guard
        self._sink = sink

    async def add(self, request: AddCopyInput) -> CopyModel:
        """One node; a copy of another revision that was left behind goes first."""
        group = await self._original(request.group)
        await self._guard.admit(request.lease, group.scope)
        revision = serving_revision(group)
        spec = spec_of(group)
        pipeline = await self._pipeline_of(group)
        stage = stage_on(pipeline, group.name)
        check_rateable(spec, stage, request.loading)
        sample = await self._samples.of(group, revision, request.sample)
        behind = await self._behind(group_called(spec, stage))
        called = called_copy(group.name) if behind else ""
        rehearsed = rehearsal(alone(spec), pipeline, stage, self._sink, request.lease.activity_id, called)
        intent = copy_intent(group.intent, rehearsed)
        stands = await self._add_behind(behind, group.name, request) if behind else None
        copied = revision.model_copy(update={"group": intent.name})
        await self._make_room(intent, copied, request)
        await self._groups.register(intent)  # before its topics: what is known is swept
        await self._topics.ensure(rehearsed.topics)
        await self._whole.add_fleet(_fleet_of(copied, 1, request))
        return CopyModel(
            copy_group=intent.name,
            fleet=copied.fleet,
            revision=revision.number,
            node_type=intent.node_type,
            promise=RatingPromise(latency_p95_s=spec.slo.lag_p95_s, errors_max=1 - spec.slo.availability / PERCENT),
            call=_call(spec, stage, request.loading),
            sample=sample,
            way=rehearsed.way,
            called=stands,
        )

    async def drive(self, request: DriveInput) -> DriveAnswer:
        """The next step, or the end."""
        copied, called = request.copied, request.copied.called
        inventory = await self._machines.inventory()
        order = LoadOrder(
            way=_way(copied, _serving(inventory, copied.fleet)[0]),
            step_s=copied.call.step_s,
            first=copied.call.first,
            latency_s=copied.promise.latency_p95_s,
            errors_max=copied.promise.errors_max,
            events=await self._samples.events(copied.sample),
            steps=tuple(
                LoadStep(
                    s.wanted, s.offered, s.answered, s.latency_p95_s, s.errors, s.held, s.called_busy, s.called_refusals
                )
                for s in request.steps
            ),
            called=_serving(inventory, called.fleet) if called else (),
        )
        match await self._driver.drive(order):
            case LoadFound() as f:
                if called:
                    f = bounded_by_called(f, order.steps, called.group, called.nodes)
                return DriveAnswer(found=RatingFound(rate=f.rate, low=f.low, high=f.high, note=f.note))
            case LoadStep() as s:
                return DriveAnswer(
                    step=RatingStep(
                        wanted=s.wanted,
                        offered=s.offered,
                        answered=s.answered,
                        latency_p95_s=s.latency_s,
                        errors=s.errors,
                        held=s.held,
                        called_busy=s.called_busy,
                        called_refusals=s.called_refusals,
                    )
                )

    async def _original(self, name: str) -> Group:
        group = await self._groups.get(GroupName(name))
        if group is None or group.intent.copy_of:
            raise NotFound(f"group {name}: there is none", remedy="`headrace get server-groups` lists them")
        return group

    async def _pipeline_of(self, group: Group) -> Pipeline | None:
        known = await self._pipelines.get(group.seat.pipeline) if group.seat else None
        return Pipeline.model_validate_json(known.intent.document) if known else None

    async def _behind(self, name: str) -> Group | None:
        """The transform group that the original calls; NotFound, Refused when none of its nodes could be copied."""
        if not name:
            return None
        group = await self._original(name)
        serving_revision(group)
        return group

    async def _add_behind(self, live: Group, original: GroupName, request: AddCopyInput) -> CalledModel:
        """Nodes for the copy to call."""
        revision, nodes = serving_revision(live), request.loading.called_nodes or 1
        spec = sized(spec_of(live), called_copy(original), nodes)
        intent = replace(group_intent(spec, live.intent.generation), copy_of=original)
        copied = revision.model_copy(update={"group": intent.name})
        await self._make_room(intent, copied, request)
        await self._groups.register(intent)
        await self._whole.add_fleet(_fleet_of(copied, nodes, request))
        return CalledModel(
            group=live.name, copy_group=intent.name, fleet=copied.fleet, revision=revision.number, nodes=nodes
        )

    async def _make_room(self, intent: GroupIntent, copied: Revision, request: AddCopyInput) -> None:
        known = await self._groups.get(intent.name)
        if known is None:
            return
        if known.intent.copy_of != intent.copy_of:
            raise Conflict(
                f"group {request.group}: its copy would be named {intent.name}, and there is a group of that name",
                remedy=f"rename group {intent.name}",
            )
        if any(fleet.id != copied.fleet for fleet in known.fleets):
            await self._whole.remove(GroupStackInput(group=intent.name, lease=request.lease))


def serving_revision(group: Group) -> Revision:
    """The revision that has most of the traffic; Refused while it has none, or shares it (a deployment is under way)."""
    serving = [f for f in group.standing if f.weight > 0]
    if len(serving) != 1:
        text = "no revision takes traffic" if not serving else "two revisions share its traffic"
        raise Refused(f"group {group.name}: {text}", remedy=f"`headrace explain group/{group.name}` shows what goes on")
    return Revision.model_validate_json(serving[0].revision_document)


def alone(spec: ServerGroup) -> ServerGroup:
    """The group with one node, under the name of its copy."""
    return sized(spec, rating_copy(GroupName(spec.name)), 1)


def sized(spec: ServerGroup, name: GroupName, nodes: int) -> ServerGroup:
    """The group under another name, with so many nodes."""
    return spec.model_copy(update={"name": name, "scaling": ProvisionedScaling(desired_nodes=nodes)})


def copy_intent(original: GroupIntent, rehearsed: Rehearsal) -> GroupIntent:
    """Of a copy, at the original's generation."""
    assignment = rehearsed.assignment
    return replace(
        group_intent(rehearsed.spec, original.generation),
        copy_of=original.name,
        rehearsal=assignment.model_dump_json() if assignment else "",
    )


def _fleet_of(copied: Revision, nodes: int, request: AddCopyInput) -> AddFleetInput:
    return AddFleetInput(group=copied.group, revision=copied, desired_initial=nodes, weight=WEIGHT, lease=request.lease)


def _serving(inventory: Inventory, fleet: str) -> tuple[str, ...]:
    """`host:port` of a copy's nodes in service; Unavailable when there is none."""
    live = inventory.fleet(FleetId(fleet))
    serving = tuple(f"{m.address}:{PORT_SERVE}" for m in live.machines if m.in_service and m.address) if live else ()
    if not serving:
        raise Unavailable(f"copy {fleet}: none of its nodes is in service", retry_after_s=2.0)
    return serving


def _call(spec: ServerGroup, stage: Stage | None, loading: Loading) -> RatingCall:
    """As the stage that runs on the group calls it; a stage is fed event by event."""
    function, batch = "", BATCH_DEFAULT
    if stage is not None and isinstance(stage.work, Transform):
        function, batch = stage.work.function, stage.work.batch_max
    if spec.kind == "stage":
        function, batch = "", 1
    batch = min(batch, batch_max(spec, stage) or batch)
    return RatingCall(
        function=loading.function or function,
        batch=loading.batch or batch,
        step_s=loading.step_s,
        first=loading.first,
    )


def _way(copied: CopyModel, address: str) -> Calls | Posts | TopicFeed:
    way, call = copied.way, copied.call
    match way.type:
        case "call":
            return Calls(address, call.function, call.batch)
        case "post":
            return Posts(address, way.body, call.batch)
        case "topic":
            return TopicFeed(way.topic, way.topic_dead, way.consumer_group, way.sink)
