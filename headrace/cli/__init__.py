"""The `headrace` command.

Exit codes: 0 done, 1 failed (also: rolled back), 2 wrong use, 3 refused (the reasons are printed), 4 not found,
5 unreachable, 6 still going when time ran out; `plan --exit-code` answers 10 when there are changes.
"""

import importlib.util
import sys

import click

from headrace.cli import dead_letters, declare, deliver, guard, look, rating, setup
from headrace.cli.session import Session

PANELS: dict[str, tuple[click.Command, ...]] = {
    "Declare": (declare.plan, declare.apply, declare.destroy, declare.environment),
    "Deliver": (
        deliver.deploy,
        deliver.rollback,
        deliver.pause,
        deliver.resume,
        deliver.promote,
        deliver.abort,
        deliver.watch,
        deliver.cancel,
    ),
    "Look": (look.get, look.describe, look.explain, look.timeline, look.scaling, rating.rate, rating.ratings),
    "Guard": (guard.freeze, guard.unfreeze, guard.quiet, guard.ramp, guard.drift, dead_letters.dead_letters),
    "Set up": (setup.token, setup.whoami, setup.completion, setup.version_command),
}
LOCAL = ("up", "down", "status", "logs", "doctor")  # of the embedded stack, where it is installed
LOCAL_PANEL = "Embedded stack"


class Headrace(click.Group):
    """Commands in panels; those of the embedded stack are imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        """All names, panel by panel."""
        return [*(c.name or "" for panel in PANELS.values() for c in panel), *_local_names()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Also a command of the embedded stack."""
        return super().get_command(ctx, cmd_name) or (_local(cmd_name) if cmd_name in LOCAL else None)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One section per panel."""
        panels = {title: [c.name or "" for c in commands] for title, commands in PANELS.items()}
        panels[LOCAL_PANEL] = list(_local_names())
        for title, names in panels.items():
            rows = [(n, command.get_short_help_str(90)) for n in names if (command := self.get_command(ctx, n))]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


@click.group(cls=Headrace, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--url", default="", help="Address of the admin API.  [env: HEADRACE_URL]")
@click.option("--token-file", default="", help="File that holds your token.  [env: HEADRACE_TOKEN_FILE]")
@click.pass_context
def cli(context: click.Context, url: str, token_file: str) -> None:
    """Declare, deliver, look at and guard fleets that run stream pipelines and real-time model code.

    \b
      headrace plan examples/flights        what would change
      headrace apply examples/flights       carry it out
      headrace deploy delays --code DIR     roll new code out
      headrace explain group/delays         why it is as it is
    """  # noqa: D301  click keeps a block after this mark as it is
    context.obj = Session(url, token_file)


for _commands in PANELS.values():
    for _command in _commands:
        cli.add_command(_command)


def _local_names() -> tuple[str, ...]:
    return LOCAL if importlib.util.find_spec("localcloud") is not None else ()


def _local(name: str) -> click.Command | None:
    try:
        from localcloud.cli import commands
    except ImportError:
        return None
    return next((c for c in commands if c.name == name), None)


def main() -> None:
    """Entry point."""
    sys.exit(cli(prog_name="headrace", standalone_mode=True))
