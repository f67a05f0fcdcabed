"""Processes of this host, told apart by number and start time, so that a number used again is never mistaken."""

import asyncio
import os
import signal
import socket
from pathlib import Path

from services.provisioner.domain.runs import ProcessMark

POLITE_S = 10.0
POLL_S = 0.1
_START_FIELD = 19  # of /proc/PID/stat after the command's closing bracket: start time in clock ticks since boot
_STATE_FIELD = 0


def start_of(pid: int) -> int | None:
    """Start time of a live process in clock ticks; None when there is none (or only its zombie)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[_STATE_FIELD] == "Z" else int(fields[_START_FIELD])


def mark_of(pid: int) -> ProcessMark:
    """The mark of a process of this host that was started just now."""
    return ProcessMark(socket.gethostname(), pid, start_of(pid) or 0)


class HostProcesses:
    """`Processes`, by /proc."""

    def alive(self, process: ProcessMark) -> bool:
        """A process of another host may be alive: only its own host can tell."""
        return process.host != socket.gethostname() or start_of(process.pid) == process.started

    async def end(self, process: ProcessMark) -> None:
        """SIGINT, then SIGKILL."""
        for sig in (signal.SIGINT, signal.SIGKILL):
            if process.host != socket.gethostname() or not self.alive(process):
                return
            try:
                os.kill(process.pid, sig)
            except ProcessLookupError:
                return
            waited = 0.0
            while self.alive(process) and waited < POLITE_S:
                await asyncio.sleep(POLL_S)
                waited += POLL_S
