"""Events that stages gave up: list, show, redrive."""

from typing import Any
from urllib.parse import quote

import click

from headrace.cli.declare import end_with, waits
from headrace.cli.output import instant, output_option
from headrace.cli.session import Session, with_session

COLUMNS = (
    ("OFFSET", "offset"),
    ("ID", "id"),
    ("REASON", "reason"),
    ("KIND", "kind"),
    ("ATTEMPTS", "attempts"),
    ("DIED", "died"),
    ("REDRIVEN", "redriven"),
    ("MESSAGE", "message"),
)


@click.group("dead-letters")
def dead_letters() -> None:
    """Events that a stage gave up: look at them, mend what was wrong, send them on their way again."""


@dead_letters.command("list")
@click.argument("pipeline")
@click.argument("stage")
@click.option("--reason", default="", help="Only of this reason.")
@click.option("--all", "include_redriven", is_flag=True, help="Also those that were redriven.")
@click.option("--limit", type=click.IntRange(1, 500), default=100, show_default=True)
@output_option("table", "json")
@with_session
def list_command(  # noqa: PLR0913  one parameter per option
    session: Session, pipeline: str, stage: str, *, reason: str, include_redriven: bool, limit: int
) -> None:
    """Dead letters of STAGE of PIPELINE, newest first.

    \b
      headrace dead-letters list departures transform --reason Airport
    """  # noqa: D301  click keeps a block after this mark as it is
    found = session.client.dead_letters(pipeline, stage, limit, reason, include_redriven=include_redriven)
    if session.output.document(found):
        return
    items = [item | {"died": instant(item["died_at"])} for item in found["items"]]
    rows = [[item[field] for _, field in COLUMNS] for item in items]
    session.output.table([title for title, _ in COLUMNS], rows)
    more = "" if found["complete"] else " at least: the topic is longer than what was looked through"
    session.output.note(f"{found['waiting']} wait{more}")


@dead_letters.command()
@click.argument("pipeline")
@click.argument("stage")
@click.argument("offset", type=int)
@output_option("table", "json")
@with_session
def show(session: Session, pipeline: str, stage: str, offset: int) -> None:
    """One dead letter with its value; OFFSET is what `list` shows.

    \b
      headrace dead-letters show departures transform 17
    """  # noqa: D301  click keeps a block after this mark as it is
    found = session.client.get(f"{_path(pipeline, stage)}/{offset}")
    if session.output.document(found):
        return
    for name, value in found.items():
        session.output.line(f"{name:<14} {value}")


@dead_letters.command()
@click.argument("pipeline")
@click.argument("stage")
@click.option("--offset", "offsets", type=int, multiple=True, help="Only this one; may be given again.")
@click.option("--reason", default="", help="Only of this reason.")
@click.option("--rate", type=float, default=100.0, show_default=True, help="Events a second, at most.")
@waits
@output_option("table", "json")
@with_session
def redrive(  # noqa: PLR0913  one parameter per option
    session: Session,
    pipeline: str,
    stage: str,
    *,
    offsets: tuple[int, ...],
    reason: str,
    rate: float,
    no_wait: bool,
    timeout: float | None,
) -> None:
    """Send dead letters to STAGE again: all of them, those of a reason, or some. Each goes once, however often asked.

    \b
      headrace dead-letters redrive departures transform --reason Airport
    """  # noqa: D301  click keeps a block after this mark as it is
    body: dict[str, Any] = {"offsets": list(offsets), "reason": reason, "rate": rate}
    operation = session.client.post(f"{_path(pipeline, stage)}:redrive", body)
    end_with(session, operation, no_wait=no_wait, timeout=timeout)


def _path(pipeline: str, stage: str) -> str:
    return f"/v1/dead-letters/{quote(pipeline, safe='')}/{quote(stage, safe='')}"
