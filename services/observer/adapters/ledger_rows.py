"""Ledger rows to domain values and back."""

from collections.abc import Mapping
from typing import Any

from services.observer.domain.activities import Activity, ParkAsk, Waiting
from services.observer.domain.quieting import QuietWindow
from services.observer.domain.topology import Topology
from shared.domain.activity import ActivityKind, ActivityOutcome
from shared.domain.names import ActivityId, FencingToken, RequestId
from shared.domain.scope import Scope


def activity_of_row(r: Mapping[str, Any]) -> Activity:
    """A row of `activities`."""
    ask = ParkAsk(RequestId(r["ask_request"]), r["ask_asked_at"], r["ask_renewed_at"]) if r["ask_request"] else None
    return Activity(
        id=ActivityId(r["id"]),
        kind=ActivityKind(r["kind"]),
        scope=Scope.parse(r["scope"]),
        holder=r["holder"],
        request=RequestId(r["request"]),
        token=FencingToken(r["token"]),
        ttl_s=r["ttl_s"],
        began_at=r["began_at"],
        expires_at=r["expires_at"],
        reason=r["reason"],
        override_reason=r["override_reason"],
        creates=r["creates"],
        security=r["security"],
        parked=r["parked"],
        ask=ask,
        outcome=ActivityOutcome(r["outcome"]) if r["outcome"] else None,
        ended_at=r["ended_at"],
        note=r["note"],
    )


def row_of_activity(a: Activity) -> dict[str, Any]:
    """Back."""
    return {
        "id": a.id,
        "kind": a.kind.value,
        "scope": str(a.scope),
        "holder": a.holder,
        "request": a.request,
        "token": a.token,
        "ttl_s": a.ttl_s,
        "began_at": a.began_at,
        "expires_at": a.expires_at,
        "reason": a.reason,
        "override_reason": a.override_reason,
        "creates": a.creates,
        "security": a.security,
        "parked": a.parked,
        "ask_request": a.ask.request if a.ask else None,
        "ask_asked_at": a.ask.asked_at if a.ask else None,
        "ask_renewed_at": a.ask.renewed_at if a.ask else None,
        "outcome": a.outcome.value if a.outcome else None,
        "ended_at": a.ended_at,
        "note": a.note,
    }


def waiting_of_row(r: Mapping[str, Any]) -> Waiting:
    """A row of `waiting`."""
    return Waiting(
        request=RequestId(r["request"]),
        scope=Scope.parse(r["scope"]),
        holder=r["holder"],
        order=r["place"],
        asked_at=r["asked_at"],
        superseded_by=RequestId(r["superseded_by"]) if r["superseded_by"] else None,
    )


def window_of_row(r: Mapping[str, Any]) -> QuietWindow:
    """A row of `quiet_windows`."""
    return QuietWindow(
        id=r["id"],
        scope=Scope.parse(r["scope"]),
        classes=frozenset(r["classes"]),
        starts_at=r["starts_at"],
        ends_at=r["ends_at"],
        tail_s=r["tail_s"],
        activity=r["activity"],
        token=r["token"],
        closed_at=r["closed_at"],
        holder=r["holder"],
        reason=r["reason"],
    )


def topology_document(t: Topology) -> dict[str, Any]:
    """As JSON."""
    return {"groups": sorted(t.groups), "pipelines": {p: dict(s) for p, s in sorted(t.pipelines.items())}}


def topology_of_document(d: Mapping[str, Any]) -> Topology:
    """Back."""
    return Topology(frozenset(d["groups"]), {p: dict(s) for p, s in d["pipelines"].items()})
