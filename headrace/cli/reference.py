"""`python -m headrace.cli.reference`: write docs/reference/cli.md from the commands' own help."""

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from headrace.cli import PANELS, cli

PLACE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "cli.md"
WIDTH = 100
HEAD = """# The `headrace` command

Generated from the commands' own help by `python -m headrace.cli.reference`.

Where the admin API is: `--url` and `--token-file`; else `HEADRACE_URL` and `HEADRACE_TOKEN` (or `HEADRACE_TOKEN_FILE`);
else `.headrace/client.json` in this folder or one above it; else `~/.config/headrace/config.json`.

Results go to stdout, everything else to stderr; `-o json` prints one document. `deploy` and `apply` wait unless told not
to; Ctrl-C leaves the work running and says how to return.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | failed; also: rolled back |
| 2 | wrong use |
| 3 | refused; the reasons are printed |
| 4 | not found |
| 5 | unreachable |
| 6 | still going when `--timeout` ran out |
| 10 | `plan --exit-code`: there are changes |
"""


def pages() -> Iterator[str]:
    """The text, part by part."""
    yield HEAD
    for panel, commands in PANELS.items():
        yield f"\n## {panel}\n"
        for command in commands:
            yield from _pages(command, [cli.name or "headrace"], "###")


def _pages(command: click.Command, path: list[str], mark: str) -> Iterator[str]:
    parent = click.Context(
        cli, info_name=" ".join(path), help_option_names=["-h", "--help"], max_content_width=WIDTH, terminal_width=WIDTH
    )
    context = click.Context(
        command, info_name=command.name, parent=parent, terminal_width=WIDTH, max_content_width=WIDTH
    )
    name = " ".join([*path[1:], command.name or ""])
    text = command.get_help(context)
    yield f"\n{mark} {name}\n\n```\n{text}\n```\n"
    if isinstance(command, click.Group):
        for child in command.commands.values():
            yield from _pages(child, [*path, command.name or ""], f"{mark}#")


def text() -> str:
    """The whole page."""
    return "".join(pages()).replace("Usage: cli ", "Usage: headrace ")


def main() -> int:
    """Write it."""
    PLACE.write_text(text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
