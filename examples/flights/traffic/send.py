"""Send departures to the pipeline: `python -m examples.flights.traffic.send --rate 400`; Ctrl-C ends it.

Each is sent until the ingest edge has acknowledged it; once a second it says how many were.
"""

import argparse
import itertools
import sys
from pathlib import Path

from examples.flights.traffic.departures import TOTAL, departures
from examples.flights.traffic.replay import IngestNodes, Replay
from headrace.client import AdminClient
from headrace.errors import HeadraceCommandError
from headrace.profile import find_profile

TABLE = Path(__file__).resolve().parents[3] / ".tools" / "flights" / "flights.csv.zip"  # put there by `make setup`
SAY_EVERY_S = 1.0


def main() -> None:
    """Until all are acknowledged or somebody stops it."""
    parser = argparse.ArgumentParser(description="Send departures to the pipeline of this example.")
    parser.add_argument("--rate", type=float, default=400.0, help="events a second (400)")
    parser.add_argument("--count", type=int, default=TOTAL, help=f"how many, from the first of the year ({TOTAL:,})")
    parser.add_argument("--group", default="departures-ingest", help="the ingest stage's server group")
    options = parser.parse_args()
    try:
        profile = find_profile()
    except HeadraceCommandError as e:
        sys.exit(f"send: {e}; {e.remedy}")
    with AdminClient(profile.url, profile.token) as client:
        nodes = IngestNodes(lambda: client.get("/v1/routes")["items"], options.group)
        replay = Replay(itertools.islice(departures(TABLE), options.count), nodes, options.rate)
        replay.start()
        try:
            while not replay.exhausted.wait(SAY_EVERY_S):
                _say(replay, nodes)
        except KeyboardInterrupt:
            print("stopping: what is in flight is answered first")
        replay.stop()
        _say(replay, nodes)


def _say(replay: Replay, nodes: IngestNodes) -> None:
    counts = replay.counts
    more = "" if nodes() else "; no node takes events yet: `headrace get routes`"
    print(f"{len(counts.acknowledged):,} acknowledged, {counts.deferred:,} deferred by the ramp{more}", flush=True)


if __name__ == "__main__":
    main()
