"""Send departures through the example, look at what comes out, and ask the feature server: every number it prints was counted.

python -m examples.alerts.traffic.drive --count 2000

It is the receiver of the pages itself. It refuses one in 50 until they have been away for `REFUSED_S`: those come back from
the global retrier. One in 500 has a delay that users' code refuses for good: `headrace dead-letters list alerts score`.
"""

import argparse
import json
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from headrace.client import AdminClient
from headrace.errors import HeadraceCommandError
from headrace.profile import find_profile

BATCH = 200
LATE, IMPOSSIBLE, REFUSED = 3, 500, 50  # one event in so many
REFUSED_S, PATIENCE_S, CALL_S = 4.0, 120.0, 20.0
CARRIERS = ("UA", "B6", "XX")  # the table has no XX


class Receiver(ThreadingHTTPServer):
    """Takes pages; `events` by id."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        """Serves from a thread."""
        self.events: dict[str, dict[str, Any]] = {}
        self.first_seen: dict[str, float] = {}
        self.refused = self.duplicates = 0
        super().__init__(("127.0.0.1", port), _Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def take(self, batch: list[dict[str, Any]]) -> int:
        """The status to answer."""
        now = time.monotonic()
        for event in batch:
            since = self.first_seen.setdefault(event["id"], now)
            if event["n"] % REFUSED == 0 and now - since < REFUSED_S:
                self.refused += 1
                return 503
        for event in batch:
            self.duplicates += event["id"] in self.events
            self.events[event["id"]] = event
        return 204


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(self.server.take(body) if isinstance(self.server, Receiver) else 500)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing of each request."""


def departure(n: int) -> dict[str, Any]:
    """The n-th: one in three is late."""
    delay = 20 + n % 100 if n % LATE == 0 else n % 15
    if n % IMPOSSIBLE == 1:
        delay = 2000
    made = {"id": f"{RUN}-{n}", "n": n, "event_time": time.time(), "tail": f"N{n % 40}", "delay": delay}
    return made | {"carrier": CARRIERS[n % len(CARRIERS)]}


RUN = f"{int(time.time()):x}"


class Nodes:
    """Where groups answer."""

    def __init__(self, client: AdminClient) -> None:
        """Asks the admin API each time."""
        self._client = client

    def post(self, group: str, path: str, body: object) -> dict[str, Any]:
        """To the first node in service that takes it; patient while none does."""
        give_up = time.monotonic() + PATIENCE_S
        while True:
            routes = {r["group"]: r for r in self._client.get("/v1/routes")["items"]}
            for address in (e for f in routes.get(group, {}).get("fleets", ()) for e in f["endpoints"]):
                request = urllib.request.Request(
                    f"http://{address}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
                )
                try:
                    with urllib.request.urlopen(request, timeout=CALL_S) as answer:  # noqa: S310  http is spelled out
                        found: dict[str, Any] = json.load(answer)
                        return found
                except OSError as e:
                    why: object = e
                    break
            else:
                why = "no node is in service"
            if time.monotonic() > give_up:
                sys.exit(f"{group}{path}: {why}")
            time.sleep(1.0)


def send(nodes: Nodes, group: str, events: list[dict[str, Any]]) -> int:
    """Until each was accepted; how many were sent again."""
    again, waiting = 0, events
    while waiting:
        results = nodes.post(group, "/v1/events", waiting[:BATCH])["results"]
        accepted = {r["id"] for r in results if r["status"] == "accepted"}
        again += len(waiting[:BATCH]) - len(accepted)
        waiting = [e for e in waiting if e["id"] not in accepted]
        if not accepted:
            time.sleep(0.5)
    return again


def main() -> None:
    """Exit code 0 when everything came out that must."""
    parser = argparse.ArgumentParser(description="Drive the example.")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--port", type=int, default=19401)
    options = parser.parse_args()
    try:
        profile = find_profile()
    except HeadraceCommandError as e:
        sys.exit(f"drive: {e}; {e.remedy}")
    receiver = Receiver(options.port)
    events = [departure(n) for n in range(options.count)]
    late = {str(e["id"]) for e in events if 15 < int(e["delay"]) < 1440}  # noqa: PLR2004  the route's and the code's
    with AdminClient(profile.url, profile.token) as client:
        nodes = Nodes(client)
        again = send(nodes, "alerts-ingest", events)
        print(f"{len(events)} departures acknowledged, {again} sent again; {len(late)} are late", flush=True)
        give_up = time.monotonic() + PATIENCE_S
        while len(late & set(receiver.events)) < len(late) and time.monotonic() < give_up:
            time.sleep(0.2)
        got = [receiver.events[i] for i in late & set(receiver.events)]
        named = sum("airline" in e for e in got)
        print(f"{len(got)} paged, {named} with their airline, {sum('risk' in e for e in got)} with a risk; ", end="")
        print(
            f"{receiver.refused} refusals, {receiver.duplicates} came twice, {len(receiver.events) - len(got)} should not have come"
        )
        pushed = nodes.post("planes-push", "/v1/events", [departure(n) for n in range(1, 41) if n % IMPOSSIBLE != 1])
        print(f"pushed: {count_of(pushed)}")
        asked = nodes.post("planes", "/v1/features", {"entities": ["N3", {"id": "N2", "with": {"delay": 60}}, "N999"]})
        for result in asked["results"]:
            print(f"  {json.dumps(result)}")
    sys.exit(0 if len(got) == len(late) == len(receiver.events) and named else 1)


def count_of(answer: dict[str, Any]) -> dict[str, int]:
    """Results by status."""
    statuses = [r["status"] for r in answer["results"]]
    return {s: statuses.count(s) for s in sorted(set(statuses))}


if __name__ == "__main__":
    main()
