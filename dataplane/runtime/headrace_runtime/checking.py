"""`headrace-runtime check`: what a folder declares, and what becomes of events, by the worker that a node would run."""

import sys
import time
from pathlib import Path

from headrace_runtime.failures import Failure
from headrace_runtime.measuring import BOUNDS, Recorder
from headrace_runtime.worker_process import LoadError, NotYetError, WorkerProcess

EVENT_S_MAX = 60.0
SCALE = {True: "recoverable", False: "non-recoverable"}


def check(folder: Path, function: str, events: Path | None) -> int:
    """Prints what it finds; how many events failed. LoadError, and LookupError for a function that is not there."""
    measured = Recorder()
    worker = WorkerProcess(folder, measured)
    try:
        try:
            worker.start()
        except NotYetError as e:
            raise LoadError(f"{e}\n  (a node would try again until it succeeds)") from e
        if events is None:
            for name, kind in sorted(worker.functions.items()):
                _say(name if kind == "one" else f"{name} ({kind})")
            return 0
        failed = _try_events(worker, _chosen(worker, function), events)
        for kind, name, series in measured.shown():
            values = sum(series.counts)
            _say(
                f"{kind} {name}: "
                + (f"{values} values, mean {series.sum / values:g}" if kind in BOUNDS else f"{series.sum:g}")
            )
        return failed
    finally:
        worker.ask_to_end()
        worker.close(EVENT_S_MAX)


def _chosen(worker: WorkerProcess, function: str) -> str:
    known = sorted(worker.functions)
    if not function and len(known) == 1:
        return known[0]
    if function not in known:
        raise LookupError(f"--function {function!r}: declared are: {', '.join(known)}")
    return function


def _try_events(worker: WorkerProcess, function: str, events: Path) -> int:
    """One call for each line, so that a crash is laid on the line that it belongs to."""
    failed = 0
    with events.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            if not worker.is_up:
                worker.start()
            (result,) = worker.call(function, [line.strip()], time.monotonic() + EVENT_S_MAX)
            if isinstance(result, Failure):
                failed += 1
                _say(f"{number}: {SCALE[result.recoverable]}: {result.reason}: {result.message}")
            else:
                _say(f"{number}: " + (", ".join(o.decode() for o in result) or "dropped"))
    return failed


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
