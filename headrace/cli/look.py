"""get, describe, explain, timeline, scaling."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import click

from headrace.cli.output import Output, age, instant, output_option
from headrace.cli.rating import rated_line
from headrace.cli.session import Session, with_session
from headrace.errors import ApiNotFound, WrongUse

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


@click.command()
@click.argument("kind")
@click.argument("name", required=False)
@output_option()
@with_session
def get(session: Session, kind: str, name: str | None) -> None:
    """List a KIND, or show one.

    KIND is one of environments, server-groups, pipelines, deployments, verdicts, activities, alarms, freezes, ramps,
    routes, drift, operations, audit.

    \b
      headrace get server-groups
      headrace get pipelines departures -o yaml
    """  # noqa: D301  click keeps a block after this mark as it is
    listing_name = _kind(kind)
    listing = LISTINGS[listing_name]
    if name is not None and listing_name in SINGLE:
        items = [session.client.get(f"{listing.path}/{name}")]
        document: Any = items[0]
    else:
        items = session.client.get(listing.path)["items"]
        if name is not None:
            items = [i for i in items if str(i[listing.key]) == name]
            if not items:
                raise ApiNotFound(f"{kind} {name!r} does not exist", remedy=f"`headrace get {kind}` lists them")
        document = items if name is None else items[0]
    if not session.output.document(document):
        _table(session.output, listing, items)


@click.command()
@click.argument("kind")
@click.argument("name")
@output_option()
@with_session
def describe(session: Session, kind: str, name: str) -> None:
    """Everything about one object: conditions, what is pending, fleets, what may be done to it now.

    \b
      headrace describe server-group delays
    """  # noqa: D301  click keeps a block after this mark as it is
    listing_name = _kind(kind)
    if listing_name not in SINGLE:
        raise WrongUse(f"{kind!r} cannot be described", remedy=f"use one of {', '.join(sorted(SINGLE))}")
    found = session.client.get(f"{LISTINGS[listing_name].path}/{name}")
    if session.output.document(found):
        return
    _described(session.output, found)


@click.command()
@click.argument("scope")
@click.option("--do", default="", help="What you want to do: deploy, ramp, provision, scale-out, scale-in, rollback...")
@output_option("table", "json")
@with_session
def explain(session: Session, scope: str, do: str) -> None:
    """Why a SCOPE is as it is, and whether something may be done to it now. Exit 3 when it may not.

    SCOPE is system, pipeline/NAME, stage/PIPELINE/STAGE or group/NAME.

    \b
      headrace explain group/delays
      headrace explain group/delays --do deploy
    """  # noqa: D301  click keeps a block after this mark as it is
    found = session.client.get("/v1/explain", scope=scope, do=do)
    if not session.output.document(found):
        _explained(session.output, found)
    if found["outcome"] in {"blocked", "unknown"}:
        raise click.exceptions.Exit(3)


@click.command()
@click.option("--scope", default="", help="Only what bears on this scope.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 500))
@output_option("table", "json")
@with_session
def timeline(session: Session, scope: str, limit: int) -> None:
    """What happened, newest first: activities, deployments, decisions, verdicts, drift, people's changes.

    \b
      headrace timeline --scope group/delays
    """  # noqa: D301  click keeps a block after this mark as it is
    found = session.client.get("/v1/timeline", scope=scope, page_size=limit)
    if session.output.document(found):
        return
    rows = [(instant(e["at"]), e["kind"], e["scope"], e["text"]) for e in found["items"]]
    session.output.table(("AT", "KIND", "SCOPE", "WHAT"), rows)
    _unanswered(session.output, found)


@click.group()
def scaling() -> None:
    """Scaling."""


@scaling.command("explain")
@click.argument("group")
@output_option("table", "json")
@with_session
def explain_scaling(session: Session, group: str) -> None:
    """Why GROUP has the size it has: demand, capacity, bounds, and the last decisions.

    \b
      headrace scaling explain delays
    """  # noqa: D301  click keeps a block after this mark as it is
    found = session.client.get(f"/v1/scaling/{group}")
    if session.output.document(found):
        return
    decision, output = found["decision"], session.output
    output.line(f"{group}: {decision['action']}, {decision['current']} -> {decision['wanted']} nodes")
    output.reasons(decision["reasons"])
    for title, numbers in (("inputs", decision["inputs"]), ("worked out", decision["intermediates"])):
        output.line(f"{title}: " + ", ".join(f"{k} {v:g}" for k, v in numbers.items()))
    rate = found.get("node_rate")
    output.line(f"one node sustains {rate:g} messages/s" if rate else "a node's capacity has not been measured yet")
    if found.get("rated"):
        output.line(rated_line(found["rated"]))
    if found["floors"]:
        output.line("floors: " + ", ".join(f"{k} {v}" for k, v in found["floors"].items()))
    rows = [(instant(d["at"]), d["action"], d["current"], d["wanted"], d["outcome"]) for d in found["decisions"]]
    output.table(("AT", "DECISION", "NOW", "WANTED", "OUTCOME"), rows)


def _kind(kind: str) -> str:
    name = ALIASES.get(kind, kind)
    if name not in LISTINGS:
        raise WrongUse(f"{kind!r} is no kind", remedy=f"use one of {', '.join(LISTINGS)}")
    return name


def _table(output: Output, listing: Listing, items: Sequence[Row]) -> None:
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
        return "; ".join(_fleet(f) for f in value or ())
    if path == "reasons":
        return "; ".join(r["text"] for r in value or ())
    return "" if value is None else str(value)


def _fleet(fleet: Row) -> str:
    if "in_service" in fleet:
        return f"{fleet['fleet']} {fleet['in_service']}/{fleet['desired']} weight {fleet['weight']}"
    return f"{fleet['fleet']} weight {fleet['weight']}, {len(fleet['endpoints'])} endpoints"


def _described(output: Output, found: Row) -> None:
    status = found.get("status")
    for key, value in found.items():
        if key in {"status", "actions"} or value in (None, "", [], {}):
            continue
        output.line(f"{key}: {instant(value) if key.endswith('_at') else value}")
    if isinstance(status, Mapping):
        output.line(f"phase: {status['phase']}" + (f" ({status['detail']})" if status.get("detail") else ""))
        for c in status["conditions"]:
            output.line(f"  {c['type']}: {c['status']}, {c['reason']}" + (f": {c['message']}" if c["message"] else ""))
        for p in status["pending"]:
            output.line(f"  pending {p['field']}: {p['now']} -> {p['becoming']}")
        for f in status.get("fleets") or ():
            output.line(f"  fleet {_fleet(f)}")
    for action in found.get("actions") or ():
        output.line(f"  {action['name']}: {'allowed' if action['allowed'] else 'not now'}  `{action['cli']}`")
        output.reasons(action["reasons"])


def _explained(output: Output, found: Row) -> None:
    if found["do"]:
        retry = f"; asks again in {found['retry_after_s']:.0f} s" if found.get("retry_after_s") else ""
        output.line(f"{found['do']} on {found['scope']}: {found['outcome'].upper()}{retry}")
        output.reasons(found["reasons"])
    for v in found["verdicts"]:
        output.line(f"{v['scope']} is {v['effective']} since {instant(v['since'])}, as of {instant(v['as_of'])}")
        output.reasons(v["reasons"])
        if v["signals"]:
            output.line("      " + ", ".join(f"{k} {n:g}" for k, n in sorted(v["signals"].items())))
    for a in found["activities"]:
        output.line(
            f"{a['kind']} on {a['scope']} is {a['state']}, held by {a['holder']} since {instant(a['began_at'])}"
        )
    for a in found["lately"]:
        output.line(f"{instant(a['began_at'])} {a['kind']} by {a['holder']}: {a['outcome']}".rstrip())
    for f in found["drift"]:
        output.line(
            f"{instant(f['found_at'])} drift of {f['resource']}: {f['field']} is {f['live']}, "
            f"declared {f['declared']} ({f['drift_class']}, {f['state']})"
        )
    for d in found["deployments"]:
        output.line(f"deployment {d['id']} of revision {d['revision']}: {d['phase']} {d['step_text']}".rstrip())
        output.reasons(d["reasons"])
    for d in found["decisions"]:
        output.line(
            f"{instant(d['at'])} scaling {d['action']}: {d['current']} -> {d['wanted']} nodes {d['outcome']}".rstrip()
        )
        output.reasons(d["reasons"])
    lines = [f"{instant(r['rated_at'])} {rated_line(r)}" for r in found["ratings"]]
    lines += [
        f"alarm {a['alarm_class']} on {a['scope']} is {a['state']} since {instant(a['since'])}" for a in found["alarms"]
    ]
    for line in lines:
        output.line(line)
    _unanswered(output, found)


def _unanswered(output: Output, found: Row) -> None:
    for reason in found.get("unanswered") or ():
        output.note(f"  unknown: {reason['text']}", style="yellow")
