"""What the Observer needs from outside, as short lists of verbs.

Each store port has a memory adapter beside the real one.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from services.observer.domain.activities import Activity, Waiting
from services.observer.domain.alarms import Alarm, Notification
from services.observer.domain.audits import AuditComparison, AuditProgress, AuditReport, AuditSpan
from services.observer.domain.evidence import BrokerReading, FleetMembers, Inventory, Readings
from services.observer.domain.quieting import QuietWindow
from services.observer.domain.topology import Topology
from services.observer.domain.verdict import Verdict
from shared.domain.activity import ActivityKind
from shared.domain.names import ActivityId, FencingToken, RequestId
from shared.domain.scope import Scope


class LedgerTransaction(Protocol):
    """One admission: everything that meets the scope is locked until the block ends; an exception undoes all of it."""

    @property
    def now(self) -> float:
        """The store's time, read after the locks were taken."""
        ...

    @property
    def topology(self) -> Topology:
        """As of this transaction."""
        ...

    @property
    def unsettled(self) -> Sequence[Activity]:
        """Not ended, or expired a moment ago; oldest first."""
        ...

    @property
    def waiting(self) -> Sequence[Waiting]:
        """Deployments that wait for the scope."""
        ...

    @property
    def token(self) -> FencingToken:
        """Greater than every token before it on any scope; drawn when the admission was opened for a request."""
        ...

    async def by_request(self, request: RequestId) -> Activity | None:
        """What was granted, ever, under the request id that the admission was opened for."""
        ...

    async def by_id(self, activity: ActivityId) -> Activity | None:
        """The activity that the admission was opened for, ended or not."""
        ...

    async def add(self, activity: Activity) -> None:
        """A new row."""
        ...

    async def save(self, activity: Activity) -> None:
        """A changed row."""
        ...

    async def save_waiting(self, waiting: Waiting) -> None:
        """Insert or change."""
        ...

    async def quiet_seconds(self, scope: Scope, since: float) -> float:
        """Seconds of quiet of a scope after `since`."""
        ...

    async def window_of_request(self, request: RequestId) -> QuietWindow | None:
        """A person's window of that request id."""
        ...

    async def open_window(self, window: QuietWindow, request: RequestId) -> None:
        """A new quiet window."""
        ...

    async def finish(self, ended: Activity, windows_close_at: float) -> None:
        """An activity that has ended, and its quiet windows with it."""
        ...


class Ledger(Protocol):
    """The admission ledger; its time is the only time that leases know."""

    def admission(
        self,
        scope: Scope,
        *,
        request: RequestId | None = None,
        activity: ActivityId | None = None,
        kind: ActivityKind | None = None,
    ) -> AbstractAsyncContextManager[LedgerTransaction]:
        """Lock everything that meets the scope and read it; `kind` says what else matters to the request."""
        ...

    async def scope_of(self, activity: ActivityId) -> Scope | None:
        """The scope of an activity; it never changes."""
        ...

    async def topology(self) -> Topology:
        """The topology as last kept."""
        ...

    async def keep_topology(self, topology: Topology) -> None:
        """Keep it, if it changed."""
        ...

    async def sweep(self, kept_s: float, waiting_s: float) -> Sequence[Activity]:
        """End lapsed leases as expired, close their windows, drop what is old; gives what it ended."""
        ...

    async def activities(
        self, scope: Scope | None, *, include_ended: bool, limit: int, before: int = 0
    ) -> Sequence[Activity]:
        """Newest first; `before` is a token to go on from."""
        ...

    async def windows(self) -> tuple[float, Sequence[QuietWindow]]:
        """The store's time, and windows not yet over."""
        ...


class Verdicts(Protocol):
    """Current verdicts. Unavailable when it cannot be read: then nothing is admitted that needs one."""

    async def read(self, scopes: Sequence[Scope]) -> Mapping[Scope, Verdict]:
        """Those there are."""
        ...

    async def read_all(self) -> Mapping[Scope, Verdict]:
        """All of them."""
        ...

    async def write(self, verdicts: Sequence[Verdict]) -> int:
        """Keep those whose (epoch, seq) is greater than what is stored; gives how many were."""
        ...

    async def remove(self, scopes: Sequence[Scope], epoch: int) -> None:
        """Scopes that left the inventory; a deposed leader removes nothing."""
        ...


class History(Protocol):
    """Verdict changes and alarms, kept."""

    async def record_changes(self, verdicts: Sequence[Verdict]) -> None:
        """Verdicts whose state changed."""
        ...

    async def changes_after(self, position: int, limit: int) -> Sequence[tuple[int, Verdict]]:
        """Changes in order, with their positions."""
        ...

    async def last_position(self) -> int:
        """Position of the newest change."""
        ...

    async def open_alarms(self) -> Sequence[Alarm]:
        """Those not resolved."""
        ...

    async def alarms(self, scope: Scope | None, *, include_resolved: bool, limit: int) -> Sequence[Alarm]:
        """Newest first."""
        ...

    async def save_alarms(self, alarms: Sequence[Alarm], notifications: Sequence[Notification], at: float) -> None:
        """Together: a notification is recorded before anybody is told."""
        ...


class Leadership(Protocol):
    """One Observer ticks at a time."""

    async def hold(self, me: str, ttl_s: float, *, fresh: bool) -> int | None:
        """The epoch if this process leads until `ttl_s` from now, else None.

        A new leader gets a greater epoch; so does a `fresh` one, which was restarted under the same name.
        """
        ...


class InventorySource(Protocol):
    """What should be there."""

    async def read(self) -> Inventory:
        """Groups and pipelines as declared; Unavailable when they cannot be read."""
        ...


class MembersSource(Protocol):
    """Machines as the cloud describes them."""

    async def read(self) -> Sequence[FleetMembers]:
        """All fleets; Unavailable when they cannot be read."""
        ...


class SignalSource(Protocol):
    """The metric store."""

    async def read(self, at: float) -> Readings:
        """One grouped query per signal, all as of one instant; what failed is marked so."""
        ...


class BrokerSource(Protocol):
    """The broker's own offsets, independent of nodes."""

    async def read(self, inventory: Inventory) -> BrokerReading:
        """End and committed offsets of what each group consumes; failures are marked per group."""
        ...


class AuditStore(Protocol):
    """Loss audits: a sketch of ids per (pipeline, stage, point, minute, node)."""

    async def add(self, reports: Sequence[AuditReport]) -> int:
        """Keep them; a report id counts once, a cumulative sketch replaces its older one. Gives how many counted."""
        ...

    async def progress(self, spans: Sequence[AuditSpan], since: int) -> Sequence[AuditProgress]:
        """Of each span, as of one instant; by reports about minutes since then."""
        ...

    async def compare(self, asked: Sequence[tuple[AuditSpan, int]]) -> Sequence[AuditComparison]:
        """Each span in one minute: the union over nodes at both points, compared as sets."""
        ...

    async def forget(self, before: int) -> None:
        """Drop minutes before this one."""
        ...
