"""What people hold or repair: freezes, quiet windows, ramps, drift."""

from services.admin_api.domain.records import Operation
from services.admin_api.domain.roles import Actor, Verb
from services.admin_api.operations.context import Context
from services.admin_api.operations.long_work import LongWork
from services.admin_api.operations.reports import RampView
from services.admin_api.operations.views import Held
from shared.contracts import queues
from shared.domain.errors import InvalidInput, NotFound
from shared.domain.scope import Scope

HELD_S_MAX = 30 * 24 * 3600.0
RAMP_ORDERS = ("hold", "resume", "back")


def checked_seconds(seconds: float) -> float:
    """Every window has an end."""
    if not 0 < seconds <= HELD_S_MAX:
        raise InvalidInput(
            f"seconds: {seconds:g} is not between 0 and {HELD_S_MAX:g}",
            field="seconds",
            remedy="give an end within 30 days; it can be renewed",
        )
    return seconds


class Guarding:
    """Holds by people."""

    def __init__(self, context: Context, long_work: LongWork) -> None:
        """`long_work` starts drift checks."""
        self._context = context
        self._long_work = long_work

    async def freeze(self, actor: Actor, scope: str, seconds: float, reason: str) -> Held:
        """What runs there finishes its step, and holds."""
        self._context.require(actor, Verb.OPERATE)
        Scope.parse(scope)
        identity = await self._context.peers.observer.freeze(
            scope, checked_seconds(seconds), actor.name, reason, actor.request_id
        )
        await self._audit(actor, "freeze", scope, reason, seconds)
        return Held(id=identity, scope=scope, seconds=seconds)

    async def unfreeze(self, actor: Actor, scope: str, reason: str) -> Held:
        """Lift it."""
        self._context.require(actor, Verb.OPERATE)
        Scope.parse(scope)
        identity = await self._context.peers.observer.freeze(
            scope, 0.0, actor.name, reason, actor.request_id, lift=True
        )
        await self._audit(actor, "unfreeze", scope, reason, 0.0)
        return Held(id=identity, scope=scope)

    async def quiet(self, actor: Actor, scope: str, classes: tuple[str, ...], seconds: float, reason: str) -> Held:
        """No notifications of these classes; verdicts stay what they are."""
        self._context.require(actor, Verb.OPERATE)
        Scope.parse(scope)
        identity = await self._context.peers.observer.quiet(
            scope, classes, checked_seconds(seconds), actor.name, reason, actor.request_id
        )
        await self._audit(actor, "quiet", scope, reason, seconds)
        return Held(id=identity, scope=scope, seconds=seconds)

    async def ramp(self, actor: Actor, pipeline: str, order: str) -> RampView:
        """Hold, resume or step back a ramp; NotFound when none runs."""
        self._context.require(actor, Verb.OPERATE)
        if order not in RAMP_ORDERS:
            raise InvalidInput(f"{order!r} is no order to a ramp", field="order", remedy="use hold, resume or back")
        await self._context.workflows.tell(queues.ramp_id(pipeline), order, actor.name)
        await self._audit(actor, f"ramp {order}", f"pipeline/{pipeline}", "", 0.0)
        percent, detail = await self._context.peers.provisioner.ramp(pipeline)
        return RampView(pipeline=pipeline, percent=percent, detail=detail)

    async def check_drift(self, actor: Actor, group: str = "") -> Operation:
        """Look at once, and repair what is ours to repair; the same run that the schedule makes."""
        self._context.require(actor, Verb.OPERATE)
        if group:
            await self._context.peers.provisioner.group(group)  # NotFound names it
        operation_id = self._context.ids.new("op")
        operation = Operation(
            id=operation_id,
            workspace=self._context.workspace,
            kind="drift-check",
            subject=f"group/{group}" if group else "system",
            workflow_type="CheckDrift",
            workflow_id=f"{queues.CHECK_DRIFT_SCHEDULE}/{operation_id}",
            input=None,
            requested_by=actor.name,
            created_at=self._context.clock.now(),
        )
        async with self._context.store.unit() as unit:
            await self._long_work.record(unit, operation)
            await self._context.audit(unit, actor, "drift check", operation.subject)
        return await self._long_work.start(operation, again=True, queue=False)

    async def cancel(self, actor: Actor, operation_id: str) -> Operation:
        """Ask an operation to end; it undoes what it began."""
        self._context.require(actor, Verb.OPERATE)
        operation = await self._long_work.get(operation_id)
        if not operation.run_id:
            raise NotFound(f"operation {operation_id} does not run", remedy=f"it is {operation.state}")
        await self._context.workflows.cancel(operation.workflow_id, operation.run_id)
        async with self._context.store.unit() as unit:
            await self._context.audit(unit, actor, "cancel", operation.subject, detail={"operation": operation_id})
        return operation

    async def _audit(self, actor: Actor, action: str, scope: str, reason: str, seconds: float) -> None:
        async with self._context.store.unit() as unit:
            await self._context.audit(
                unit, actor, action, scope, reason=reason, detail={"seconds": seconds} if seconds else {}
            )
