"""`python -m dataplane.agent`: one machine's node."""

import ctypes
import os
import signal
import sys

from dataplane.agent.machine import settings
from dataplane.agent.node import Node
from shared.domain.errors import HeadraceError
from shared.telemetry.logs import configure_logs

ARENA_MAX, ARENAS = -8, 2  # mallopt's number for it: a dozen threads would keep as many heaps


def main() -> int:
    """Returns the exit code: 0 after draining, 2 when the machine is not configured."""
    ctypes.CDLL(None).mallopt(ARENA_MAX, ARENAS)
    configure_logs("node")
    try:
        node = Node(settings())
    except HeadraceError as e:
        print(f"node: {e}", file=sys.stderr)  # noqa: T201  before there is anything to log for
        return 2
    for sig in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sig, lambda *_: node.stop())
    return node.run()


if __name__ == "__main__":
    CODE = main()
    sys.stderr.flush()
    os._exit(CODE)  # everything is drained; libraries with threads of their own are noisy when they are taken apart
