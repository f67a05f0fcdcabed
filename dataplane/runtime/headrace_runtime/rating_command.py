"""`headrace-runtime rate`: prints each step, the rating, and how it changed since an earlier one."""

import argparse
import hashlib
import json
import os
import platform
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from headrace_runtime import __version__
from headrace_runtime.rating import Promise, Rating, Step, change, holds
from headrace_runtime.rating_load import Load, rate_code

EVENTS_MAX, EVENTS_BYTES_MAX = 100_000, 256 * 1024 * 1024


def rate(options: argparse.Namespace) -> int:
    """Returns the exit code: 0 rated, 1 the promise holds at no rate, 2 wrong use."""
    promise = Promise(options.latency_ms / 1000.0, options.errors)
    events = _events(options.events)
    load = Load(options.function, options.batch, options.step_s, options.workers, options.first)

    def tell(step: Step) -> None:
        mark = "holds" if holds(step, promise) else "breaks"
        _say(
            f"{step.wanted:12.0f}/s  answered {step.answered:10.0f}/s  p95 {1000 * step.latency_s:8.1f} ms"
            f"  errors {100 * step.errors:5.1f} %  {mark}"
        )

    found = rate_code(options.code.absolute(), events, promise, load, tell)
    record = _record(options, found)
    note = f" ({found.note})" if found.note else ""
    _say(f"node_rate={found.rate:.0f}  # messages/s of one node, 90 %: {found.low:.0f} to {found.high:.0f}{note}")
    if options.since:
        _say(_changed(json.loads(options.since.read_text()), record, found))
    if options.output:
        options.output.write_text(json.dumps(record, indent=2) + "\n")
    return 0 if found.rate > 0 else 1


def _events(file: Path) -> list[bytes]:
    """The lines that hold something; ValueError when there are none or too many."""
    if file.stat().st_size > EVENTS_BYTES_MAX:
        raise ValueError(f"{file}: more than {EVENTS_BYTES_MAX} bytes: a sample of events is enough")
    found = [line for line in file.read_bytes().splitlines() if line.strip()][:EVENTS_MAX]
    if not found:
        raise ValueError(f"{file}: no events: give JSON objects, one a line")
    return found


def _record(options: argparse.Namespace, found: Rating) -> dict[str, Any]:
    return {
        "rating": asdict(found),
        "code": digest(options.code),
        "node_type": options.node_type or f"{platform.machine()}, {os.cpu_count()} cores",
        "promise": {"latency_ms": options.latency_ms, "errors": options.errors},
        "workers": options.workers,
        "batch": options.batch,
        "runtime": __version__,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _changed(before: dict[str, Any], now: dict[str, Any], found: Rating) -> str:
    differ = [k for k in ("node_type", "promise", "workers", "batch") if before.get(k) != now[k]]
    if differ:
        return f"not comparable with the rating of {before['date']}: {', '.join(differ)} differ"
    same = ", same code" if before["code"] == now["code"] else ""
    return f"since {before['date']}{same}: {change(Rating(**before['rating']), found)}"


def digest(folder: Path) -> str:
    """Of all modules below a folder, by their paths and contents."""
    found = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        found.update(f"{file.relative_to(folder)}\0{file.stat().st_size}\0".encode() + file.read_bytes())
    return found.hexdigest()


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
