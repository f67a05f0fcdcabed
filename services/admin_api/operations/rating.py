"""Traffic ratings: asked for as an operation, refused at once when it would not be admitted now, listed newest first.

The sample that a person gives goes to the bundle bucket under its own digest; neither the operation nor the audit log
holds it.
"""

from hashlib import sha256

from services.admin_api.domain.records import Operation
from services.admin_api.domain.roles import Actor, Verb
from services.admin_api.operations.admission import dry_request, refuse_unless_admitted
from services.admin_api.operations.context import Context
from services.admin_api.operations.long_work import LongWork
from shared.contracts import queues
from shared.contracts.objects import Stage
from shared.contracts.provisioning import Artifact, GroupModel
from shared.contracts.rateable import check_rateable, stage_on
from shared.contracts.rating import LISTED_MAX, RateInput, RateRequest, Ratings
from shared.domain.activity import ActivityKind
from shared.domain.errors import AlreadyExists


class Rating:
    """Of groups."""

    def __init__(self, context: Context, long_work: LongWork) -> None:
        """`long_work` starts them."""
        self._context = context
        self._long_work = long_work

    async def list(self, actor: Actor, group: str, limit: int) -> Ratings:
        """Newest first; none is an answer."""
        self._context.require(actor, Verb.READ)
        found = await self._context.peers.autoscaler.ratings(group, min(limit, LISTED_MAX))
        return Ratings(items=tuple(found))

    async def start(self, actor: Actor, group: str, request: RateRequest) -> Operation:
        """One at a time per group; Refused with every reason when admission says no now and waiting is not wanted."""
        self._context.require(actor, Verb.OPERATE)
        known = await self._context.peers.provisioner.group(group)  # NotFound names what is not there
        check_rateable(known.spec, await self._stage(known), request.loading)
        if request.wait_s_max <= 0:
            asked = dry_request(self._context, actor, ActivityKind.PROVISION, f"group/{group}")
            await refuse_unless_admitted(self._context, asked, "a rating")
        operation_id = self._context.ids.new("op")
        given = RateInput(
            group=group,
            request_id=operation_id,
            sample=await self._kept(request.sample),
            loading=request.loading,
            wait_s_max=request.wait_s_max,
            reason=request.reason,
            requested_by=actor.name,
        )
        operation = Operation(
            id=operation_id,
            workspace=self._context.workspace,
            kind="rate",
            subject=f"group/{group}",
            workflow_type="RateGroup",
            workflow_id=queues.rate_id(group),
            input=given.model_dump(mode="json"),
            requested_by=actor.name,
            created_at=self._context.clock.now(),
        )
        async with self._context.store.unit() as unit:
            await self._long_work.record(unit, operation)
            detail = {"operation": operation_id, "sample": given.sample.sha256 if given.sample else None}
            await self._context.audit(unit, actor, "rate", operation.subject, reason=request.reason, detail=detail)
        try:
            return await self._long_work.start(operation, again=True, queue=False)
        except AlreadyExists as e:
            await self._long_work.refuse(operation, "a rating of this group runs already")
            raise AlreadyExists(
                f"a rating of group {group!r} runs already",
                remedy=f"`headrace explain group/{group}` shows it; wait until it has ended",
            ) from e

    async def _stage(self, group: GroupModel) -> Stage | None:
        if not group.pipeline:
            return None
        _, pipelines = await self._context.peers.provisioner.inventory()
        spec = next((p.spec for p in pipelines if p.spec.name == group.pipeline), None)
        return stage_on(spec, group.spec.name)

    async def _kept(self, sample: str | None) -> Artifact | None:
        if sample is None:
            return None
        content = sample.encode()
        digest = sha256(content).hexdigest()
        url = await self._context.code.put_sample(digest, content)
        return Artifact(url=url, sha256=digest, size=len(content))
