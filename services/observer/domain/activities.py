"""What the admission ledger holds: activities, requests that wait for one, and the limits they are judged by."""

from dataclasses import dataclass

from shared.domain.activity import ActivityKind, ActivityOutcome
from shared.domain.names import ActivityId, FencingToken, RequestId
from shared.domain.scope import Scope


@dataclass(frozen=True, slots=True)
class ParkAsk:
    """A request that wants a holder to stand aside: first asked, and asked again lately, by whom."""

    request: RequestId
    asked_at: float
    renewed_at: float


@dataclass(frozen=True, slots=True)
class Activity:
    """One row of the ledger. Live while not ended and its lease has not lapsed; instants are the store's time."""

    id: ActivityId
    kind: ActivityKind
    scope: Scope
    holder: str
    request: RequestId
    token: FencingToken
    ttl_s: float
    began_at: float
    expires_at: float
    reason: str = ""
    override_reason: str = ""
    creates: bool = False
    security: bool = False
    parked: bool = False
    ask: ParkAsk | None = None
    outcome: ActivityOutcome | None = None
    ended_at: float | None = None
    note: str = ""

    def live(self, now: float) -> bool:
        """Held: conflicts with what others ask for."""
        return self.outcome is None and now < self.expires_at

    def unsettled(self, now: float, quarantine_s: float) -> bool:
        """Still matters to others: not ended, or expired so lately that a late write may land."""
        if self.outcome is ActivityOutcome.EXPIRED:
            return self.expires_at > now - quarantine_s
        return self.outcome is None

    def lapsed(self, now: float) -> bool:
        """Its lease ran out and nobody said that it had ended: a late write of its holder may still land."""
        return self.outcome is ActivityOutcome.EXPIRED or (self.outcome is None and now >= self.expires_at)


@dataclass(frozen=True, slots=True)
class Request:
    """`Begin` as the domain sees it."""

    id: RequestId
    kind: ActivityKind
    scope: Scope
    holder: str
    ttl_s: float
    reason: str = ""
    quiets: tuple[str, ...] = ()
    override_reason: str = ""
    creates: bool = False
    security: bool = False
    takes_over: ActivityId | None = None
    signal_age_s: float | None = None

    @property
    def fingerprint(self) -> str:
        """What must not change under one request id."""
        return f"{self.kind.value} {self.scope} {self.holder}"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A deployment that was blocked and asks again; `order` grows with the time of its first asking."""

    request: RequestId
    scope: Scope
    holder: str
    order: int
    asked_at: float
    superseded_by: RequestId | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """Named numbers of admission; all in seconds unless said otherwise."""

    park_wait_s: float = 30.0  # how long SCALE_OUT and ROLLBACK wait for a holder to park
    park_ask_fresh_s: float = 30.0  # a holder stays parked this long for a request that does not ask again
    call_deadline_s_max: float = 30.0  # a grant beside a lapsed lease waits this long after the lapse
    signal_age_s_max: float = 60.0
    backlog_events_max: float = 100.0  # fewer than this is work in hand, not a backlog
    backlog_s_max: float = 2.0  # or so little that the present rate works it off in this time
    deployments_share_max: float = 0.05  # of groups; at least one
    retry_s: float = 5.0  # when to ask again after a wait
    retry_yield_s: float = 1.0  # when to ask again after a holder was asked to park
    waiting_fresh_s: float = 900.0  # a waiting deployment that has not asked for so long has given up

    def deployments_max(self, groups: int) -> int:
        """How many deployments may run in the whole system.

        >>> Limits().deployments_max(4), Limits().deployments_max(100)
        (1, 5)
        """
        return max(1, int(groups * self.deployments_share_max))
