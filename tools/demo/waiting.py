"""Waiting for something to be so, with a deadline."""

import time
from collections.abc import Callable
from typing import TypeVar

POLL_S = 0.5
Found = TypeVar("Found")


def wait_for(what: Callable[[], Found | None], timeout_s: float, poll_s: float = POLL_S) -> Found | None:
    """What `what` gave first that is true, or None when the time ran out."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = what()
        if found:
            return found
        if time.monotonic() >= deadline:
            return None
        time.sleep(poll_s)
