"""Running as somebody else when we are root: PostgreSQL refuses to run as root, and users' code must not.

The other user must be able to reach the binaries. Where a folder above them is closed (a checkout in a home of mode
0700), a copy in the machine's cache is used.
"""

import os
import pwd
import shutil
import stat
import tempfile
from pathlib import Path

NOBODY = "nobody"
OPEN_CACHE = Path("/var/cache/headrace")


def other_user() -> tuple[int, int] | None:
    """The unprivileged user's ids when we are root; None when we are not."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam(NOBODY)
    return entry.pw_uid, entry.pw_gid


def open_to_others(path: Path) -> bool:
    """Whether any user can reach `path`: every folder from it upwards may be entered."""
    path = path.resolve()
    return all(place.stat().st_mode & stat.S_IXOTH for place in (path, *path.parents) if place.exists())


def reachable_copy(sources: tuple[Path, ...], name: str) -> Path:
    """The folder that holds `sources` when the other user can reach it, else one in the machine's cache with copies."""
    if other_user() is None or open_to_others(sources[0]):
        return sources[0].parent
    copy = OPEN_CACHE / name
    if not copy.exists():
        OPEN_CACHE.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=OPEN_CACHE))
        for source in sources:
            shutil.copytree(source, building / source.name)
        building.chmod(0o755)
        building.rename(copy)
    return copy


def reachable_directory(wanted: Path, name: str) -> Path:
    """A directory for the other user's data: `wanted` when it can be reached, else one in the machine's cache."""
    wanted.parent.mkdir(parents=True, exist_ok=True)
    if other_user() is None or open_to_others(wanted.parent):
        return wanted
    return OPEN_CACHE / "state" / name
