"""Values that tests of admission are made of."""

from collections.abc import Mapping
from dataclasses import replace

from services.observer.domain.activities import Activity, Limits, Request
from services.observer.domain.admission import Situation
from services.observer.domain.topology import Topology
from services.observer.domain.verdict import Verdict
from shared.domain.activity import ActivityKind, ActivityOutcome
from shared.domain.health import VerdictState
from shared.domain.names import ActivityId, FencingToken, RequestId
from shared.domain.scope import SYSTEM, Scope

NOW = 1_000_000.0
LIMITS = Limits()
TOPOLOGY = Topology(
    frozenset({"a", "b", "c", "lone"}),
    {"p": {"first": "a", "second": "b"}, "q": {"only": "c"}},
)
A, B, C, LONE = (Scope.parse(f"group/{g}") for g in ("a", "b", "c", "lone"))
P, Q = Scope.parse("pipeline/p"), Scope.parse("pipeline/q")
SCOPES = (
    SYSTEM,
    A,
    B,
    C,
    LONE,
    P,
    Q,
    Scope.parse("stage/p/first"),
    Scope.parse("stage/p/second"),
    Scope.parse("stage/q/only"),
)


def request(kind: ActivityKind, scope: Scope = A, **changes: object) -> Request:
    made = Request(RequestId("request-new"), kind, scope, "holder-new", 60.0, signal_age_s=1.0)
    return replace(made, **changes)  # type: ignore[arg-type]  # the test names a field


def activity(kind: ActivityKind, scope: Scope = A, token: int = 1, **changes: object) -> Activity:
    made = Activity(
        id=ActivityId(f"act-{token}"),
        kind=kind,
        scope=scope,
        holder=f"holder-{token}",
        request=RequestId(f"request-{token}"),
        token=FencingToken(token),
        ttl_s=60.0,
        began_at=NOW - 10,
        expires_at=NOW + 50,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def lapsed(kind: ActivityKind, ago_s: float, scope: Scope = A, token: int = 1, *, swept: bool = False) -> Activity:
    outcome = ActivityOutcome.EXPIRED if swept else None
    return activity(kind, scope, token, expires_at=NOW - ago_s, outcome=outcome, ended_at=NOW if swept else None)


def verdict(scope: Scope, state: VerdictState = VerdictState.HEALTHY, **changes: object) -> Verdict:
    made = Verdict(scope, state, as_of=NOW - 1, since=NOW - 100, ttl_s=30.0, signals={"backlog": 0.0})
    return replace(made, **changes)  # type: ignore[arg-type]


def healthy(*others: Verdict) -> Mapping[Scope, Verdict]:
    return {s: verdict(s) for s in SCOPES} | {v.scope: v for v in others}


def seen(*activities: Activity, verdicts: Mapping[Scope, Verdict] | None = None, now: float = NOW) -> Situation:
    return Situation(TOPOLOGY, activities, healthy() if verdicts is None else verdicts, now)
