"""plan, apply, destroy; environments."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from headrace.cli.following import exit_code_of, follow
from headrace.cli.output import Output, output_option
from headrace.cli.session import Session, with_session
from headrace.environments import Environment
from headrace.errors import CHANGES, ApiRefused, WrongUse
from headrace.groups import ServerGroup
from headrace.loading import Loaded, load
from headrace.packing import pack

SIGN = {"create": ("+", "green"), "update": ("~", "yellow"), "replace": ("-/+", "magenta"), "delete": ("-", "red")}
KIND = click.Choice(["environment", "server-group", "pipeline"])


class Folder(click.Path):
    """A folder of declarations; who names a file in it is told to name the folder."""

    def __init__(self) -> None:
        super().__init__(exists=True, file_okay=False, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """BadParameter for what is no folder."""
        if Path(value).is_file():
            parent = Path(value).parent
            self.fail(f"{value} is a file; name the folder that it lies in, which is read whole: {parent}", param, ctx)
        return super().convert(value, param, ctx)


directory = Folder()
wait_options = [
    click.option("--no-wait", is_flag=True, help="Return when the work is accepted."),
    click.option("--timeout", type=float, help="Seconds to wait; then exit 6, and the work goes on."),
]


def waits(command: Any) -> Any:
    """`--no-wait` and `--timeout`."""
    for option in wait_options:
        command = option(command)
    return command


@click.command()
@click.argument("folder", metavar="DIR", type=directory)
@click.option("--local", is_flag=True, help="Check the declarations alone; ask nobody.")
@click.option("--prune", is_flag=True, help="Plan to delete what DIR declared before and no longer does.")
@click.option("--source", help="Name of this set of declarations.  [default: the folder's name]")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the plan, for apply --plan-file.")
@click.option("--exit-code", is_flag=True, help="Exit with 10 when there are changes.")
@output_option("table", "json")
@with_session
def plan(  # noqa: PLR0913  one parameter per option
    session: Session, folder: Path, *, local: bool, prune: bool, source: str | None, out: Path | None, exit_code: bool
) -> None:
    """Show what would be created, updated, replaced and deleted, and why. Nothing is changed.

    \b
      headrace plan examples/flights
      headrace plan examples/flights --exit-code -o json
    """  # noqa: D301  click keeps a block after this mark as it is
    loaded = _loaded(session, folder)
    if local:
        found = [o.spec() for o in loaded.objects]
        if not session.output.document({"objects": found}):
            session.output.line(f"{len(found)} objects are well formed.")
        return
    made = _plan(session, loaded, source or folder.resolve().name, prune=prune)
    if out:
        out.write_text(json.dumps({"plan_id": made["id"], "digest": made["digest"]}) + "\n")
    if not session.output.document({"plan_id": made["id"], **made}):
        show_plan(session.output, made)
        if made["changes"]:
            session.output.note(f"plan {made['id']}; to apply exactly this: `headrace apply --plan-id {made['id']}`")
    if exit_code and made["changes"]:
        raise click.exceptions.Exit(CHANGES)


@click.command()
@click.argument("folder", metavar="[DIR]", type=directory, required=False)
@click.option("--plan-file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Apply a written plan.")
@click.option("--plan-id", help="Apply a plan that was shown.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.option("--prune", is_flag=True, help="Delete what DIR declared before and no longer does.")
@click.option("--source", help="Name of this set of declarations.  [default: the folder's name]")
@waits
@output_option("table", "json")
@with_session
def apply(  # noqa: PLR0913  one parameter per option
    session: Session,
    folder: Path | None,
    *,
    plan_file: Path | None,
    plan_id: str | None,
    yes: bool,
    prune: bool,
    source: str | None,
    no_wait: bool,
    timeout: float | None,
) -> None:
    """Show the plan, ask, carry it out and wait. Ctrl-C leaves the work running.

    \b
      headrace apply examples/flights
      headrace apply examples/flights --yes -o json
      headrace plan examples/flights --out flights.plan && headrace apply --plan-file flights.plan
    """  # noqa: D301  click keeps a block after this mark as it is
    if sum(x is not None for x in (folder, plan_file, plan_id)) != 1:
        raise WrongUse("apply takes a folder, --plan-file or --plan-id", remedy="name one of them")
    if folder:
        made = _plan(session, _loaded(session, folder), source or folder.resolve().name, prune=prune)
        digest = made["digest"]
    else:
        kept = json.loads(plan_file.read_text()) if plan_file else {"plan_id": plan_id, "digest": ""}
        made, digest = session.client.get(f"/v1/plans/{kept['plan_id']}"), kept["digest"]
    _carry_out(session, made, digest, yes=yes, no_wait=no_wait, timeout=timeout)


@click.command()
@click.argument("objects", metavar="KIND NAME [KIND NAME]...", nargs=-1, required=False)
@click.option("--all-of", "folder", type=directory, help="Everything that a folder declares.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@waits
@output_option("table", "json")
@with_session
def destroy(  # noqa: PLR0913  one parameter per option
    session: Session, objects: Sequence[str], *, folder: Path | None, yes: bool, no_wait: bool, timeout: float | None
) -> None:
    """Show what would be deleted, ask, delete and wait.

    \b
      headrace destroy pipeline departures
      headrace destroy --all-of examples/flights
    """  # noqa: D301  click keeps a block after this mark as it is
    named = _named(session, objects, folder)
    made = session.client.post("/v1/plans:destroy", {"objects": named})
    _carry_out(session, made, made["digest"], yes=yes, no_wait=no_wait, timeout=timeout)


@click.group()
def environment() -> None:
    """Environments: what code runs in."""


@environment.command("create")
@click.argument("name")
@click.option("--requirements", "-r", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=True)
@click.option("--python", default="3.11", show_default=True, help="Python version.")
@waits
@output_option("table", "json")
@with_session
def create_environment(  # noqa: PLR0913  one parameter per option
    session: Session, name: str, *, requirements: Path, python: str, no_wait: bool, timeout: float | None
) -> None:
    """Build an environment from a requirements file, or build it anew.

    \b
      headrace environment create fraud-env -r requirements.txt
    """  # noqa: D301  click keeps a block after this mark as it is
    spec = Environment(name=name, requirements=requirements.read_text(), python=python).spec()
    made = session.client.plan([spec])
    _carry_out(session, made, made["digest"], yes=True, no_wait=no_wait, timeout=timeout)


@environment.command("list")
@output_option()
@with_session
def list_environments(session: Session) -> None:
    """List environments."""
    found = session.client.objects("environment")
    if not session.output.document(found):
        rows = [(o["name"], o["status"]["phase"], o["status"]["digest"][:12], o["generation"]) for o in found]
        session.output.table(("NAME", "PHASE", "DIGEST", "GENERATION"), rows)


@environment.command("delete")
@click.argument("name")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@waits
@output_option("table", "json")
@with_session
def delete_environment(session: Session, name: str, *, yes: bool, no_wait: bool, timeout: float | None) -> None:
    """Delete an environment that no group uses."""
    made = session.client.post("/v1/plans:destroy", {"objects": [{"kind": "environment", "name": name}]})
    _carry_out(session, made, made["digest"], yes=yes, no_wait=no_wait, timeout=timeout)


def show_plan(output: Output, made: Mapping[str, Any]) -> None:
    """Deletes last, next to the question."""
    for change in made["changes"]:
        sign, style = SIGN[change["action"]]
        why = f"  ({change['why']})" if change.get("why") else ""
        output.line(f"{sign:>3} {change['action']} {change['kind']} {change['name']}{why}", style=style)
        for f in change["fields"]:
            note = f"  ({f['why']})" if f.get("why") else ""
            output.line(f"        {f['field']}: {_short(f['old'])} -> {_short(f['new'])}{note}")
    for warning in made["warnings"]:
        output.line(f"  ! {warning}", style="yellow")
    if made["blocked"]:
        output.line("This plan cannot be applied:", style="red")
        output.reasons(made["blocked"])
    if not made["changes"]:
        output.line("No changes.")
        return
    counts = ", ".join(f"{n} to {action}" for action, n in made["counts"].items() if n)
    output.line(f"{counts}; {made['unchanged']} unchanged.")


def _carry_out(  # noqa: PLR0913  what the commands share
    session: Session, made: Mapping[str, Any], digest: str, *, yes: bool, no_wait: bool, timeout: float | None
) -> None:
    output = session.output
    if output.form != "json":
        show_plan(output, made)
    if not made["changes"]:
        if output.form == "json":
            output.document({"plan_id": made["id"], "changes": [], "operation": None})
        return
    if made["blocked"]:
        raise ApiRefused(f"plan {made['id']} is blocked", reasons=made["blocked"] if output.form == "json" else ())
    if not yes and not click.confirm("Apply this plan?", err=True):
        raise click.exceptions.Exit(1)
    operation = session.client.apply(made["id"], digest)
    end_with(session, operation, no_wait=no_wait, timeout=timeout, extra={"plan_id": made["id"]})


def end_with(
    session: Session,
    operation: dict[str, Any],
    *,
    no_wait: bool,
    timeout: float | None,
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Wait (unless told not to), say how it ended, exit with its code."""
    output = session.output
    began = time.monotonic()
    if no_wait:
        if not output.document({**(extra or {}), **operation}):
            output.line(f"{operation['id']} {operation['state']}; to follow it: `headrace watch {operation['id']}`")
        return
    ended = follow(session.client, output, operation, timeout)
    if not output.document({**(extra or {}), **ended}):
        output.line(f"{ended['outcome']} in {time.monotonic() - began:.0f} s: {ended['text']}")
        output.reasons(ended["reasons"])
    code = exit_code_of(ended)
    if code:
        raise click.exceptions.Exit(code)


