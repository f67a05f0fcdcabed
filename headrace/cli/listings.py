"""Kinds and how each is listed: where it comes from and its columns."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from headrace.cli.output import Output, age, instant
from headrace.errors import WrongUse

Row = Mapping[str, Any]


class Listing(NamedTuple):
    """Where a kind is listed, and its columns: header and path of the value."""

    path: str
    key: str
    columns: tuple[tuple[str, str], ...]


_STATUS = (("NAME", "name"), ("PHASE", "status.phase"), ("VERDICT", "status.verdict"))
_GENERATION = (("GENERATION", "generation"), ("OBSERVED", "observed_generation"), ("UPDATED", "updated_at"))
LISTINGS: dict[str, Listing] = {
    "environments": Listing(
        "/v1/environments",
        "name",
        (("NAME", "name"), ("PHASE", "status.phase"), ("DIGEST", "status.digest"), *_GENERATION),
    ),
    "server-groups": Listing(
        "/v1/server-groups",
        "name",
        (*_STATUS[:1], ("KIND", "kind"), *_STATUS[1:], ("FLEETS", "status.fleets"), *_GENERATION),
    ),
    "pipelines": Listing("/v1/pipelines", "name", (*_STATUS, ("RAMP %", "status.ramp_percent"), *_GENERATION)),
    "deployments": Listing(
        "/v1/deployments",
        "id",
        (
            ("ID", "id"),
            ("GROUP", "group"),
            ("REVISION", "revision"),
            ("PHASE", "phase"),
            ("STEP", "step"),
            ("OF", "steps"),
            ("DOING", "step_text"),
            ("STARTED", "started_at"),
        ),
    ),
    "verdicts": Listing(
        "/v1/verdicts",
        "scope",
        (("SCOPE", "scope"), ("STATE", "effective"), ("SINCE", "since"), ("AS OF", "as_of"), ("REASONS", "reasons")),
    ),
    "activities": Listing(
        "/v1/activities",
        "id",
        (
            ("ID", "id"),
            ("KIND", "kind"),
            ("SCOPE", "scope"),
            ("STATE", "state"),
            ("HOLDER", "holder"),
            ("BEGAN", "began_at"),
            ("REASON", "reason"),
        ),
    ),
    "alarms": Listing(
        "/v1/alarms",
        "id",
        (("ID", "id"), ("CLASS", "alarm_class"), ("SCOPE", "scope"), ("STATE", "state"), ("SINCE", "since")),
    ),
    "freezes": Listing(
        "/v1/freezes",
        "scope",
        (("SCOPE", "scope"), ("HOLDER", "holder"), ("UNTIL", "expires_at"), ("REASON", "reason")),
    ),
    "ramps": Listing(
        "/v1/ramps", "pipeline", (("PIPELINE", "pipeline"), ("PHASE", "phase"), ("%", "percent"), ("DOING", "detail"))
    ),
    "routes": Listing("/v1/routes", "group", (("GROUP", "group"), ("GENERATION", "generation"), ("FLEETS", "fleets"))),
    "drift": Listing(
        "/v1/drift",
        "id",
        (
            ("GROUP", "group"),
            ("RESOURCE", "resource"),
            ("FIELD", "field"),
            ("DECLARED", "declared"),
            ("LIVE", "live"),
            ("CLASS", "drift_class"),
            ("STATE", "state"),
            ("FOUND", "found_at"),
        ),
    ),
    "operations": Listing(
        "/v1/operations",
        "id",
        (
            ("ID", "id"),
            ("KIND", "kind"),
            ("SUBJECT", "subject"),
            ("STATE", "state"),
            ("OUTCOME", "outcome"),
            ("BY", "requested_by"),
            ("CREATED", "created_at"),
            ("TEXT", "text"),
        ),
    ),
    "audit": Listing(
        "/v1/audit",
        "seq",
        (
            ("SEQ", "seq"),
            ("AT", "at"),
            ("WHO", "actor"),
            ("VIA", "via"),
            ("DID", "action"),
            ("TO", "subject"),
            ("OUTCOME", "outcome"),
            ("REASON", "reason"),
        ),
    ),
}
ALIASES = {
    "environment": "environments",
    "groups": "server-groups",
    "group": "server-groups",
    "server-group": "server-groups",
    "pipeline": "pipelines",
    "deployment": "deployments",
    "operation": "operations",
    "verdict": "verdicts",
}
SINGLE = frozenset({"environments", "server-groups", "pipelines", "deployments", "operations", "verdicts"})
TIMES = frozenset({"updated_at", "started_at", "since", "as_of", "began_at", "created_at", "found_at"})


def kind_named(kind: str) -> str:
    """The listing that a person means; WrongUse when there is none."""
    name = ALIASES.get(kind, kind)
    if name not in LISTINGS:
        raise WrongUse(f"{kind!r} is no kind", remedy=f"use one of {', '.join(LISTINGS)}")
    return name


def show_list(output: Output, listing: Listing, items: Sequence[Row]) -> None:
    """A table of items, or a note that there are none."""
    if not items:
        output.note("Nothing yet.")
        return
    rows = [[_value(item, path) for _, path in listing.columns] for item in items]
    output.table([header for header, _ in listing.columns], rows)


def _value(item: Row, path: str) -> str:
    value: Any = item
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if path in TIMES:
        return age(value)
    if path == "at":
        return instant(value)
    if path == "expires_at":
        return instant(value)
    if path == "status.digest":
        return str(value or "")[:12]
    if path in {"status.fleets", "fleets"}:
        return "; ".join(fleet_text(f) for f in value or ())
    if path == "reasons":
        return "; ".join(r["text"] for r in value or ())
    return "" if value is None else str(value)


def fleet_text(fleet: Row) -> str:
    """A fleet of a group or of its routes, in a few words."""
    if "in_service" in fleet:
        return f"{fleet['fleet']} {fleet['in_service']}/{fleet['desired']} weight {fleet['weight']}"
    return f"{fleet['fleet']} weight {fleet['weight']}, {len(fleet['endpoints'])} endpoints"
