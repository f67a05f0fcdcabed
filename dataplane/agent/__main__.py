"""`python -m dataplane.agent`: one machine's node."""

import os
import signal
import sys

from dataplane.agent import lean  # first: it takes effect while the others are loaded
from dataplane.agent.machine import settings
from dataplane.agent.node import Node
from shared.domain.errors import HeadraceError
from shared.telemetry.logs import configure_logs


def main() -> int:
    """Returns the exit code: 0 after draining, 2 when the machine is not configured."""
    configure_logs("node")
    try:
        node = Node(settings(), lean.give_back)
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
