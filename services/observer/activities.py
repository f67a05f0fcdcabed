"""The Temporal face: every `observer.*` row of `shared.contracts.activities`."""

from collections.abc import Callable
from typing import Any

from temporalio import activity

from services.observer.adapters.verdict_documents import model_of_verdict
from services.observer.operations.admit import Admission
from services.observer.operations.reading import Reading
from services.observer.wire import begin_answer, heartbeat_answer, request_of
from shared.contracts.activities import Nothing, ScopeInput, SweepReport
from shared.contracts.admission import (
    BeginAnswer,
    BeginInput,
    EndInput,
    HeartbeatAnswer,
    HeartbeatInput,
    VerdictModel,
)
from shared.domain.names import ActivityId, FencingToken
from shared.domain.scope import Scope


class ObserverActivities:
    """Methods that a worker registers."""

    def __init__(self, admission: Admission, reading: Reading) -> None:
        """The same operations as gRPC's."""
        self._admission, self._reading = admission, reading

    def all(self) -> list[Callable[..., Any]]:
        """Every activity, for the worker."""
        return [self.begin, self.heartbeat, self.end, self.verdict, self.sweep]

    @activity.defn(name="observer.begin")
    async def begin(self, request: BeginInput) -> BeginAnswer:
        """Ask for admission; a refusal is an answer, not a failure."""
        return begin_answer(await self._admission.begin(request_of(request), dry_run=request.dry_run))

    @activity.defn(name="observer.heartbeat")
    async def heartbeat(self, request: HeartbeatInput) -> HeartbeatAnswer:
        """Renew and hear what is asked."""
        held = await self._admission.heartbeat(
            ActivityId(request.activity_id),
            FencingToken(request.token),
            parked=request.parked,
            before_step=request.before_step,
        )
        return heartbeat_answer(held)

    @activity.defn(name="observer.end")
    async def end(self, request: EndInput) -> Nothing:
        """Record the outcome."""
        await self._admission.end(
            ActivityId(request.activity_id), FencingToken(request.token), request.outcome, request.note
        )
        return Nothing()

    @activity.defn(name="observer.verdict")
    async def verdict(self, request: ScopeInput) -> VerdictModel:
        """One verdict."""
        return model_of_verdict(await self._reading.verdict(Scope.parse(request.scope)), self._reading.now)

    @activity.defn(name="observer.sweep")
    async def sweep(self, _: Nothing) -> SweepReport:
        """End what has lapsed."""
        ended = await self._admission.sweep()
        return SweepReport(
            ended=tuple(a.id for a in ended),
            notes=tuple(f"{a.kind.value} of {a.scope} by {a.holder} lapsed" for a in ended),
        )
