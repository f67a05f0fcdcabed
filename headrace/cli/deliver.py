"""deploy, rollback, and orders to what runs."""

from pathlib import Path
from typing import Any

import click

from headrace.cli.declare import end_with, waits
from headrace.cli.output import output_option
from headrace.cli.session import Session, with_session
from headrace.errors import WrongUse
from headrace.packing import pack


@click.command()
@click.argument("group")
@click.option("--code", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Folder of the new code.")
@click.option("--env", "environment", help="Environment to run it in (its newest build).")
@click.option("--set", "variables", metavar="NAME=VALUE", multiple=True, help="Replace the group's variables.")
@click.option("--reason", default="", help="Why; kept in the audit log.")
@click.option("--override", default="", help="Deploy although a verdict says no, and why; kept in the audit log.")
@click.option("--queue", is_flag=True, help="Wait for admission instead of being refused.")
@waits
@output_option("table", "json")
@with_session
def deploy(  # noqa: PLR0913  one parameter per option
    session: Session,
    group: str,
    *,
    code: Path | None,
    environment: str | None,
    variables: tuple[str, ...],
    reason: str,
    override: str,
    queue: bool,
    no_wait: bool,
    timeout: float | None,
) -> None:
    """Roll a new revision out to GROUP, step by step, and wait. Exit 3 when it is refused, 1 when it was rolled back.

    \b
      headrace deploy delays --code transforms
      headrace deploy delays --env flights-env --reason "new numpy"
      headrace explain group/delays --do deploy
    """  # noqa: D301  click keeps a block after this mark as it is
    body: dict[str, Any] = {"group": group, "reason": reason, "override_reason": override, "wait": queue}
    if code is not None:
        packed = pack(code)
        body["code"] = session.client.upload(packed)
        session.output.note(f"packed {code}: {packed.files} files, sha256 {packed.sha256[:12]}")
    if environment:
        body["environment"] = environment
    if variables:
        body["variables"] = _pairs(variables)
    operation = session.client.post("/v1/deployments", body)
    end_with(session, operation, no_wait=no_wait, timeout=timeout)


@click.command()
@click.argument("group")
@click.option("--reason", default="", help="Why; kept in the audit log.")
@click.option("--queue", is_flag=True, help="Wait for admission instead of being refused.")
@waits
@output_option("table", "json")
@with_session
def rollback(  # noqa: PLR0913  one parameter per option
    session: Session, group: str, *, reason: str, queue: bool, no_wait: bool, timeout: float | None
) -> None:
    """Undo GROUP's running deployment; without one, deploy the good revision before the running one.

    \b
      headrace rollback delays --reason "wrong scores"
    """  # noqa: D301  click keeps a block after this mark as it is
    operation = session.client.post(f"/v1/server-groups/{group}:rollback", {"reason": reason, "wait": queue})
    end_with(session, operation, no_wait=no_wait or not operation["id"], timeout=timeout)


def _order(name: str, text: str) -> click.Command:
    @click.command(name, help=f"{text}\n\n\b\n  headrace {name} delays")
    @click.argument("reference", metavar="GROUP|DEPLOYMENT|OPERATION")
    @click.option("--reason", default="", help="Why; kept in the audit log.")
    @output_option("table", "json")
    @with_session
    def command(session: Session, reference: str, *, reason: str) -> None:
        answer = session.client.post(f"/v1/deployments/{reference}:{name}", {"reason": reason})
        if not session.output.document(answer):
            session.output.line(f"{name}: told the deployment of {answer['subject']}")

    return command


pause = _order("pause", "Stand at the next safe point until resumed.")
resume = _order("resume", "Let a paused deployment go on.")
promote = _order("promote", "Do not bake or judge the present share any longer.")
abort = _order("abort", "Stop the running deployment and put the old revision back.")


@click.command()
@click.argument("operation")
@click.option("--timeout", type=float, help="Seconds to wait; then exit 6, and the work goes on.")
@output_option("table", "json")
@with_session
def watch(session: Session, operation: str, *, timeout: float | None) -> None:
    """Follow an operation until it ends; exits like the command that began it.

    \b
      headrace watch op-0193...
    """  # noqa: D301  click keeps a block after this mark as it is
    end_with(session, session.client.operation(operation), no_wait=False, timeout=timeout)


@click.command()
@click.argument("operation")
@output_option("table", "json")
@with_session
def cancel(session: Session, operation: str) -> None:
    """Ask an operation to end; it undoes what it began."""
    answer = session.client.post(f"/v1/operations/{operation}:cancel")
    if not session.output.document(answer):
        session.output.line(f"{operation}: asked to end; `headrace watch {operation}` shows when it has")


def _pairs(given: tuple[str, ...]) -> dict[str, str]:
    bad = [p for p in given if "=" not in p]
    if bad:
        raise WrongUse(f"--set {bad[0]!r} is not NAME=VALUE", remedy="e.g. --set THRESHOLD=15")
    return dict(p.split("=", 1) for p in given)
