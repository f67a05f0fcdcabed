"""Users' code of a durability run: a verdict, and an event that comes right later."""

import time
from typing import Any

from headrace_runtime import Failure, transform

Event = dict[str, Any]


@transform(name="score", batch=True)
def score(events: list[Event]) -> list[Event | Failure]:
    """Puts `seen` into each."""
    now = time.time()
    return [verdict(e, now) or e | {"seen": True} for e in events]


def verdict(event: Event, now: float) -> Failure | None:
    """None: it may pass."""
    if event.get("never"):
        return Failure(False, "Airport", "no such airport")
    if event.get("not_before", 0) > now:
        return Failure(True, "TooEarly", "come back later")
    return None
