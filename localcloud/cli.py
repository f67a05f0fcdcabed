"""The commands that run the embedded stack: up, down, status, logs, doctor. `headrace` shows them too."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click

from localcloud.errors import StackError
from localcloud.process import memory_mb
from localcloud.state import DIRECTORY, StackState
from localcloud.status import Phase, Status, end_leftovers, is_same_process, read_status

UP_S_MAX = 150.0
DOWN_S_MAX = 120.0
POLL_S = 0.1
LINES_SHOWN = 50

_DIRECTORY = click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=DIRECTORY,
    show_default=False,
    help="Where the stack keeps its state; .headrace by default.",
)


@click.command()
@_DIRECTORY
@click.option("--profile", default="default", show_default=True, help="`demo` makes every interval short.")
@click.option("--only", type=click.Choice(["servers"]), help="Start the servers, and none of Headrace's processes.")
def up(directory: Path, profile: str, only: str | None) -> None:
    """Start the embedded stack in the background, and return when it is ready."""
    from localcloud.doctor import required

    directory.mkdir(parents=True, exist_ok=True)
    try:
        status = read_status(directory)
        if status and status.supervisor_alive():
            click.echo(f"the stack runs already ({status.phase}); `headrace down` stops it.")
            _say_where(directory)
            return
        if status:
            end_leftovers(status)
        required(directory)
        _start(directory, profile, only)
    except StackError as error:
        raise click.ClickException(str(error)) from error


def _start(directory: Path, profile: str, only: str | None) -> None:
    began = time.monotonic()
    log = StackState.open(directory).log("supervisor")
    log.parent.mkdir(parents=True, exist_ok=True)
    arguments = ["--directory", str(directory), "--profile", profile, *(["--only", only] if only else [])]
    (directory / "status.json").unlink(missing_ok=True)
    with log.open("ab") as output:
        supervisor = subprocess.Popen(
            [sys.executable, "-m", "localcloud.supervisor", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    status = _follow(directory, supervisor, began)
    resident = memory_mb(status.pid)  # of the supervisor and of all it has started
    click.echo(f"  ready in {time.monotonic() - began:.1f} s, {resident:.0f} MB resident")
    _say_where(directory)


def _follow(directory: Path, supervisor: subprocess.Popen[bytes], began: float) -> Status:
    """Print each part as it becomes ready; return when all are."""
    shown: set[str] = set()
    while True:
        status = read_status(directory)
        for part in status.parts if status else ():
            if part.ready_s is not None and part.name not in shown:
                shown.add(part.name)
                click.echo(f"  {part.name:<18} {part.ready_s:5.1f} s")
        if status and status.phase is Phase.READY:
            return status
        if supervisor.poll() is not None:
            status = read_status(directory)
            said = status.error if status and status.error else f"see {directory / 'logs' / 'supervisor.log'}"
            raise StackError(f"the stack did not start: {said}")
        if time.monotonic() - began > UP_S_MAX:
            raise StackError(
                f"the stack was not ready within {UP_S_MAX:.0f} s: `headrace status` says what is missing."
            )
        time.sleep(POLL_S)


def _say_where(directory: Path) -> None:
    state = StackState.open(directory)
    if state.admin_token_file.exists():
        click.echo(f"  admin API at http://{state.address('admin_api')}, token in {state.admin_token_file}")


@click.command()
@_DIRECTORY
def down(directory: Path) -> None:
    """Stop the embedded stack; what it keeps stays in .headrace."""
    status = read_status(directory)
    if status is None or not (status.supervisor_alive() or any(_runs(part.pid, part.created) for part in status.parts)):
        click.echo("the stack does not run.")
        return
    began = time.monotonic()
    if status.supervisor_alive():
        _end_supervisor(directory, status)
    else:
        click.echo(f"the supervisor had died; ended what it left: {', '.join(end_leftovers(status)) or 'nothing'}")
    click.echo(f"  stopped in {time.monotonic() - began:.1f} s")


def _end_supervisor(directory: Path, status: Status) -> None:
    import psutil

    psutil.Process(status.pid).terminate()
    deadline = time.monotonic() + DOWN_S_MAX
    while status.supervisor_alive():
        if time.monotonic() > deadline:
            raise click.ClickException(
                f"the supervisor (process {status.pid}) did not stop within {DOWN_S_MAX:.0f} s: "
                f"see {directory / 'logs' / 'supervisor.log'}."
            )
        time.sleep(POLL_S)
    last = read_status(directory)
    if last and last.error:
        raise click.ClickException(last.error)


def _runs(pid: int | None, created: float) -> bool:
    return pid is not None and is_same_process(pid, created)


@click.command()
@_DIRECTORY
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def status(directory: Path, output: str) -> None:
    """Say what runs, with memory and restarts. Exit code 1 when the stack is not whole."""
    seen = read_status(directory)
    alive = seen is not None and seen.supervisor_alive()
    if seen is None or not alive:
        click.echo('{"phase": "stopped", "parts": []}' if output == "json" else "the stack does not run.")
        sys.exit(1)
    rows = [
        {
            "name": part.name,
            "state": part.state,
            "pid": part.pid,
            "resident_mb": round(memory_mb(part.pid)) if part.pid else 0,
            "restarts": part.restarts,
            "reason": part.reason.split("\n", 1)[0],
        }
        for part in seen.parts
    ]
    if output == "json":
        click.echo(json.dumps({"phase": seen.phase, "profile": seen.profile, "parts": rows}, indent=1))
    else:
        click.echo(f"{seen.phase}, profile {seen.profile}, supervisor {seen.pid}")
        for row in rows:
            click.echo(
                f"  {row['name']:<18} {row['state']:<9} {row['pid'] or '':>8} {row['resident_mb']:>6} MB  "
                f"restarts {row['restarts']}  {row['reason']}"
            )
    whole = seen.phase is Phase.READY and all(row["state"] in {"running", "done"} for row in rows)
    sys.exit(0 if whole else 1)


@click.command()
@_DIRECTORY
@click.argument("name", required=False)
@click.option("-n", "--lines", default=LINES_SHOWN, show_default=True, help="How many lines from the end.")
@click.option("-f", "--follow", is_flag=True, help="Go on printing what is added.")
def logs(directory: Path, name: str | None, lines: int, *, follow: bool) -> None:
    """Print the end of a process' log; without a name, say which logs there are."""
    places = {place.stem: place for place in sorted((directory / "logs").glob("*.log"))}
    if name is None:
        click.echo("\n".join(places) or "there are no logs yet.")
        return
    if name not in places:
        raise click.ClickException(f"there is no log of {name!r}; there are: {', '.join(places) or 'none'}.")
    with places[name].open(errors="replace") as file:
        click.echo("".join(file.readlines()[-lines:]), nl=False)
        while follow:
            added = file.read()
            if added:
                click.echo(added, nl=False)
            else:
                time.sleep(POLL_S)


@click.command()
@_DIRECTORY
def doctor(directory: Path) -> None:
    """Look at everything that the stack needs of this machine; say what is missing and what to do."""
    from localcloud.doctor import examine

    directory.mkdir(parents=True, exist_ok=True)
    troubles = 0
    for finding in examine(directory):
        click.echo(f"  {'ok ' if not finding.trouble else 'NO '} {finding.name:<20} {finding.found}")
        if finding.trouble:
            troubles += 1
            click.echo(f"       {finding.trouble}")
    sys.exit(1 if troubles else 0)


commands: Sequence[click.Command] = [up, down, status, logs, doctor]


@click.group()
def main() -> None:
    """The embedded stack."""


for _command in commands:
    main.add_command(_command)

if __name__ == "__main__":
    main()
