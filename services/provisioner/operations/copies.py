"""Copies of groups for rating: one node on the revision that serves, as a group of its own beside the live one.

No route, no stage and no judgement knows a copy, so it gets no traffic and changes nothing of its original; what is
written to it needs a lease of the original. The sample is the one that was given, or `sample.ndjson` of the code bundle:
never what passes through the live group.
"""

import io
import tarfile
from dataclasses import replace

from services.provisioner.domain.group import Group, GroupIntent
from services.provisioner.domain.load import LoadFound, LoadOrder, LoadStep, sample_events
from services.provisioner.domain.ports import Bundles, GroupStore, LoadDriver, Machines, PipelineStore
from services.provisioner.operations.groups import Groups
from services.provisioner.operations.lease_guard import LeaseGuard
from services.provisioner.operations.translation import group_intent, spec_of
from shared.contracts.node import PORT_SERVE
from shared.contracts.objects import Pipeline, ProvisionedScaling, ServerGroup, Transform
from shared.contracts.provisioning import AddFleetInput, Artifact, GroupStackInput, Revision
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
BATCH_DEFAULT = 50  # of a group that no stage runs on
SAMPLES = "samples"
PERCENT = 100


class Copies:
    """Makes them, and drives load on them; they are removed like any group."""

    def __init__(  # noqa: PLR0913  two stores, the groups, AWS, the bucket, the driver and the guard
        self,
        groups: GroupStore,
        pipelines: PipelineStore,
        whole: Groups,
        machines: Machines,
        bundles: Bundles,
        driver: LoadDriver,
        guard: LeaseGuard,
    ) -> None:
        """One for the whole service."""
        self._groups = groups
        self._pipelines = pipelines
        self._whole = whole
        self._machines = machines
        self._bundles = bundles
        self._driver = driver
        self._guard = guard

    async def add(self, request: AddCopyInput) -> CopyModel:
        """One node; a copy of another revision that was left behind goes first."""
        group = await self._original(request.group)
        await self._guard.admit(request.lease, group.scope)
        revision = serving_revision(group)
        spec = spec_of(group)
        sample = request.sample or await self._bundled(group, revision)
        sample_events(await self._bundles.read(sample.url, SAMPLE_BYTES_MAX), sample.url, SAMPLE_EVENTS_MAX)
        intent = copy_intent(group.intent, spec)
        copied = revision.model_copy(update={"group": intent.name})
        await self._make_room(intent, copied, request)
        await self._groups.register(intent)
        given = AddFleetInput(group=intent.name, revision=copied, desired_initial=1, lease=request.lease)
        await self._whole.add_fleet(given)
        return CopyModel(
            copy_group=intent.name,
            fleet=copied.fleet,
            revision=revision.number,
            node_type=intent.node_type,
            promise=RatingPromise(latency_p95_s=spec.slo.lag_p95_s, errors_max=1 - spec.slo.availability / PERCENT),
            call=await self._call(group, request.loading),
            sample=sample,
        )

    async def drive(self, request: DriveInput) -> DriveAnswer:
        """The next step, or the end."""
        copied = request.copied
        content = await self._bundles.read(copied.sample.url, SAMPLE_BYTES_MAX)
        order = LoadOrder(
            address=await self._address(copied),
            function=copied.call.function,
            batch=copied.call.batch,
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
        if group.intent.kind != "transform":
            raise Refused(
                f"group {name}: it is of kind {group.intent.kind}, and only transform groups are rated",
                remedy="name a group that runs users' code",
            )
        return group

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
            raise Refused(f"group {group.name}: revision {revision.number} has no code", remedy=remedy)
        found = _from_tar(await self._bundles.read(revision.code.url, CODE_BYTES_MAX))
        if found is None:
            raise InvalidInput(
                f"group {group.name}: the code of revision {revision.number} holds no {SAMPLE_IN_BUNDLE}",
                field="sample",
                remedy=remedy,
            )
        kept = await self._bundles.put_text(SAMPLES, found.decode("utf-8", errors="replace"))
        return Artifact(url=kept.url, sha256=kept.sha256, size=kept.size)

    async def _call(self, group: Group, loading: Loading) -> RatingCall:
        """As the stage that runs on the group calls it."""
        function, batch = "", BATCH_DEFAULT
        pipeline = await self._pipelines.get(group.seat.pipeline) if group.seat else None
        if pipeline and group.seat:
            stages = Pipeline.model_validate_json(pipeline.intent.document).stages
            work = next((s.work for s in stages if s.name == group.seat.stage), None)
            if isinstance(work, Transform):
                function, batch = work.function, work.batch_max
        return RatingCall(
            function=loading.function or function,
            batch=loading.batch or batch,
            step_s=loading.step_s,
            first=loading.first,
        )

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


def copy_intent(original: GroupIntent, spec: ServerGroup) -> GroupIntent:
    """The original with one node, under a name of its own."""
    name = rating_copy(original.name)
    alone = spec.model_copy(update={"name": name, "scaling": ProvisionedScaling(desired_nodes=1)})
    return replace(group_intent(alone, original.generation), copy_of=original.name)


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
