"""What a command says: results to stdout, everything else to stderr; tables, JSON or YAML; colours only on a terminal."""

import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from headrace.cli.yaml_text import as_yaml
from headrace.errors import HeadraceCommandError

F = TypeVar("F", bound=Callable[..., Any])
WIDTH_PIPED = 200  # a pipe has no width; long lines are better than cut ones
STATE_STYLE = {
    "HEALTHY": "green",
    "IDLE": "green",
    "READY": "green",
    "FINISHED": "green",
    "done": "green",
    "UNKNOWN": "yellow",
    "DEGRADED": "yellow",
    "running": "cyan",
    "UNHEALTHY": "red",
    "FAILED": "red",
    "ERROR": "red",
    "failed": "red",
    "refused": "magenta",
    "ROLLED_BACK": "magenta",
}


@dataclass(slots=True)
class Output:
    """`form` is table, json or yaml."""

    form: str = "table"
    said: list[str] = field(default_factory=list)

    @property
    def out(self) -> Console:
        """Results."""
        return _console(sys.stdout)

    @property
    def err(self) -> Console:
        """Progress, prompts, errors."""
        return _console(sys.stderr)

    @property
    def is_live(self) -> bool:
        """Whether progress may be redrawn in place."""
        return self.form == "table" and self.err.is_terminal

    def document(self, value: Any) -> bool:
        """Print `value` as JSON or YAML; False when a table is wanted."""
        if self.form == "json":
            sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
        elif self.form == "yaml":
            sys.stdout.write(as_yaml(value))
        else:
            return False
        return True

    def line(self, text: str, style: str = "") -> None:
        """One line of a result."""
        self.out.print(escape(text), style=style or None, highlight=False, soft_wrap=True)

    def note(self, text: str, style: str = "") -> None:
        """One line beside the result."""
        self.err.print(escape(text), style=style or None, highlight=False, soft_wrap=True)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """A table; states are coloured."""
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*(_cell(value) for value in row))
        self.out.print(table)

    def reasons(self, reasons: Iterable[Mapping[str, Any]], *, to_err: bool = False) -> None:
        """Every reason: code, sentence, numbers, remedy."""
        say = self.note if to_err else self.line
        for reason in reasons:
            say(f"  - {reason['code']} on {reason['scope']}: {reason['text']}")
            for c in reason.get("compared") or ():
                unit = f" {c['unit']}" if c.get("unit") else ""
                say(f"      {c['name']} {c['value']:g}{unit}, needs {c['op']} {c['limit']:g}{unit}")
            if reason.get("since"):
                say(f"      since {instant(reason['since'])}")
            if reason.get("retry_after_s"):
                say(f"      asks again in {reason['retry_after_s']:.0f} s")
            for remedy in reason.get("remedy") or ():
                say(f"      {remedy['text']}" + (f": {remedy['cli']}" if remedy.get("cli") else ""))

    def error(self, failure: HeadraceCommandError) -> None:
        """An error as a sentence, its reasons, and what to do; with JSON also as the document."""
        if self.form == "json":
            body = {
                "code": failure.code,
                "detail": failure.message,
                "field": failure.field,
                "remedy": failure.remedy,
                "reasons": list(failure.reasons),
                "retry_after_s": failure.retry_after_s,
                "exit_code": failure.exit_code,
            }
            self.document({"error": {k: v for k, v in body.items() if v not in (None, "", [])}})
        self.note(f"headrace: {failure.message}", style="red")
        self.reasons(failure.reasons, to_err=True)
        if failure.retry_after_s:
            self.note(f"  try again in {failure.retry_after_s:.0f} s")
        if failure.remedy:
            self.note(f"  {failure.remedy}")


def instant(seconds: float | None) -> str:
    """UTC, always with its suffix.

    >>> instant(0.5)
    '1970-01-01 00:00:00Z'
    """
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ") if seconds is not None else "-"


def age(seconds: float | None) -> str:
    """How long ago.

    >>> age(None)
    '-'
    """
    if not seconds:
        return "-"
    past = max(0.0, time.time() - seconds)
    for limit, unit, name in ((120, 1, "s"), (7200, 60, "m"), (172_800, 3600, "h")):
        if past < limit:
            return f"{past / unit:.0f}{name}"
    return f"{past / 86_400:.0f}d"


def output_option(*forms: str) -> Callable[[F], F]:
    """`-o`."""
    choices = forms or ("table", "json", "yaml")
    return click.option(
        "-o",
        "--output",
        "form",
        type=click.Choice(choices),
        default=choices[0],
        show_default=True,
        help="Form of the result.",
    )


def _cell(value: Any) -> str:
    text = "-" if value in (None, "") else str(value)
    style = STATE_STYLE.get(text)
    return f"[{style}]{escape(text)}[/]" if style else escape(text)


def _console(stream: Any) -> Console:
    is_terminal = bool(getattr(stream, "isatty", lambda: False)())
    return Console(file=stream, width=None if is_terminal else WIDTH_PIPED, highlight=False)
