"""`python -m dataplane.driving`: one step of load on one node, straight to it.

Its first line of input is the order (JSON), its one line of output the answer: the step that was driven, what the steps
have found, or an error. It is a process of its own, because sending takes a core; it ends with its input, so that it
never outlives who ordered it. What comes next is decided by the runtime's pure search; the drivers only drive.
"""

import json
import os
import sys
import threading
from base64 import b64decode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

from headrace_runtime.rating import Promise, Rating, Step, decide, holds

from dataplane.driving.called import CalledNodes, Seen
from dataplane.driving.driver import Driver, Sample
from shared.domain.errors import HeadraceError

ORDER_BYTES_MAX = 16 * 1024 * 1024


def driver_of(order: dict[str, Any], sample: Sample) -> Driver:
    """The driver of the way that the order names; only what it needs is loaded."""
    way = dict(order["way"])
    match way.pop("type"):
        case "call":
            from dataplane.driving.calls import Calls

            return Calls(sample, Path(order["tls_dir"]), **way)
        case "post":
            from dataplane.driving.posts import Posts

            return Posts(sample, **way)
        case "topic":
            from dataplane.driving.feeds import TopicFeed
            from shared.contracts.node import KafkaAccess

            return TopicFeed(sample, KafkaAccess(**order["kafka"]), **way)
        case other:
            raise ValueError(other)


def answer_to(order: dict[str, Any]) -> dict[str, Any]:
    """`{"step": ...}`, `{"found": ...}` or `{"error": {"code", "message"}}`."""
    promise = Promise(order["latency_s"], order["errors_max"])
    steps = [Step(**s) for s in order["steps"]]
    next_ = decide(steps, promise, order["first"])
    if isinstance(next_, Rating):
        return {"found": {"rate": next_.rate, "low": next_.low, "high": next_.high, "note": next_.note}}
    sample = Sample(tuple(b64decode(e) for e in order["events"]), order["step_s"], promise)
    try:
        with driver_of(order, sample) as driver:
            refused = driver.refusal()
            if refused:
                return {"error": {"code": "InvalidInput", "message": refused}}
            with watched(order.get("called", ()), order["tls_dir"]) as called:
                step = driver.step(next_.rate)
                seen = called.seen() if called else Seen()
    except HeadraceError as e:
        return {"error": {"code": "Unavailable", "message": str(e)}}
    held = holds(step, promise)
    return {"step": {**asdict(step), "held": held, "called_busy": seen.busy, "called_refusals": seen.turned_away}}


@contextmanager
def watched(addresses: Sequence[str], tls_dir: str) -> Iterator[CalledNodes | None]:
    """The nodes that the copy calls, while they are watched; None when it calls none."""
    if not addresses:
        yield None
        return
    with CalledNodes(addresses, Path(tls_dir)) as called:
        yield called


def _end_with_input() -> None:
    sys.stdin.read()
    os._exit(1)


def main() -> NoReturn:
    """Ends with 0 when an answer was written."""
    order = json.loads(sys.stdin.readline(ORDER_BYTES_MAX))
    threading.Thread(target=_end_with_input, name="end-with-input", daemon=True).start()
    sys.stdout.write(json.dumps(answer_to(order)) + "\n")
    sys.stdout.flush()
    os._exit(0)  # calls that were given up may still be open: nobody waits for them


if __name__ == "__main__":
    main()
