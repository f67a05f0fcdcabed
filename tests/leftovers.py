"""Servers of a test run that was killed: the next run ends them and removes their files.

Each run notes itself and the servers that it starts, by process id and start time, which together name a process for
good; so nothing else is ever ended.
"""

import json
import os
import shutil
from pathlib import Path

import psutil

from localcloud.process import kill_session
from localcloud.status import is_same_process

PREFIX = "headrace-tests-"
NOTE = "processes.json"


def note(directory: Path, pid: int) -> None:
    """Add a process to the run's note; the first one is the run itself."""
    known = _read(directory)
    (directory / NOTE).write_text(json.dumps([*known, [pid, psutil.Process(pid).create_time()]]))


def end_leftovers(place: Path) -> list[str]:
    """End what runs that are over have left under `place`; returns the names of their folders."""
    ended = []
    for directory in place.glob(f"{PREFIX}*"):
        known = _read(directory)
        if not known or directory.stat().st_uid != os.geteuid() or is_same_process(*known[0]):
            continue
        for pid, created in known[1:]:
            if is_same_process(pid, created):
                kill_session(pid)
        shutil.rmtree(directory, ignore_errors=True)
        ended.append(directory.name)
    return ended


def _read(directory: Path) -> list[tuple[int, float]]:
    try:
        return [(int(pid), float(created)) for pid, created in json.loads((directory / NOTE).read_text())]
    except (OSError, ValueError):
        return []
