"""Sends events to the ingest edges until each was acknowledged; what was not is sent again under the same id."""

import http.client
import itertools
import json
import threading
import time
from collections.abc import Callable
from typing import Any

BATCH = 500
THREADS = 3
ANSWER_S_MAX = 60.0
AGAIN_S = 0.2
NEVER, EARLY = (9974, 1234), (5004, 78)  # one event in so many, at this place: users' verdict; comes right later
EARLY_S = 6.0


def is_never(n: int) -> bool:
    """Whether users' code refuses it for good."""
    return n % NEVER[0] == NEVER[1]


def event(n: int) -> dict[str, Any]:
    """Even ones go through users' code."""
    now = time.time()
    made: dict[str, Any] = {"id": str(n), "event_time": now, "key": f"k{n % 997}", "n": n, "pad": "x" * 64}
    if is_never(n):
        made["never"] = True
    if n % EARLY[0] == EARLY[1]:
        made["not_before"] = now + EARLY_S
    return made


class Feed:
    """Threads that share the work; `count` events in all."""

    def __init__(self, edges: list[str], count: int) -> None:
        self._edges, self._count = edges, count
        self._next = itertools.count(0, BATCH)
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self.acknowledged = bytearray(count)
        self.sent_again = 0
        self._threads = [threading.Thread(target=self._send, args=(i,)) for i in range(THREADS)]
        for thread in self._threads:
            thread.start()

    @property
    def is_done(self) -> bool:
        return not any(t.is_alive() for t in self._threads)

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _send(self, which: int) -> None:
        post = _Connection(self._edges, which)
        start = 0
        while not self._stopping.is_set() and start < self._count:
            with self._lock:
                start = next(self._next)
            self._send_batch(post, range(start, min(start + BATCH, self._count)))
        post.close()

    def _send_batch(self, post: Callable[[bytes], list[dict[str, str]]], numbers: range) -> None:
        waiting = [event(n) for n in numbers]
        while waiting and not self._stopping.is_set():
            results = post(json.dumps(waiting).encode())
            accepted = {r["id"] for r in results if r["status"] == "accepted"}
            invalid = [r for r in results if r["status"] == "invalid"]
            assert not invalid, invalid[:3]
            for event_id in accepted:
                self.acknowledged[int(event_id)] = 1
            waiting = [e for e in waiting if e["id"] not in accepted]
            if waiting:
                with self._lock:
                    self.sent_again += len(waiting)
                self._stopping.wait(AGAIN_S)


class _Connection:
    """To one edge until it fails, then to the next."""

    def __init__(self, edges: list[str], which: int) -> None:
        self._edges, self._which = edges, which
        self._open: http.client.HTTPConnection | None = None

    def __call__(self, body: bytes) -> list[dict[str, str]]:
        """Results by event; none when the edge did not answer 200."""
        if self._open is None:
            edge = self._edges[self._which % len(self._edges)]
            self._open = http.client.HTTPConnection(edge, timeout=ANSWER_S_MAX)
        try:
            self._open.request("POST", "/v1/events", body, {"Content-Type": "application/json"})
            answer = self._open.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException):
            self.close()
            self._which += 1
            return []
        if answer.status != 200:
            return []
        results: list[dict[str, str]] = json.loads(text)["results"]
        return results

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None
