"""Floors and shares under an activity's lease, and the sizes that follow from them.

A deployment says which part of the group each fleet is to be; how many nodes that makes is decided here, from the
group's one total. A total that was decided too long ago takes nothing from a fleet that serves: the load may have
grown since. Needs no admission of its own: the deployment holds one. Calling it again after nodes entered service
lets the other fleets shrink by what now serves.
"""

from services.autoscaler.domain.decision import decision_old
from services.autoscaler.domain.group import FleetState, GroupSnapshot, Reservation
from services.autoscaler.domain.ports import Inventory, Store
from services.autoscaler.domain.split import next_sizes, split
from services.autoscaler.domain.stabilise import bounds
from services.autoscaler.operations.lease import LeaseCheck
from services.autoscaler.operations.resize import Resizer, stale
from shared.contracts.base import ReasonModel
from shared.contracts.scaling import ReleaseInput, ReserveAnswer, ReserveInput
from shared.domain.clock import Clock
from shared.domain.errors import NotFound
from shared.domain.names import ActivityId, FencingToken, FleetId, GroupName
from shared.domain.reason import Compared, Reason


class Reservations:
    """Reserve and release."""

    def __init__(self, inventory: Inventory, store: Store, resizer: Resizer, leases: LeaseCheck, clock: Clock) -> None:
        """All ports."""
        self._inventory, self._store, self._resizer, self._leases = inventory, store, resizer, leases
        self._clock = clock

    async def reserve(self, request: ReserveInput) -> ReserveAnswer:
        """Record the floor and share, then size every fleet; the same request again has the same effect.

        Raises StaleLease for a lapsed or superseded holder, NotFound for a fleet that AWS does not have.
        """
        snapshot = await self._inventory.group(GroupName(request.group))
        leave = await self._leases.check(request.lease, snapshot.group)
        fleet = FleetId(request.fleet)
        if all(f.fleet != fleet for f in snapshot.fleets):
            raise NotFound(
                f"fleet {fleet} of group {snapshot.group} has no Auto Scaling Group",
                field="fleet",
                remedy="provisioner.add_fleet makes it; fleets there are: "
                + (", ".join(f.fleet for f in snapshot.fleets) or "none"),
            )
        held = await self._store.reserve(
            Reservation(
                group=snapshot.group,
                fleet=fleet,
                floor=request.floor,
                share=request.share,
                other_floor=request.other_floor,
                activity=ActivityId(request.lease.activity_id),
                token=FencingToken(request.lease.token),
                ttl_s=request.ttl_s,
                expires_at_s=0.0,  # the store's clock decides
            )
        )
        if held.token_seen > request.lease.token:
            raise stale(snapshot, request.lease, held.token_seen)
        total, age_s = await self._total(snapshot)
        target = split(total, snapshot.fleets, held.reservations)
        next_ones = next_sizes(total, snapshot.fleets, target)
        old = decision_old(snapshot.scope, age_s)
        if old is not None:
            next_ones = {f.fleet: max(next_ones[f.fleet], f.desired if f.weight else 0) for f in snapshot.fleets}
        sizes, reasons = _bounded(snapshot, next_ones)
        reasons += [*_waiting(snapshot, sizes, target), *([old] if old else [])]
        await self._resizer.resize(snapshot, sizes, leave)
        return ReserveAnswer(
            group=snapshot.group,
            total=total,
            desired={str(f): n for f, n in sizes.items()},
            reasons=tuple(ReasonModel.of(r) for r in reasons),
        )

    async def release(self, request: ReleaseInput) -> None:
        """Drop the activity's floors and shares; sizes stay until the next tick decides."""
        await self._store.release(
            GroupName(request.group), ActivityId(request.activity_id), FencingToken(request.token)
        )

    async def _total(self, snapshot: GroupSnapshot) -> tuple[int, float]:
        """The group's size: as last decided, else what runs (never below the declared least). And how old that is, in s."""
        record = (await self._store.load()).get(snapshot.group)
        least, most = bounds(snapshot)
        fixed = snapshot.policy.fixed_nodes
        if fixed is not None:
            return fixed, 0.0
        if record and record.latest and record.latest.wanted > 0:
            age_s = self._clock.now().timestamp() - record.latest.at_s
            return max(least, min(most, record.latest.wanted)), age_s
        return max(least, min(most, snapshot.current)), 0.0


def _bounded(snapshot: GroupSnapshot, sizes: dict[FleetId, int]) -> tuple[dict[FleetId, int], list[Reason]]:
    """Within MinSize and MaxSize, which are the Provisioner's to write and AWS's to enforce."""
    reasons, found = [], {}
    for fleet in snapshot.fleets:
        wanted = sizes[fleet.fleet]
        found[fleet.fleet] = max(fleet.nodes_min, min(fleet.nodes_max, wanted))
        if wanted > fleet.nodes_max:
            text = f"fleet {fleet.fleet} is to have {wanted} nodes and its MaxSize is {fleet.nodes_max}"
            compared = (Compared("nodes", wanted, "<=", fleet.nodes_max),)
            reasons.append(Reason("BoundedByMaxSize", snapshot.scope, text, compared))
    return found, reasons


def _waiting(snapshot: GroupSnapshot, sizes: dict[FleetId, int], target: dict[FleetId, int]) -> list[Reason]:
    """Fleets that keep nodes until the others serve."""

    def text(f: FleetState) -> str:
        return f"fleet {f.fleet} keeps {sizes[f.fleet]} nodes until the others serve; then {target[f.fleet]} will do"

    return [
        Reason("GrowthBeforeRemoval", snapshot.scope, text(f))
        for f in snapshot.fleets
        if target[f.fleet] < sizes[f.fleet]
    ]
