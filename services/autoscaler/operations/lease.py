"""Whether a holder may still act: its lease must outlive the longest call that a write can take.

An activity that Temporal tries again shows the lease as it was when it was first scheduled, while its workflow has kept
renewing it; so a lease that looks short is asked after before the holder is turned away. It is looked at twice: before
anything is decided, and right before the write, because between the two a process may stand still for longer than any
lease lasts. From the first look on what is left is counted on the monotonic clock, which no time server moves.
"""

from dataclasses import dataclass
from math import inf

from services.autoscaler.domain.ports import Health
from shared.contracts.admission import LeaseModel
from shared.domain.clock import Clock
from shared.domain.errors import InvalidInput, StaleLease, Unavailable
from shared.domain.names import ActivityId, GroupName
from shared.domain.scope import group_scope

CALL_DEADLINE_S = 7.0  # the longest a call that sets a size can take: see adapters/asg.py
SKEW_S_MAX = 2.0  # between the holder's clock and ours
NEEDED_S = CALL_DEADLINE_S + SKEW_S_MAX


@dataclass(frozen=True, slots=True)
class Leave:
    """A lease that was good when it was looked at, and when to stop by this process' monotonic clock, in seconds.

    `until_s` is the end of the lease less the skew; `not_after_s` is the end of what the write is based on, which no
    heartbeat renews.
    """

    lease: LeaseModel
    until_s: float
    not_after_s: float = inf


class LeaseCheck:
    """Turns lapsed holders away."""

    def __init__(self, health: Health, clock: Clock) -> None:
        """`health` knows which activities live."""
        self._health, self._clock = health, clock

    async def check(self, lease: LeaseModel, group: GroupName) -> Leave:
        """StaleLease for a lease that ends too soon, InvalidInput for one of another scope.

        Unavailable when it looks short and nobody can say whether it was renewed.
        """
        scope = str(group_scope(group))
        if lease.scope != scope:
            raise InvalidInput(
                f"lease {lease.activity_id} is for {lease.scope}, not for {scope}",
                field="lease.scope",
                remedy=f"begin an activity on {scope}",
            )
        return await self._good(self._leave(lease, lease.deadline_s), group)

    async def last_look(self, leave: Leave, group: GroupName) -> float:
        """Right before a write: by when it must be over, on the monotonic clock. Raises as `check` does."""
        return min((await self._good(leave, group)).until_s, leave.not_after_s)

    async def _good(self, leave: Leave, group: GroupName) -> Leave:
        """This leave while it is long enough, else one of the same lease as it was renewed."""
        if self._left_s(leave) > CALL_DEADLINE_S:
            return leave
        lease = leave.lease
        living = await self._health.living(group)
        if living is None:
            raise Unavailable(
                f"lease {lease.activity_id} on {lease.scope} looks too short and the Observer does not say whether it was "
                "renewed",
                remedy="it is tried again",
                retry_after_s=1.0,
            )
        renewed = self._leave(lease, living.get(ActivityId(lease.activity_id), 0.0))
        left_s = max(self._left_s(leave), self._left_s(renewed))
        if left_s <= CALL_DEADLINE_S:
            raise StaleLease(
                f"lease {lease.activity_id} on {lease.scope} has {max(0.0, left_s + SKEW_S_MAX):.1f} s left "
                f"and a write needs {NEEDED_S:g} s",
                field="lease.deadline_s",
                remedy="renew it by a heartbeat and try again",
            )
        return renewed

    def _leave(self, lease: LeaseModel, deadline_s: float) -> Leave:
        """`deadline_s` is seconds since the epoch by the holder's clock."""
        left_s = deadline_s - self._clock.now().timestamp()
        return Leave(lease, self._clock.monotonic() + left_s - SKEW_S_MAX)

    def _left_s(self, leave: Leave) -> float:
        return leave.until_s - self._clock.monotonic()
