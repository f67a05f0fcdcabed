"""A node's TCP face in a process of its own: `python -m benchmarks.dataplane_parts.front_process TLS_DIR SOCKET`; prints its port."""

import signal
import sys
from pathlib import Path

from dataplane.agent.node_state import NodeState
from dataplane.agent.transform_front import TransformFront


def main() -> None:
    """Serves until it is terminated."""
    front = TransformFront("127.0.0.1:0", NodeState(Path(sys.argv[1])), Path(sys.argv[2]))
    front.start()
    print(front.port, flush=True)
    signal.sigwait({signal.SIGTERM})
    front.stop()


if __name__ == "__main__":
    main()
