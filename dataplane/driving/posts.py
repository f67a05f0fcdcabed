"""HTTP requests to the edge of an ingest or feature group's node: each message of an answer is judged by its own status."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from itertools import cycle, islice
from types import TracebackType
from typing import Any, Literal, Self

from headrace_runtime.rating import Counts, Step, step_of

from dataplane.driving.driver import FIRST_S_MAX, WARM_SHARE, Sample, brief
from shared.domain.errors import Unavailable

CONNECTIONS_MAX = 48  # below what a node takes in hand at once: what it cannot do waits here, and is late
BODIES_MAX = 64  # made beforehand, used in turn
ANSWER_BYTES_MAX = 64 * 1024 * 1024
OK = 200
Body = Literal["events", "entities"]
PATHS: dict[Body, str] = {"events": "/v1/events", "entities": "/v1/features"}
GOOD: dict[Body, frozenset[str]] = {
    "events": frozenset({"accepted", "dropped"}),
    "entities": frozenset({"ok", "missing", "dropped"}),
}


@dataclass(slots=True)
class _Seen:
    """What came back of the counted part of a step."""

    latencies: list[float] = field(default_factory=list)
    answered: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class _Due:
    """A request, and when it should have been sent."""

    at: float
    body: bytes
    seen: _Seen


class Posts:
    """`Driver`."""

    def __init__(self, sample: Sample, address: str, body: Body, batch: int) -> None:
        """`address` is `host:port`; `body` says what a request holds."""
        self._sample, self._address, self._kind, self._batch = sample, address, body, batch
        host, _, port = address.rpartition(":")
        self._host, self._port = host, int(port)
        self._bodies = [_packed(body, events) for events in _cut(sample.events, batch)]

    def __enter__(self) -> Self:
        """Connects when first used."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        """Nothing is open between steps."""

    def refusal(self) -> str:
        """What the node says when it takes nothing of the first request, or the store knows none of its entities."""
        connection = HTTPConnection(self._host, self._port, timeout=FIRST_S_MAX)
        try:
            connection.request("POST", PATHS[self._kind], self._bodies[0], {"Content-Type": "application/json"})
            answer = connection.getresponse()
            status, text = answer.status, answer.read(ANSWER_BYTES_MAX)
        except (OSError, HTTPException) as e:
            raise Unavailable(f"node {self._address}: {type(e).__name__}: {e}") from e
        finally:
            connection.close()
        if status in {400, 413}:
            return f"the node takes no request like it: {status}: {brief(text.decode(errors='replace'))}"
        if status != OK:
            raise Unavailable(f"node {self._address}: {status}: {brief(text.decode(errors='replace'))}")
        results = json.loads(text)["results"]
        statuses = Counter(str(r["status"]) for r in results)
        if set(statuses) == {"missing"}:
            return f"the store has nothing of any of {len(results)} entities: the first is {results[0]['id']!r}"
        if not statuses.keys() & GOOD[self._kind]:
            return f"the node takes none of {len(results)}: the first is {brief(json.dumps(results[0]))}"
        return ""

    def step(self, rate: float) -> Step:
        """One rate for a while; the first part warms up."""
        return asyncio.run(self._drive(rate))

    async def _drive(self, rate: float) -> Step:
        requests_a_second = rate / self._batch
        requests = max(2, int(self._sample.step_s * requests_a_second))
        counted_from = int(requests * WARM_SHARE)
        queue: asyncio.Queue[_Due] = asyncio.Queue()
        senders = [asyncio.create_task(self._send_all(queue)) for _ in range(min(CONNECTIONS_MAX, requests))]
        seen, warming = _Seen(), _Seen()
        began = counted_at = time.perf_counter()
        for n in range(requests):
            due = began + n / requests_a_second
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            if n == counted_from:
                counted_at = due
            queue.put_nowait(_Due(due, self._bodies[n % len(self._bodies)], seen if n >= counted_from else warming))
        sent_s = time.perf_counter() - counted_at
        await queue.join()  # each is answered, or given up in its time
        took_s = time.perf_counter() - counted_at
        for sender in senders:
            sender.cancel()
        await asyncio.gather(*senders, return_exceptions=True)
        messages = (requests - counted_from) * self._batch
        counts = Counts(messages, seen.answered, seen.failed, seen.latencies, sent_s, max(sent_s, took_s))
        return step_of(rate, counts, self._sample.promise, self._sample.give_up_s)

    async def _send_all(self, queue: "asyncio.Queue[_Due]") -> None:
        connection = _Connection(self._host, self._port, PATHS[self._kind])
        try:
            while True:
                due = await queue.get()
                try:
                    await self._send(connection, due)
                finally:
                    queue.task_done()
        finally:
            connection.close()

    async def _send(self, connection: "_Connection", due: _Due) -> None:
        left_s = due.at + self._sample.give_up_s - time.perf_counter()
        answer: dict[str, Any] | None = None
        if left_s > 0:
            try:
                async with asyncio.timeout(left_s):
                    answer = await connection.post(due.body)
            except (OSError, EOFError, ValueError, TimeoutError):  # no answer; a connection in between is of no use
                connection.close()
        if answer is None:
            due.seen.latencies.append(self._sample.give_up_s)
            return
        due.seen.latencies.append(time.perf_counter() - due.at)
        due.seen.answered += self._batch
        due.seen.failed += self._batch - sum(int(answer.get(s, 0)) for s in GOOD[self._kind])


class _Connection:
    """One kept-alive connection, opened when it is needed."""

    def __init__(self, host: str, port: int, path: str) -> None:
        self._host, self._port = host, port
        self._head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: "
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, body: bytes) -> dict[str, Any] | None:
        """The answer's JSON; None when the request was turned away. OSError, EOFError, ValueError when there is none."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        writer.write(f"{self._head}{len(body)}\r\n\r\n".encode() + body)
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
        text = await reader.readexactly(int(fields["content-length"]))
        if fields.get("connection") == "close":
            self.close()
        if int(head[0].split()[1]) != OK:
            return None
        found: dict[str, Any] = json.loads(text)
        return found

    def close(self) -> None:
        """Away with it; the next request opens another."""
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None


def _cut(events: Sequence[bytes], batch: int) -> list[list[bytes]]:
    """Batches in turn; a sample that is shorter than a request is used again."""
    taken = cycle(events)
    return [list(islice(taken, batch)) for _ in range(min(BODIES_MAX, max(1, len(events) // batch + 1)))]


def _packed(kind: Body, events: Sequence[bytes]) -> bytes:
    """JSON lines as the body of one request.

    >>> _packed("events", [b'{"id": 1}', b'{"id": 2}']), _packed("entities", [b'"N1"'])
    (b'[{"id": 1},{"id": 2}]', b'{"entities":["N1"]}')
    """
    joined = b",".join(events)
    return b"[" + joined + b"]" if kind == "events" else b'{"entities":[' + joined + b"]}"
