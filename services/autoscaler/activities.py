"""The Temporal face of the Autoscaler: every `autoscaler.*` of `shared.contracts.activities`."""

from collections.abc import Callable
from typing import Any

from temporalio import activity

from services.autoscaler.operations.rate import Rates
from services.autoscaler.operations.reserve import Reservations
from services.autoscaler.operations.scale import Scaling
from services.autoscaler.operations.sweep import Sweeping
from shared.contracts.activities import Nothing, SweepReport
from shared.contracts.rating import RatingModel
from shared.contracts.scaling import (
    ReleaseInput,
    ReserveAnswer,
    ReserveInput,
    ScaleResult,
    SetDesiredInput,
    WaitInServiceInput,
)


class AutoscalerActivities:
    """Methods to register with a worker."""

    def __init__(self, reservations: Reservations, scaling: Scaling, sweeping: Sweeping, rates: Rates) -> None:
        """The operations behind them."""
        self._reservations, self._scaling, self._sweeping = reservations, scaling, sweeping
        self._rates = rates

    def all(self) -> list[Callable[..., Any]]:
        """Everything that a worker registers."""
        return [
            self.reserve,
            self.release,
            self.set_desired,
            self.wait_in_service,
            self.record_outcome,
            self.record_rating,
            self.sweep,
        ]

    @activity.defn(name="autoscaler.reserve")
    async def reserve(self, request: ReserveInput) -> ReserveAnswer:
        """Floor and share under the activity's lease; sizes of all the group's fleets."""
        return await self._reservations.reserve(request)

    @activity.defn(name="autoscaler.release")
    async def release(self, request: ReleaseInput) -> Nothing:
        """Floors and shares back."""
        await self._reservations.release(request)
        return Nothing()

    @activity.defn(name="autoscaler.set_desired")
    async def set_desired(self, request: SetDesiredInput) -> ScaleResult:
        """The decided sizes."""
        return await self._scaling.set_desired(request)

    @activity.defn(name="autoscaler.wait_in_service")
    async def wait_in_service(self, request: WaitInServiceInput) -> ScaleResult:
        """Until they serve, or give up."""
        return await self._scaling.wait_in_service(request, activity.heartbeat)

    @activity.defn(name="autoscaler.record_outcome")
    async def record_outcome(self, result: ScaleResult) -> Nothing:
        """How a scaling ended."""
        await self._scaling.record_outcome(result)
        return Nothing()

    @activity.defn(name="autoscaler.record_rating")
    async def record_rating(self, rating: RatingModel) -> RatingModel:
        """What a node sustains, and how that changed."""
        return await self._rates.record(rating)

    @activity.defn(name="autoscaler.sweep")
    async def sweep(self, _: Nothing) -> SweepReport:
        """Lapsed reservations, old history, unfinished writes."""
        return await self._sweeping.sweep()
