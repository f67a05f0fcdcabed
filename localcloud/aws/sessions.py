"""The system's processes that lead a session, as machines do: found again and signalled."""

import os
import signal
from collections.abc import Iterable
from pathlib import Path

import psutil

from localcloud.aws.state_file import MachineRecord

FOLDER_VARIABLE = "HEADRACE_NODE_STATE_DIR"
START_TOLERANCE_S = 0.05


def send(process: psutil.Process | None, what: signal.Signals) -> None:
    """Signal a machine's first process, unless it has ended."""
    if process is None:
        return
    try:
        process.send_signal(what)
    except psutil.NoSuchProcess:
        return


def recorded(record: MachineRecord | None) -> psutil.Process | None:
    """The recorded process, if it still runs and is the same one."""
    if record is None:
        return None
    try:
        process = psutil.Process(record.pid)
        same = abs(process.create_time() - record.started) < START_TOLERANCE_S
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None


def running_by_folder(directory: Path) -> dict[str, psutil.Process]:
    """The session leaders of the system that carry a folder of ours in their environment, by the folder's name."""
    found: dict[str, psutil.Process] = {}
    for process in leaders(psutil.process_iter()):
        try:
            folder = Path(process.environ().get(FOLDER_VARIABLE, "/"))
        except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
            continue
        if folder.parent == directory:
            found[folder.name] = process
    return found


def leaders(processes: Iterable[psutil.Process]) -> Iterable[psutil.Process]:
    """Those that lead a session and live."""
    for process in processes:
        try:
            if os.getsid(process.pid) == process.pid and process.status() != psutil.STATUS_ZOMBIE:
                yield process
        except (ProcessLookupError, PermissionError, psutil.NoSuchProcess):
            continue