def _loaded(session: Session, folder: Path) -> Loaded:
    loaded = load(folder)
    session.output.note(f"imported {', '.join(loaded.imported)}: {len(loaded.objects)} objects")
    if loaded.left_out:
        session.output.note(f"left out {', '.join(loaded.left_out)}: not importing headrace")
    return loaded


def _plan(session: Session, loaded: Loaded, source: str, *, prune: bool) -> dict[str, Any]:
    specs = []
    for o in loaded.objects:
        spec = o.spec()
        if isinstance(o, ServerGroup) and o.code_folder is not None:
            packed = pack(o.code_folder, o.declared_at)
            spec["code"] = session.client.upload(packed)
            session.output.note(f"packed {o.code}: {packed.files} files, sha256 {packed.sha256[:12]}")
        specs.append(spec)
    return session.client.plan(specs, source=source, prune=prune)


def _named(session: Session, objects: Sequence[str], folder: Path | None) -> list[dict[str, str]]:
    if folder:
        loaded = _loaded(session, folder)
        return [
            *({"kind": "pipeline", "name": p.name} for p in loaded.pipelines),
            *({"kind": "server-group", "name": g.name} for g in loaded.groups),
            *({"kind": "environment", "name": e.name} for e in loaded.environments),
        ]
    if not objects or len(objects) % 2:
        raise WrongUse(
            "destroy takes pairs of kind and name, or --all-of DIR",
            remedy="e.g. `headrace destroy pipeline departures`",
        )
    pairs = list(zip(objects[::2], objects[1::2], strict=True))
    for kind, _ in pairs:
        if kind not in KIND.choices:
            raise WrongUse(f"{kind!r} is no kind that can be deleted", remedy=f"use {', '.join(KIND.choices)}")
    return [{"kind": kind, "name": name} for kind, name in pairs]


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."  # noqa: PLR2004
