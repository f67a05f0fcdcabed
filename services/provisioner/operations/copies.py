"""Copies of groups for rating: one node on the revision that serves, as a group of its own beside the live one.

No live route, no live stage and no judgement knows a copy, so it gets no traffic and changes nothing of its original;
what it works on instead is in `rehearsal`. What is written to it needs a lease of the original. The sample is the one
that was given, or `sample.ndjson` of the code bundle: never what passes through the live group.
"""

import io
import tarfile
from dataclasses import replace

from services.provisioner.domain.group import Group, GroupIntent
from services.provisioner.domain.load import Calls, LoadFound, LoadOrder, LoadStep, Posts, TopicFeed, sample_events
from services.provisioner.domain.ports import Bundles, LoadDriver, Machines, Topics
from services.provisioner.domain.stores import GroupStore, PipelineStore
from services.provisioner.operations.groups import Groups
from services.provisioner.operations.lease_guard import LeaseGuard
from services.provisioner.operations.rehearsal import Rehearsal, rehearsal
from services.provisioner.operations.translation import group_intent, spec_of
from shared.contracts.node import PORT_SERVE
from shared.contracts.objects import Pipeline, ProvisionedScaling, ServerGroup, Stage, Transform
from shared.contracts.provisioning import AddFleetInput, Artifact, GroupStackInput, Revision
from shared.contracts.rateable import batch_max, check_rateable, stage_on
from shared.contracts.rating import (
    SAMPLE_BYTES_MAX,
    SAMPLE_EVENTS_MAX,
    SAMPLE_IN_BUNDLE,
    AddCopyInput,
    CopyModel,
    DriveAnswer,
    DriveInput,
    Loading,
    RatingCall,
    RatingFound,
    RatingPromise,
    RatingStep,
)
from shared.domain.errors import Conflict, InvalidInput, NotFound, Refused, Unavailable
from shared.domain.names import FleetId, GroupName, rating_copy

CODE_BYTES_MAX = 64 * 1024 * 1024  # the admin API takes less
BATCH_DEFAULT = 50  # where no stage says how many
SAMPLES = "samples"
WEIGHT = 1  # a node whose fleet takes no traffic runs no stage; nobody reads the routes of a copy
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
        self._bundles = bundles
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
        sample = request.sample or await self._bundled(group, revision)
        sample_events(await self._bundles.read(sample.url, SAMPLE_BYTES_MAX), sample.url, SAMPLE_EVENTS_MAX)
        rehearsed = rehearsal(alone(spec), pipeline, stage, self._sink, request.lease.activity_id)
        intent = copy_intent(group.intent, rehearsed)
        copied = revision.model_copy(update={"group": intent.name})
        await self._make_room(intent, copied, request)
        await self._groups.register(intent)  # before its topics: what is known is swept
        await self._topics.ensure(rehearsed.topics)
        given = AddFleetInput(group=intent.name, revision=copied, desired_initial=1, weight=WEIGHT, lease=request.lease)
        await self._whole.add_fleet(given)
        return CopyModel(
            copy_group=intent.name,
            fleet=copied.fleet,
            revision=revision.number,
            node_type=intent.node_type,
            promise=RatingPromise(latency_p95_s=spec.slo.lag_p95_s, errors_max=1 - spec.slo.availability / PERCENT),
            call=_call(spec, stage, request.loading),
            sample=sample,
            way=rehearsed.way,
        )

    async def drive(self, request: DriveInput) -> DriveAnswer:
        """The next step, or the end."""
        copied = request.copied
        content = await self._bundles.read(copied.sample.url, SAMPLE_BYTES_MAX)
        order = LoadOrder(
            way=_way(copied, await self._address(copied)),
            step_s=copied.call.step_s,
            first=copied.call.first,
            latency_s=copied.promise.latency_p95_s,
            errors_max=copied.promise.errors_max,
            events=sample_events(content, copied.sample.url, SAMPLE_EVENTS_MAX),
            steps=tuple(
                LoadStep(s.wanted, s.offered, s.answered, s.latency_p95_s, s.errors, s.held) for s in request.steps
            ),
        )
        match await self._driver.drive(order):
            case LoadFound() as f:
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

    async def _bundled(self, group: Group, revision: Revision) -> Artifact:
        """The sample that travels with the code."""
        remedy = f"give one: `headrace rate {group.name} --sample FILE`, or put {SAMPLE_IN_BUNDLE} beside the code"
        if revision.code is None:
            raise Refused(
                f"group {group.name}: no sample was given, and revision {revision.number} has no code that could hold one",
                remedy=remedy,
            )
        found = _from_tar(await self._bundles.read(revision.code.url, CODE_BYTES_MAX))
        if found is None:
            raise InvalidInput(
                f"group {group.name}: the code of revision {revision.number} holds no {SAMPLE_IN_BUNDLE}",
                field="sample",
                remedy=remedy,
            )
        kept = await self._bundles.put_text(SAMPLES, found.decode("utf-8", errors="replace"))
        return Artifact(url=kept.url, sha256=kept.sha256, size=kept.size)

    async def _address(self, copied: CopyModel) -> str:
        live = (await self._machines.inventory()).fleet(FleetId(copied.fleet))
        serving = [m.address for m in live.machines if m.in_service and m.address] if live else []
        if not serving:
            raise Unavailable(f"copy {copied.fleet}: none of its nodes is in service", retry_after_s=2.0)
        return f"{serving[0]}:{PORT_SERVE}"


def serving_revision(group: Group) -> Revision:
    """The revision that has most of the traffic; Refused while it has none, or shares it (a deployment is under way)."""
    serving = [f for f in group.standing if f.weight > 0]
    if len(serving) != 1:
        text = "no revision takes traffic" if not serving else "two revisions share its traffic"
        raise Refused(f"group {group.name}: {text}", remedy=f"`headrace explain group/{group.name}` shows what goes on")
    return Revision.model_validate_json(serving[0].revision_document)


def alone(spec: ServerGroup) -> ServerGroup:
    """The group with one node, under the name of its copy."""
    name = rating_copy(GroupName(spec.name))
    return spec.model_copy(update={"name": name, "scaling": ProvisionedScaling(desired_nodes=1)})


def copy_intent(original: GroupIntent, rehearsed: Rehearsal) -> GroupIntent:
    """Of a copy, at the original's generation."""
    assignment = rehearsed.assignment
    return replace(
        group_intent(rehearsed.spec, original.generation),
        copy_of=original.name,
        rehearsal=assignment.model_dump_json() if assignment else "",
    )


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


def _from_tar(content: bytes) -> bytes | None:
    """Read, never unpacked."""
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as tar:
        for member in tar:
            if member.isfile() and member.name.removeprefix("./") == SAMPLE_IN_BUNDLE:
                if member.size > SAMPLE_BYTES_MAX:
                    raise InvalidInput(
                        f"{SAMPLE_IN_BUNDLE}: {member.size} bytes is above {SAMPLE_BYTES_MAX}", field="sample"
                    )
                file = tar.extractfile(member)
                return file.read() if file else None
    return None
