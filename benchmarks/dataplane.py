"""The data plane's numbers, each beside its baseline in the same run: stages, users' code, calls, the edge.

`make bench-dataplane`; about five minutes. `BENCH_ONLY=loops,calls,payloads,neighbour,edge,chain` runs some of it, and keeps nothing.
"""

import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.dataplane_parts import calls, neighbour, streams
from benchmarks.dataplane_parts.results import Row, write
from localcloud import ports
from localcloud.servers.kafka import KafkaServer
from shared.contracts.node import KafkaAccess

Part = Callable[[], tuple[list[Row], dict[str, object]]]


@contextmanager
def broker(folder: Path) -> Iterator[KafkaAccess]:
    """A broker of its own."""
    port = ports.choose()
    server = KafkaServer(folder / "kafka", port, ports.choose({port}), secrets.token_urlsafe(24), folder / "kafka.log")
    server.start()
    try:
        yield KafkaAccess(bootstrap=server.bootstrap, username=server.username, password=server.password)
    finally:
        server.stop()


def main() -> None:
    """Run the parts, and write what was found."""
    only = {name for name in os.environ.get("BENCH_ONLY", "").split(",") if name}
    rows: list[Row] = []
    notes: dict[str, object] = {}
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as place:
        folder = Path(place)
        with broker(folder) as access:
            parts: dict[str, Part] = {
                "loops": lambda: (streams.loops(access, folder / "loops"), {}),
                "calls": lambda: (calls.tcp_beside_unix(folder / "calls"), {}),
                "payloads": lambda: calls.payloads(folder / "payloads"),
                "neighbour": lambda: neighbour.noisy_neighbour(folder / "neighbour"),
                "edge": lambda: (streams.ingest_batches(access), {}),
                "chain": lambda: streams.six_stages(access),
            }
            for name, part in parts.items():
                if not only or name in only:
                    print(f"{name} ...", flush=True)
                    found, more = part()
                    rows += found
                    notes |= more
    write("dataplane", rows, notes, keep=not only)
    for name, note in notes.items() if only else ():
        print(f"{name}: {note}")


if __name__ == "__main__":
    main()
