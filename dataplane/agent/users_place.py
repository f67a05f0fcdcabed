"""Where a node's bundle and users' scratch lie: in the node's own folder, else in a temporary one that outlives nobody.

A temporary folder is held by a lock for as long as its node's process lives. A node that was killed leaves its folder,
and the next one that needs such a folder on this machine removes it.
"""

import fcntl
import os
import shutil
import stat
import tempfile
from pathlib import Path

import structlog

SOCKET_PATH_MAX = 100  # the kernel's limit is 108 bytes
SCRATCH, SOCKET = "scratch", "transform.sock"
PREFIX, UNBORN, HOLD = "headrace-", ".headrace-", ".held"
LEFT_MAX = 1000  # folders that are looked at
LOG = structlog.get_logger()


def place_for_users(state: Path, temporary: Path | None = None) -> Path:
    """A folder that other users can reach, for bundle and scratch; `temporary`: where to make it if not in the state's."""
    place = state / "users"
    reachable = os.geteuid() != 0 or all(parent.stat().st_mode & 0o001 for parent in place.parents)
    if not reachable or len(str(place / SCRATCH / SOCKET)) > SOCKET_PATH_MAX:
        temporary = temporary or Path(tempfile.gettempdir())
        remove_left(temporary)
        place = _held_folder(temporary)
    place.mkdir(parents=True, exist_ok=True)
    place.chmod(0o755)
    return place


def remove_left(temporary: Path) -> list[Path]:
    """Remove the folders of nodes that have ended without doing so themselves; gives them."""
    left = [folder for folder in sorted(temporary.glob(f"{PREFIX}*"))[:LEFT_MAX] if _is_left(folder)]
    for folder in left:
        shutil.rmtree(folder, ignore_errors=True)
        LOG.info("removed what an ended node left", folder=str(folder))
    return left


def _held_folder(temporary: Path) -> Path:
    """Under its name only once it is held. The lock goes with this process, so its descriptor is never closed."""
    unborn = Path(tempfile.mkdtemp(prefix=UNBORN, dir=temporary))
    hold = os.open(unborn / HOLD, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    fcntl.flock(hold, fcntl.LOCK_EX)
    return unborn.rename(temporary / unborn.name.replace(UNBORN, PREFIX, 1))


def _is_left(folder: Path) -> bool:
    """Whether it is ours, and nobody holds it."""
    try:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            return False
        hold = os.open(folder / HOLD, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:  # it is another's, or somebody removes it just now
        return False
    try:
        fcntl.flock(hold, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(hold)
    return True
