"""CPU and memory of a node: of the agent and of users' processes together, so that a counter never falls."""

import os
from pathlib import Path

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
PROCESSES_MAX = 600


class ProcessMetrics:
    """Adds up what each process has used since it was last seen; a restarted process starts from nothing."""

    def __init__(self) -> None:
        """Nothing seen."""
        self._seen: dict[int, float] = {}
        self._total_s = 0.0

    def lines(self, labels: str) -> list[str]:
        """In Prometheus' text format."""
        used: dict[int, float] = {}
        resident = 0
        for pid in family(os.getpid()):
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has ended
            used[pid] = (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND
            resident += int(fields[21]) * PAGE_BYTES
        self._total_s += sum(max(0.0, seconds - self._seen.get(pid, 0.0)) for pid, seconds in used.items())
        self._seen = used
        return [
            "# TYPE process_cpu_seconds_total counter",
            f"process_cpu_seconds_total{{{labels}}} {self._total_s:.2f}",
            "# TYPE process_resident_memory_bytes gauge",
            f"process_resident_memory_bytes{{{labels}}} {resident}",
        ]


def family(pid: int) -> list[int]:
    """A process and all below it."""
    found, at = [pid], 0
    while at < len(found) and len(found) < PROCESSES_MAX:
        for task in Path(f"/proc/{found[at]}/task").glob("*/children"):
            try:
                found += [int(child) for child in task.read_text().split()]
            except OSError:
                continue  # the thread has ended
        at += 1
    return found
