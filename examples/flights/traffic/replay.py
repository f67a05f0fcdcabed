"""Replays the departures against the ingest edge, at a rate that can be changed while it runs.

An event counts as sent when the edge has acknowledged it; what the edge defers (the ramp has not reached its bucket) or
does not answer for is sent again, with a new event time. So what is in `acknowledged` must arrive at the far end.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson

BATCH_MAX = 500
BATCH_S = 0.2  # a batch holds what falls due in this time, so that it does not wait long
SENDERS = 2
TIMEOUT_S = 10.0
PAUSE_S = 0.2
DEFERRED_PAUSE_S = 0.5
NODES_S_MAX = 2.0


class IngestNodes:
    """Which nodes take events, from the routes; they are asked for every other second."""

    def __init__(self, routes: Callable[[], Sequence[dict[str, Any]]], group: str) -> None:
        """`routes` gives what `GET /v1/routes` lists; `group` is the ingest stage's."""
        self._routes, self._group = routes, group
        self._known: tuple[float, list[str]] = (0.0, [])

    def __call__(self) -> list[str]:
        """host:port of each; empty while there is none."""
        asked_at, places = self._known
        if places and time.monotonic() - asked_at < NODES_S_MAX:
            return places
        fleets = [f for r in self._routes() if r["group"] == self._group for f in r["fleets"] if f["weight"] > 0]
        self._known = (time.monotonic(), [place for f in fleets for place in f["endpoints"]])
        return self._known[1]


@dataclass(slots=True)
class Counts:
    """What has become of the events so far."""

    acknowledged: set[str] = field(default_factory=set)
    deferred: int = 0
    refused: int = 0  # batches that the edge answered with 429 or 503
    unanswered: int = 0
    invalid: dict[str, str] = field(default_factory=dict)


class Replay:
    """Sends from threads of its own until the events run out or `stop` is called."""

    def __init__(self, events: Iterator[dict[str, Any]], endpoints: Callable[[], Sequence[str]], rate: float) -> None:
        """`endpoints`: host:port of ingest nodes, asked again after a failure; `rate`: events/s, 0 pauses."""
        self._events = events
        self._endpoints = endpoints
        self.rate = rate
        self.counts = Counts()
        self.exhausted = threading.Event()
        self._again: deque[dict[str, Any]] = deque()
        self._in_flight = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._due = 0.0
        self._threads = [
            threading.Thread(target=self._send_loop, name=f"replay-{n}", daemon=True) for n in range(SENDERS)
        ]

    def start(self) -> None:
        """Begin."""
        self._due = time.monotonic()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End; what is in flight is answered first."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=TIMEOUT_S + 1)

    def take(self) -> list[dict[str, Any]]:
        """The next batch, in order, no faster than the rate; empty when none is due."""
        with self._lock:
            if self.rate <= 0:
                self._due = time.monotonic()
                return []
            size = max(1, min(BATCH_MAX, int(self.rate * BATCH_S)))
            now = time.monotonic()
            if now < self._due:
                return []
            self._due = max(self._due, now - 1.0) + size / self.rate  # at most a second is made up for
            batch = [self._again.popleft() for _ in range(min(size, len(self._again)))]
            while len(batch) < size:
                event = next(self._events, None)
                if event is None:
                    break
                batch.append(event)
            self._in_flight += len(batch)
            if not batch and not self._in_flight:
                self.exhausted.set()
            return batch

    def _send_loop(self) -> None:
        turn = 0
        with httpx.Client(timeout=TIMEOUT_S, trust_env=False) as http:
            while not self._stop.is_set():
                batch = self.take()
                if not batch:
                    time.sleep(0.01)
                    continue
                turn += 1
                pause = self._send(http, batch, turn)
                self._stop.wait(pause)

    def _send(self, http: httpx.Client, batch: list[dict[str, Any]], turn: int) -> float:
        """Send one batch and sort the answers; gives the seconds to pause."""
        places = self._endpoints()
        if not places:
            self._put_back(batch)
            return PAUSE_S
        now = time.time()
        body = orjson.dumps([event | {"event_time": now} for event in batch])
        try:
            answer = http.post(
                f"http://{places[turn % len(places)]}/v1/events",
                content=body,
                headers={"content-type": "application/json"},
            )
        except httpx.HTTPError:
            self.counts.unanswered += 1
            self._put_back(batch)
            return PAUSE_S
        if answer.status_code in {429, 503}:
            self.counts.refused += 1
            self._put_back(batch)
            return float(answer.headers.get("retry-after", PAUSE_S))
        answer.raise_for_status()
        return self._sort(batch, orjson.loads(answer.content)["results"])

    def _sort(self, batch: list[dict[str, Any]], results: list[dict[str, Any]]) -> float:
        deferred = []
        with self._lock:
            for event, result in zip(batch, results, strict=True):
                match result["status"]:
                    case "accepted":
                        self.counts.acknowledged.add(event["id"])
                    case "deferred":
                        deferred.append(event)
                    case _:
                        self.counts.invalid[event["id"]] = str(result.get("error"))
            self.counts.deferred += len(deferred)
            self._again.extend(deferred)
            self._in_flight -= len(batch)
        return DEFERRED_PAUSE_S if deferred else 0.0

    def _put_back(self, batch: list[dict[str, Any]]) -> None:
        with self._lock:
            self._again.extendleft(reversed(batch))
            self._in_flight -= len(batch)
