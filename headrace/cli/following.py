"""Following something long until it ends: redrawn in place on a terminal, one line per change elsewhere.

Ctrl-C and `--timeout` leave the work running and say how to return and how to stop it.
"""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.text import Text

from headrace.cli.output import STATE_STYLE, Output
from headrace.client import AdminClient
from headrace.errors import DONE, FAILED, REFUSED, Interrupted, StillGoing, Unreachable

POLL_S = 0.7
HEARTBEAT_S = 60.0
LOST_S_MAX = 120.0  # without an answer for so long, following ends
REDRAWS_PER_S = 4
MARK = {"done": "✔", "failed": "✖", "refused": "✖", "cancelled": "✖", "skipped": "–", "waiting": "·", "ended": "✔"}
EXIT = {"done": DONE, "refused": REFUSED}


def exit_code_of(operation: Mapping[str, Any]) -> int:
    """0 done, 3 refused, else 1 (rolled back is not done).

    >>> exit_code_of({"outcome": "rolled_back"})
    1
    """
    return EXIT.get(str(operation.get("outcome")), FAILED)


def follow(
    client: AdminClient, output: Output, operation: Mapping[str, Any], timeout_s: float | None
) -> dict[str, Any]:
    """Until it has ended; StillGoing when `timeout_s` ran out or Ctrl-C was pressed."""
    try:
        if output.is_live:
            return _live(client, output, dict(operation), timeout_s)
        return _lines(client, output, dict(operation), timeout_s)
    except KeyboardInterrupt:
        raise _leaving(operation, "left", Interrupted) from None


def _live(client: AdminClient, output: Output, operation: dict[str, Any], timeout_s: float | None) -> dict[str, Any]:
    began = time.monotonic()
    with Live(console=output.err, refresh_per_second=REDRAWS_PER_S, transient=False) as live:
        for seen, trouble in _looks(client, operation, timeout_s, began):
            live.update(_drawing(seen, time.monotonic() - began, trouble))
            operation = seen
    return operation


def _lines(client: AdminClient, output: Output, operation: dict[str, Any], timeout_s: float | None) -> dict[str, Any]:
    began = spoke = time.monotonic()
    said: dict[str, str] = {}
    for seen, trouble in _looks(client, operation, timeout_s, began):
        operation = seen
        lines = [{"object": trouble, "state": "", "text": ""}] if trouble else seen.get("progress", ())
        for line in lines:
            text, reasons = _line(line), line.get("reasons", ())
            gist = " ".join([text, *(r["code"] for r in reasons)])  # the reasons' numbers change at every look
            if said.get(line["object"]) != gist:
                said[line["object"]] = gist
                spoke = time.monotonic()
                more = [f"  - {r['code']}: {r['text']}" for r in reasons if r["text"] not in text]
                output.note("\n".join([f"{_stamp()} {text}", *more]))
        if time.monotonic() - spoke > HEARTBEAT_S:
            spoke = time.monotonic()
            output.note(f"{_stamp()} {seen['subject']}: still {seen['state']}")
    output.note(f"{_stamp()} {operation['subject']}: {operation['outcome']}: {operation['text']}")
    return operation


def _looks(client: AdminClient, operation: dict[str, Any], timeout_s: float | None, began: float) -> Any:
    """Each look at the operation, with what is wrong with the connection, until it has ended."""
    lost_at: float | None = None
    attempt = 0
    while True:
        trouble = ""
        try:
            operation = client.operation(operation["id"])
            lost_at, attempt = None, 0
        except Unreachable as e:
            attempt += 1
            lost_at = lost_at or time.monotonic()
            if time.monotonic() - lost_at > LOST_S_MAX:
                raise
            trouble = f"{e.message}; attempt {attempt}, trying again"
        yield operation, trouble
        if operation["state"] == "ended":
            return
        if timeout_s is not None and time.monotonic() - began > timeout_s:
            raise _leaving(operation, f"still going after {timeout_s:g} s")
        time.sleep(POLL_S)


def _drawing(operation: Mapping[str, Any], seconds: float, trouble: str) -> RenderableType:
    lines: list[RenderableType] = []
    state = str(operation.get("outcome") or operation["state"])
    head = f"{operation['subject']}  [{STATE_STYLE.get(state, 'cyan')}]{state}[/]  {seconds:.0f} s"
    lines.append(Text.from_markup(head, overflow="ellipsis"))
    for line in operation.get("progress", ()):
        style = STATE_STYLE.get(str(line["state"]), "")
        mark = MARK.get(str(line["state"]), "▸")
        lines.append(Text(f"  {mark} {_line(line)}", style=style, overflow="ellipsis", no_wrap=True))
        lines.extend(
            Text(f"      {r['code']}: {r['text']}", style="yellow", overflow="ellipsis", no_wrap=True)
            for r in line.get("reasons", ())
        )
    if operation.get("text"):
        lines.append(Text.from_markup(f"  {escape(str(operation['text']))}"))
    if trouble:
        lines.append(Text(f"  {trouble}", style="yellow"))
    return Group(*lines)


def _line(line: Mapping[str, Any]) -> str:
    step = f" [{line['step']}/{line['steps']}]" if line.get("steps") else ""
    return f"{line['object']}{step} {line['state']}: {line['text']}".rstrip(": ")


def _stamp() -> str:
    return datetime.now(UTC).strftime("%H:%M:%SZ")


def _leaving(operation: Mapping[str, Any], why: str, kind: type[StillGoing] = StillGoing) -> StillGoing:
    subject = str(operation["subject"])
    deploys = subject.startswith("group/") and operation.get("kind") != "rate"
    stop = f"headrace abort {subject.removeprefix('group/')}" if deploys else ""
    stop = stop or f"headrace cancel {operation['id']}"
    return kind(
        f"{subject}: {why}; the work goes on",
        remedy=f"to return: `headrace watch {operation['id']}`; to stop it: `{stop}`",
    )
