"""get, describe, explain, timeline, scaling."""

from collections.abc import Mapping
from typing import Any

import click

from headrace.cli.listings import LISTINGS, SINGLE, Row, fleet_text, kind_named, show_list
from headrace.cli.output import Output, instant, output_option
from headrace.cli.rating import rated_line
from headrace.cli.session import Session, with_session
from headrace.errors import ApiNotFound, WrongUse


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
    listing_name = kind_named(kind)
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
        show_list(session.output, listing, items)


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
    listing_name = kind_named(kind)
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
            output.line(f"  fleet {fleet_text(f)}")
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
