"""What users' processes may take of the machine, all of them together: memory, and room in the scratch folder.

Each process has the kernel's limits too; these are for the sum, which the kernel does not know. Looked at every second.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dataplane.agent.process_metrics import PAGE_BYTES

MEMORY_SHARE = 0.7  # of the machine's
SCRATCH_BYTES = 2 * 1024**3
SCRATCH_FILES = 50_000
PROCESSES = 256
FREE_BYTES_MIN = 256 * 1024**2  # of the disk, for everybody else
SCRATCH_EVERY_S = 3.0
MIB = 1024**2


def memory_of_machine() -> int:
    """In bytes."""
    return os.sysconf("SC_PHYS_PAGES") * PAGE_BYTES


@dataclass(frozen=True, slots=True)
class Allowed:
    """Of one node."""

    memory_bytes: int = field(default_factory=lambda: int(memory_of_machine() * MEMORY_SHARE))
    scratch_bytes: int = SCRATCH_BYTES
    scratch_files: int = SCRATCH_FILES
    processes: int = PROCESSES


class Guard:
    """Used by one thread."""

    def __init__(self, allowed: Allowed, scratch: Path) -> None:
        """Looks at nothing yet."""
        self._allowed = allowed
        self._scratch = scratch
        self._scratch_at = 0.0

    def look(self, pids: Sequence[int]) -> str:
        """Why these processes must end; empty when they need not."""
        if len(pids) > self._allowed.processes:
            return f"users' code runs {len(pids)} processes, it may have {self._allowed.processes}"
        used = memory_of(pids)
        if used > self._allowed.memory_bytes:
            return f"users' code took {used // MIB} MiB of memory, it may have {self._allowed.memory_bytes // MIB}"
        now = time.monotonic()
        if now - self._scratch_at < SCRATCH_EVERY_S:
            return ""
        self._scratch_at = now
        size, files = size_of(self._scratch, self._allowed.scratch_files)
        if size > self._allowed.scratch_bytes or files > self._allowed.scratch_files:
            return (
                f"users' code keeps {size // MIB} MiB in {files} files in its scratch folder, "
                f"it may have {self._allowed.scratch_bytes // MIB} MiB in {self._allowed.scratch_files}"
            )
        free = os.statvfs(self._scratch)
        if size > MIB and free.f_bavail * free.f_frsize < FREE_BYTES_MIN:
            return f"the disk has less than {FREE_BYTES_MIN // MIB} MiB free, and users' code keeps {size // MIB} MiB"
        return ""


def memory_of(pids: Sequence[int]) -> int:
    """What they keep to themselves, and the largest of what they may share, in bytes."""
    own, shared = 0, [0]
    for pid in pids:
        try:
            _, resident, mapped, *_ = Path(f"/proc/{pid}/statm").read_text().split()
        except OSError:
            continue  # it has ended
        own += int(resident) - int(mapped)
        shared.append(int(mapped))
    return (own + max(shared)) * PAGE_BYTES


def size_of(folder: Path, files_max: int) -> tuple[int, int]:
    """Bytes on disk and files below a folder; it stops counting above `files_max`. Links are not followed."""
    size = files = 0
    waiting = [str(folder)]
    while waiting and files <= files_max:
        try:
            with os.scandir(waiting.pop()) as found:
                for entry in found:
                    files += 1
                    size += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    if files > files_max:
                        break
        except OSError:
            continue  # it has gone meanwhile
    return size, files
