"""The neighbour's load in a process of its own: `python -m benchmarks.dataplane_parts.neighbour_process SOCKET`."""

import sys
from pathlib import Path

from benchmarks.dataplane_parts.neighbour import drive

if __name__ == "__main__":
    drive(Path(sys.argv[1]), sys.stdin)
