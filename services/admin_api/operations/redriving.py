"""Dead letters: who may see them, and a redrive as an operation."""

from services.admin_api.domain.records import Operation
from services.admin_api.domain.roles import Actor, Verb
from services.admin_api.operations.context import Context
from services.admin_api.operations.long_work import LongWork
from shared.contracts import queues
from shared.contracts.dead_letters import DeadLetter, DeadLetters, RedriveInput, RedriveRequest
from shared.domain.errors import AlreadyExists


class Redriving:
    """Of stages."""

    def __init__(self, context: Context, long_work: LongWork) -> None:
        """`long_work` starts redrives."""
        self._context = context
        self._long_work = long_work

    async def list(  # noqa: PLR0913  what may be asked
        self, actor: Actor, pipeline: str, stage: str, limit: int, reason: str, *, include_redriven: bool
    ) -> DeadLetters:
        """Newest first, without values."""
        self._context.require(actor, Verb.READ)
        provisioner = self._context.peers.provisioner
        return await provisioner.dead_letters(pipeline, stage, limit, reason, include_redriven=include_redriven)

    async def show(self, actor: Actor, pipeline: str, stage: str, offset: int) -> DeadLetter:
        """One with its value, which is users' data: a viewer does not get it."""
        self._context.require(actor, Verb.OPERATE)
        return await self._context.peers.provisioner.dead_letter(pipeline, stage, offset)

    async def redrive(self, actor: Actor, pipeline: str, stage: str, request: RedriveRequest) -> Operation:
        """One at a time per stage; AlreadyExists while one runs."""
        self._context.require(actor, Verb.OPERATE)
        await self._context.peers.provisioner.dead_letters(pipeline, stage, 1)  # NotFound names what is not there
        operation_id = self._context.ids.new("op")
        given = RedriveInput(pipeline=pipeline, stage=stage, request=request, request_id=operation_id)
        operation = Operation(
            id=operation_id,
            workspace=self._context.workspace,
            kind="redrive",
            subject=f"stage/{pipeline}/{stage}",
            workflow_type="RedriveDeadLetters",
            workflow_id=queues.redrive_id(pipeline, stage),
            input=given.model_dump(mode="json"),
            requested_by=actor.name,
            created_at=self._context.clock.now(),
        )
        async with self._context.store.unit() as unit:
            await self._long_work.record(unit, operation)
            detail = {"reason": request.reason, "offsets": str(len(request.offsets)), "rate": f"{request.rate:g}"}
            await self._context.audit(unit, actor, "redrive dead letters", operation.subject, detail=detail)
        try:
            return await self._long_work.start(operation, again=True, queue=False)
        except AlreadyExists:
            await self._long_work.refuse(operation, "a redrive of this stage runs already")
            raise
