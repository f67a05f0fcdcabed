"""A process with busy threads ends at the first SIGTERM, however the signal meets its main thread."""

import signal
import subprocess
import sys

TIMES = 20
PROGRAM = """
import threading
from localcloud.stop_signal import StopSignal
asked = StopSignal()
def busy():
    while True:
        sum(range(1000))
for _ in range(3):
    threading.Thread(target=busy, daemon=True).start()
print("on", flush=True)
asked.wait()
"""


def test_one_signal_ends_it_every_time() -> None:
    for _ in range(TIMES):
        process = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"on\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        process.stdout.close()
