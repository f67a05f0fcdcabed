"""A machine's program for tests: says again and again what its clock shows, and how long its disk took."""

import json
import os
import signal
import threading
import time
from pathlib import Path

ASKED = threading.Event()
EVERY_S = 0.05


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: ASKED.set())
    folder = Path(os.environ["HEADRACE_NODE_STATE_DIR"])
    while not ASKED.wait(EVERY_S):
        began = time.monotonic()
        with (folder / "fresh.json").open("w") as fresh:
            os.fsync(fresh.fileno())
            took_s = time.monotonic() - began
            fresh.write(json.dumps({"wall": time.time(), "disk_s": took_s, "pid": os.getpid()}))
        (folder / "fresh.json").replace(folder / "said.json")


if __name__ == "__main__":
    main()
