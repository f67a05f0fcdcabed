"""rate, ratings: what one node of a group sustains within its SLO, and how that changed from revision to revision."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from headrace.cli.declare import end_with, waits
from headrace.cli.output import instant, output_option
from headrace.cli.session import Session, with_session
from headrace.errors import Interrupted, WrongUse

SAMPLE_BYTES_MAX = 512 * 1024
QUEUE_S_MAX = 24 * 3600.0
COLUMNS = ("RATED", "REVISION", "NODE TYPE", "MESSAGES/S", "INTERVAL", "SLO", "STEPS", "CALLS", "CHANGE")


@click.command()
@click.argument("group")
@click.option(
    "--sample",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Events to send: JSON, one a line, as the group takes them.  [default: sample.ndjson of the code]",
)
@click.option("--step-s", type=float, default=10.0, show_default=True, help="Seconds of a step of load.")
@click.option("--first", type=float, default=100.0, show_default=True, help="Messages/s of the first step.")
@click.option("--function", help="Which function of the code.  [default: as the stage calls; else the only one]")
@click.option("--batch", type=int, help="Messages of a call or request.  [default: as the stage calls; else 50]")
@click.option("--called-nodes", type=int, help="Nodes of the transform group that its nodes call.  [default: 1]")
@click.option("--reason", default="", help="Why; kept in the audit log.")
@click.option("--queue", is_flag=True, help="Wait for admission instead of being refused.")
@click.option("--json", "as_json", is_flag=True, help="The same as -o json.")
@waits
@output_option("table", "json")
@with_session
def rate(  # noqa: PLR0913  one parameter per option
    session: Session,
    group: str,
    *,
    sample: Path | None,
    step_s: float,
    first: float,
    function: str | None,
    batch: int | None,
    called_nodes: int | None,
    reason: str,
    queue: bool,
    as_json: bool,
    no_wait: bool,
    timeout: float | None,
) -> None:
    """Find how many messages/s one node of GROUP sustains within its SLO, and how that changed. Exit 3 when refused.

    A node of the group's type is made beside the live ones on the same revision; it gets no live traffic, and what it
    writes goes to topics and sinks of its own. Load is driven on it in steps until the SLO breaks: calls of users' code,
    requests to an ingest or feature edge, events on the topic of a stage. Then it goes again with its topics, also when
    the rating is cancelled or fails. Ctrl-C cancels, and waits until the copy is gone.

    Where its nodes call a transform group, nodes of that one are copied too, and the rating says when they were what
    held it back: --called-nodes gives it more.

    \b
      headrace rate delays
      headrace rate delays --sample events.ndjson --step-s 20
      headrace rate departures-normalize --sample events.ndjson --first 1000
      headrace rate alerts-score --sample events.ndjson --called-nodes 2
      headrace rate delays --json
      headrace ratings delays
    """  # noqa: D301  click keeps a block after this mark as it is
    if as_json:
        session.output.form = "json"
    operation = session.client.rate(
        group,
        sample=_sample(sample) if sample else None,
        loading={"step_s": step_s, "first": first, "function": function, "batch": batch, "called_nodes": called_nodes},
        wait_s_max=QUEUE_S_MAX if queue else 0.0,
        reason=reason,
    )
    try:
        end_with(session, operation, no_wait=no_wait, timeout=timeout)
    except Interrupted:
        session.client.post(f"/v1/operations/{operation['id']}:cancel")
        session.output.note(f"group/{group}: cancelled; waiting until the copy is gone (Ctrl-C leaves it to itself)")
        end_with(session, operation, no_wait=False, timeout=timeout)


@click.command()
@click.argument("group")
@click.option("--limit", type=click.IntRange(1, 100), default=20, show_default=True)
@output_option("table", "json")
@with_session
def ratings(session: Session, group: str, *, limit: int) -> None:
    """Ratings of GROUP, newest first, each with what changed since the revision before.

    \b
      headrace ratings delays
      headrace ratings delays -o json
    """  # noqa: D301  click keeps a block after this mark as it is
    found = session.client.ratings(group, limit)
    if session.output.document({"items": found}):
        return
    if not found:
        session.output.note(f"group {group} was not rated yet: `headrace rate {group}`")
        return
    session.output.table(COLUMNS, [_row(r) for r in found])


def rated_line(rating: Mapping[str, Any]) -> str:
    """One rating as a sentence."""
    found = rating["found"]
    note = f" ({found['note']})" if found["note"] else ""
    return (
        f"rated on revision {rating['revision']}: one {rating['node_type']} sustains {found['rate']:.0f} messages/s "
        f"[{found['low']:.0f}, {found['high']:.0f}]{note}"
    )


def _row(rating: Mapping[str, Any]) -> tuple[str, ...]:
    found, promise, called = rating["found"], rating["promise"], rating.get("called")
    note = f" ({found['note']})" if found["note"] else ""
    return (
        instant(rating["rated_at"]),
        str(rating["revision"]),
        str(rating["node_type"]),
        f"{found['rate']:.0f}{note}",
        f"{found['low']:.0f} to {found['high']:.0f}",
        f"p95 {promise['latency_p95_s']:g} s, {promise['errors_max']:.2%} failed",
        str(len(rating["steps"])),
        f"{called['nodes']} of {called['group']}-r{called['revision']}" if called else "-",
        str(rating["change"]),
    )


def _sample(file: Path) -> str:
    size = file.stat().st_size
    if not 0 < size <= SAMPLE_BYTES_MAX:
        raise WrongUse(
            f"--sample {str(file)!r}: {size} bytes; between 1 and {SAMPLE_BYTES_MAX} can be sent",
            remedy="some hundreds of typical events are enough",
        )
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as e:
        raise WrongUse(
            f"--sample {str(file)!r}: byte {e.start} is not UTF-8", remedy="write JSON, one event a line"
        ) from e
