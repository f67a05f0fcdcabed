"""One node of a transform group as a process: users' server behind the TCP front. Prints its port and socket; ends with its input.

Arguments: a folder with the code, a folder with the identity, workers, where to listen. SIGTERM drains it.
"""

import signal
import sys
import tempfile
import threading
from pathlib import Path

from headrace_runtime.server import Listen, TransformServer

from dataplane.agent.node_state import NodeState
from dataplane.agent.transform_front import TransformFront

GRACE_S = 5.0


def main() -> None:
    code, identity = Path(sys.argv[1]), Path(sys.argv[2])
    workers, listen = int(sys.argv[3]), sys.argv[4]
    with tempfile.TemporaryDirectory(prefix="hr") as folder:
        socket = Path(folder) / "t.sock"
        users = TransformServer(code, Listen(socket=socket), workers)
        users.start()
        front = TransformFront(listen, NodeState(identity), socket)
        front.start()
        print(front.port, socket, flush=True)  # noqa: T201  the test reads it
        ended = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: ended.set())
        threading.Thread(target=await_end_of_input, args=(ended,), daemon=True).start()
        ended.wait()
        front.stop()
        users.stop(GRACE_S)


def await_end_of_input(ended: threading.Event) -> None:
    sys.stdin.read()
    ended.set()


if __name__ == "__main__":
    main()
