"""The transmit stage: events go to HTTP sinks in parallel batches of JSON arrays; a 2xx acknowledges the batch.

Topic sinks need no work here: the stage produces to them as to any next link. A 5xx, 408, 425, 429 or a lost connection
is recoverable; another 4xx is the event's fault: a batch that gets one is halved until the event at fault stands alone.
"""

import http.client
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import orjson

from dataplane.stages.events import Event, Failed, Outcome, same
from shared.contracts.objects import HttpSink, TopicSink, Transmit

CONNECTIONS = 4  # a sink
BATCHES_AT_ONCE = 4
ANSWER_BYTES_MAX = 64 * 1024
TRY_AGAIN = frozenset({408, 425, 429})
NOBODYS_FAULT = frozenset({401, 403, 404, 405, 410, 501})  # the sink's address or rights: halving finds no culprit


class Transmitting:
    """`Work` of a transmit stage."""

    def __init__(self, spec: Transmit) -> None:
        """Connections are made when first used."""
        self._sinks = [HttpSender(sink) for sink in spec.sinks if isinstance(sink, HttpSink)]
        sizes = [sink.batch_max for sink in spec.sinks if isinstance(sink, HttpSink)]
        self.batch_max = min(sizes, default=1000) * (BATCHES_AT_ONCE if sizes else 1)

    def run(self, events: list[Event]) -> list[Outcome]:
        """An event is done when every sink has acknowledged it; one failure of a sink is the event's."""
        failures: dict[int, Failed] = {}
        if self._sinks:
            for i, event in enumerate(events):
                undecodable = _undecodable(event)
                if undecodable:
                    failures[i] = undecodable
        good = [i for i in range(len(events)) if i not in failures]
        for sink in self._sinks:
            found = sink.send([events[i] for i in good])
            failures |= {good[place]: failure for place, failure in found.items()}
        return [failures.get(i) or same(event, event.value) for i, event in enumerate(events)]

    def close(self) -> None:
        """Close connections."""
        for sink in self._sinks:
            sink.close()


def _undecodable(event: Event) -> Failed | None:
    """A value that is no JSON would spoil the array that it is sent in, or pass for several events."""
    try:
        orjson.loads(event.value)
    except orjson.JSONDecodeError as e:
        return Failed(False, "Undecodable", f"not JSON: {e}")
    return None


def topics_of(spec: Transmit) -> tuple[str, ...]:
    """The topics that its events go to."""
    return tuple(sink.topic for sink in spec.sinks if isinstance(sink, TopicSink))


class HttpSender:
    """One HTTP sink."""

    def __init__(self, spec: HttpSink) -> None:
        """`spec.url` is http or https."""
        parts = urlsplit(spec.url)
        self._host, self._secure = parts.netloc, parts.scheme == "https"
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._spec = spec
        self._pool = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="http-sink")
        self._local = threading.local()
        self._open: list[http.client.HTTPConnection] = []

    def send(self, events: list[Event]) -> dict[int, Failed]:
        """Failures by place; the rest was acknowledged."""
        size = self._spec.batch_max
        places = [list(range(start, min(start + size, len(events)))) for start in range(0, len(events), size)]
        failures: dict[int, Failed] = {}
        for found in self._pool.map(lambda part: self._send_part(events, part), places):
            failures |= found
        return failures

    def close(self) -> None:
        """End threads and connections."""
        self._pool.shutdown(wait=True)
        for connection in self._open:
            connection.close()

    def _send_part(self, events: list[Event], places: list[int]) -> dict[int, Failed]:
        body = b"[" + b",".join(events[i].value for i in places) + b"]"
        status, text = self._post(body)
        if 200 <= status < 300:  # noqa: PLR2004  HTTP's success
            return {}
        if status == 0 or status >= 500 or status in TRY_AGAIN:  # noqa: PLR2004  HTTP's server errors
            failure = Failed(True, f"Http{status}" if status else "HttpUnreachable", text)
        elif len(places) > 1 and status not in NOBODYS_FAULT:
            half = len(places) // 2
            return self._send_part(events, places[:half]) | self._send_part(events, places[half:])
        else:
            failure = Failed(False, f"Http{status}", text)
        return dict.fromkeys(places, failure)

    def _post(self, body: bytes) -> tuple[int, str]:
        """Status and the answer's beginning; 0 when there was no answer."""
        fresh = getattr(self._local, "connection", None) is None
        for last in (True,) if fresh else (False, True):  # a kept connection may have been closed meanwhile
            connection = self._connection()
            try:
                connection.request("POST", self._path, body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                text = answer.read(ANSWER_BYTES_MAX).decode(errors="replace")[:300]
                if not answer.isclosed():
                    self._drop()
            except (OSError, http.client.HTTPException) as e:
                self._drop()
                if last:
                    return 0, f"{self._spec.url}: {type(e).__name__}: {e}"
            else:
                return answer.status, f"{self._spec.url}: {answer.status} {answer.reason}: {text}"
        return 0, f"{self._spec.url}: no answer"

    def _connection(self) -> http.client.HTTPConnection:
        connection: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = (
                http.client.HTTPSConnection(
                    self._host, timeout=self._spec.timeout_s, context=ssl.create_default_context()
                )
                if self._secure
                else http.client.HTTPConnection(self._host, timeout=self._spec.timeout_s)
            )
            self._local.connection = connection
            self._open.append(connection)
        return connection

    def _drop(self) -> None:
        connection = self._local.connection
        self._local.connection = None
        if connection is not None:
            connection.close()
            self._open.remove(connection)
