"""What the Autoscaler needs from outside: a few verbs each. Adapters implement them; `__main__` chooses."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from services.autoscaler.domain.decision import Decision
from services.autoscaler.domain.group import GroupSnapshot, Reservation
from services.autoscaler.domain.ratings import Rating
from services.autoscaler.domain.records import GroupRecord, Held, Intent, Kept, Lane, OpenIntent, Outcome, Swept
from services.autoscaler.domain.signals import Signals
from shared.domain.health import VerdictState
from shared.domain.names import ActivityId, FencingToken, GroupName


class Inventory(Protocol):
    """Groups as declared, with their fleets as AWS has them; signals, verdict and reservations are still empty."""

    async def groups(self) -> tuple[GroupSnapshot, ...]:
        """All groups that may be scaled; Unavailable when either side does not answer."""
        ...

    async def group(self, name: GroupName) -> GroupSnapshot:
        """One group; NotFound when there is none."""
        ...


class SignalSource(Protocol):
    """Measurements."""

    async def read(self, groups: Sequence[GroupSnapshot], now_s: float) -> Mapping[GroupName, Signals]:
        """One query a signal for all groups; a query that fails makes its signal FAILED, never zero."""
        ...


class Health(Protocol):
    """What the Observer says."""

    async def verdicts(self) -> Mapping[GroupName, VerdictState]:
        """Effective verdicts of groups; one that is missing reads as UNKNOWN. Never raises."""
        ...

    async def living(self, group: GroupName) -> Mapping[ActivityId, float] | None:
        """Activities of a group that have not ended, with the end of their leases (seconds since the epoch).

        None when the Observer does not answer.
        """
        ...


class Sizes(Protocol):
    """The only writer of desired capacity."""

    async def set_desired(self, asg: str, nodes: int, over_by_s: float) -> None:
        """Absolute. Throttled, Unavailable, InvalidInput (beyond MinSize..MaxSize), NotFound.

        Not begun any more, and Unavailable, when it might last beyond `over_by_s` of the monotonic clock.
        """
        ...

    async def failure(self, asg: str, since_s: float) -> str:
        """The text of the newest failed scaling activity since then; empty if there is none."""
        ...


class Scalings(Protocol):
    """Starts the workflow that carries a decision out."""

    async def start(self, decision: Decision) -> bool:
        """True if it was started, False if one is running for the group."""
        ...


class Meter(Protocol):
    """Numbers about the Autoscaler itself."""

    def decided(self, decision: Decision, node_rate: float | None) -> None:
        """After each decision."""
        ...


class Store(Protocol):
    """What must not be lost. Times of leases are the store's own."""

    async def lead(self, holder: str, ttl_s: float) -> bool:
        """Whether this process ticks now; held for `ttl_s`."""
        ...

    async def load(self) -> Mapping[GroupName, GroupRecord]:
        """What the last tick left."""
        ...

    async def keep(self, kept: Sequence[Kept]) -> None:
        """What this tick leaves, in one transaction."""
        ...

    async def decisions(self, group: GroupName, limit: int) -> tuple[tuple[Decision, str], ...]:
        """Rows with their outcomes, newest first."""
        ...

    async def end(self, outcome: Outcome) -> None:
        """How a scaling ended; an unknown decision is ignored."""
        ...

    async def reservations(self, group: GroupName | None = None) -> tuple[Reservation, ...]:
        """Those that live, by fleet."""
        ...

    async def reserve(self, reservation: Reservation) -> Held:
        """Fence and record in one transaction; nothing is recorded under an older token than the newest seen.

        A newer token of the lane ends the reservations of older ones: their activity was taken over.
        """
        ...

    async def release(self, group: GroupName, activity: ActivityId, token: FencingToken) -> None:
        """Drop an activity's reservations; repeated calls are alike."""
        ...

    async def renew(self, group: GroupName, activities: frozenset[ActivityId]) -> None:
        """Count the time to live of their reservations from now again; lapsed ones stay lapsed."""
        ...

    async def fence(self, group: GroupName, lane: Lane, token: FencingToken) -> FencingToken:
        """The highest token seen in the lane, this one included."""
        ...

    async def intend(self, intent: Intent) -> int:
        """Write down what is about to be done; gives its number."""
        ...

    async def settle(self, number: int, result: str) -> None:
        """Write down what came of it."""
        ...

    async def unsettled(self, older_than_s: float) -> tuple[OpenIntent, ...]:
        """Intents without a result."""
        ...

    async def add_rating(self, rating: Rating) -> None:
        """Keep it; one of the same id changes nothing. Beyond `KEPT_MAX` of a group the oldest go."""
        ...

    async def ratings(self, group: GroupName, limit: int) -> tuple[Rating, ...]:
        """Newest first."""
        ...

    async def newest_ratings(self) -> tuple[Rating, ...]:
        """The newest of each group and type of node, by group and type."""
        ...

    async def sweep(self, retention_s: float) -> Swept:
        """Drop lapsed reservations and history older than the retention."""
        ...
