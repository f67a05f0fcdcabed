"""How much a server has in hand: bounded in requests and items, measured as the busy ratio; what is more is turned away."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from dataplane.stages.measures import Measures

REQUESTS_MAX = 64
ITEMS_MAX = 20_000
RETRY_AFTER_S = 1.0


class Full(Exception):
    """Come back after `RETRY_AFTER_S`; the message says what is full."""


class Slots:
    """Of one server; used by many threads."""

    def __init__(self, measures: Measures, requests_max: int = REQUESTS_MAX, items_max: int = ITEMS_MAX) -> None:
        """Nothing is in hand."""
        self._measures = measures
        self._requests_max, self._items_max = requests_max, items_max
        self._lock = threading.Lock()
        self._requests = self._items = 0
        self._seen_at = time.monotonic()

    @contextmanager
    def taken(self, items: int) -> Iterator[None]:
        """For one request; Full when there is no room. One request is always let in, however large."""
        with self._lock:
            if self._requests >= self._requests_max:
                raise Full(f"{self._requests_max} requests in hand")
            if self._requests and self._items + items > self._items_max:
                raise Full(f"{self._items_max} items in hand")
            self._change(1, items)
        try:
            yield
        finally:
            with self._lock:
                self._change(-1, -items)

    def _change(self, requests: int, items: int) -> None:
        now = time.monotonic()
        elapsed_s = now - self._seen_at
        self._measures.worked(elapsed_s * self._requests / self._requests_max, elapsed_s)
        self._seen_at = now
        self._requests += requests
        self._items += items
