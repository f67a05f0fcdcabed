"""Whether a holder may still act: its lease must outlive the longest call that a write can take.

An activity that Temporal tries again shows the lease as it was when it was first scheduled, while its workflow has kept
renewing it; so a lease that looks short is asked after before the holder is turned away.
"""

from services.autoscaler.domain.ports import Health
from shared.contracts.admission import LeaseModel
from shared.domain.clock import Clock
from shared.domain.errors import InvalidInput, StaleLease
from shared.domain.names import ActivityId, GroupName
from shared.domain.scope import group_scope

CALL_DEADLINE_S = 7.0  # the longest a call that sets a size can take: see adapters/asg.py
SKEW_S_MAX = 2.0  # between the holder's clock and ours
NEEDED_S = CALL_DEADLINE_S + SKEW_S_MAX


class LeaseCheck:
    """Turns lapsed holders away."""

    def __init__(self, health: Health, clock: Clock) -> None:
        """`health` knows which activities live."""
        self._health, self._clock = health, clock

    async def check(self, lease: LeaseModel, group: GroupName) -> None:
        """StaleLease for a lease that ends too soon, InvalidInput for one of another scope."""
        scope = str(group_scope(group))
        if lease.scope != scope:
            raise InvalidInput(
                f"lease {lease.activity_id} is for {lease.scope}, not for {scope}",
                field="lease.scope",
                remedy=f"begin an activity on {scope}",
            )
        if lease.deadline_s and self._left_s(lease.deadline_s) > NEEDED_S:
            return
        renewed_s = (await self._health.living(group)).get(ActivityId(lease.activity_id), 0.0)
        left_s = self._left_s(max(renewed_s, lease.deadline_s))
        if left_s <= NEEDED_S:
            raise StaleLease(
                f"lease {lease.activity_id} on {scope} has {max(0.0, left_s):.1f} s left "
                f"and a write needs {NEEDED_S:g} s",
                field="lease.deadline_s",
                remedy="renew it by a heartbeat and try again",
            )

    def _left_s(self, deadline_s: float) -> float:
        return deadline_s - self._clock.now().timestamp()
