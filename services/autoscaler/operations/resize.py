"""Writing sizes: the intent with its token first, then the absolute size, then what came of it. Growth before removal.

The Autoscaler is the only writer of desired capacity, so what is written is what was decided; AWS checks no token,
which is why the token is checked in our store right before, why the lease is looked at once more between the intent and
the call, and why the write is never relative.
"""

from collections.abc import Mapping

from services.autoscaler.domain.group import FleetState, GroupSnapshot
from services.autoscaler.domain.ports import Sizes, Store
from services.autoscaler.domain.records import Intent, Lane
from services.autoscaler.operations.lease import SKEW_S_MAX, LeaseCheck, Leave
from services.autoscaler.operations.sweep import SETTLE_AFTER_S
from shared.contracts.admission import LeaseModel
from shared.domain.clock import Clock
from shared.domain.errors import HeadraceError, StaleLease
from shared.domain.names import ActivityId, FencingToken, FleetId


class Resizer:
    """Sets the sizes of a group's fleets."""

    def __init__(self, store: Store, sizes: Sizes, leases: LeaseCheck, clock: Clock) -> None:
        """`sizes` is the cloud."""
        self._store, self._sizes, self._leases, self._clock = store, sizes, leases, clock

    async def fenced(self, snapshot: GroupSnapshot, lane: Lane, lease: LeaseModel) -> None:
        """StaleLease if a newer holder of the lane has been here."""
        seen = await self._store.fence(snapshot.group, lane, FencingToken(lease.token))
        if seen > lease.token:
            raise stale(snapshot, lease, seen)

    async def resize(self, snapshot: GroupSnapshot, wanted: Mapping[FleetId, int], leave: Leave) -> None:
        """Raise what grows, then lower what shrinks; a fleet that has its size already is left alone.

        Raises as `LeaseCheck` does, with nothing more written, once the lease has too little left for another write.
        """
        moving = [f for f in snapshot.fleets if wanted.get(f.fleet, f.desired) != f.desired]
        for fleet in sorted(moving, key=lambda f: wanted[f.fleet] < f.desired):
            await self._set(snapshot, fleet, wanted[fleet.fleet], leave)

    async def _set(self, snapshot: GroupSnapshot, fleet: FleetState, nodes: int, leave: Leave) -> None:
        open_until_s = (
            self._clock.monotonic() + SETTLE_AFTER_S - SKEW_S_MAX
        )  # later the sweep takes the intent for lost
        number = await self._store.intend(
            Intent(
                group=snapshot.group,
                fleet=fleet.fleet,
                asg=fleet.asg,
                activity=ActivityId(leave.lease.activity_id),
                token=FencingToken(leave.lease.token),
                previous=fleet.desired,
                wanted=nodes,
                at_s=self._clock.now().timestamp(),
            )
        )
        try:
            over_by_s = await self._leases.last_look(leave, snapshot.group)
            await self._sizes.set_desired(fleet.asg, nodes, min(over_by_s, open_until_s))
        except StaleLease as e:
            await self._store.settle(number, f"refused: {e}"[:500])
            raise
        except HeadraceError as e:
            await self._store.settle(number, f"failed: {e}"[:500])
            raise
        await self._store.settle(number, "set")


def stale(snapshot: GroupSnapshot, lease: LeaseModel, seen: int) -> StaleLease:
    """The error of a fenced-off holder."""
    return StaleLease(
        f"token {lease.token} of {lease.activity_id} on {snapshot.scope} is older than {seen}, which has written since",
        field="lease.token",
        remedy="stop: another activity has taken over",
    )
