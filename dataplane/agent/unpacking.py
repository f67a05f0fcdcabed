"""Unpacks a bundle's tar.gz: plain files and folders only, inside the target, within limits.

A link, a device, an absolute path or a `..` is an error: a bundle is data, and does not get to say where it lands.
"""

import shutil
import tarfile
from pathlib import Path, PurePosixPath

from shared.domain.errors import InvalidInput

FILES_MAX = 200_000
BYTES_MAX = 4 * 1024**3
BLOCK_BYTES = 1024 * 1024
PATH_LENGTH_MAX = 500
FILE_MODE, PROGRAM_MODE, FOLDER_MODE = 0o644, 0o755, 0o755
EXECUTABLE = 0o111


def unpack(archive: Path, target: Path) -> None:
    """Into a new folder; on an error the folder is removed and InvalidInput names the member."""
    if target.exists():
        shutil.rmtree(target)
    target.mkdir(mode=FOLDER_MODE, parents=True)
    try:
        with tarfile.open(archive, "r:gz") as tar:
            _members(tar, target)
    except (tarfile.TarError, EOFError, OSError) as e:
        shutil.rmtree(target, ignore_errors=True)
        raise InvalidInput(f"bundle {archive.name}: cannot be unpacked: {e}", remedy="pack it as tar.gz") from e
    except InvalidInput:
        shutil.rmtree(target, ignore_errors=True)
        raise
    for folder in (target, *(p for p in target.rglob("*") if p.is_dir())):
        folder.chmod(FOLDER_MODE)


def _members(tar: tarfile.TarFile, target: Path) -> None:
    size = 0
    for count, member in enumerate(tar):
        size += member.size
        if count >= FILES_MAX or size > BYTES_MAX:
            raise InvalidInput(f"bundle: more than {FILES_MAX} files or {BYTES_MAX} bytes", remedy="make it smaller")
        place = target / safe_path(member.name)
        if member.isdir():
            place.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        elif member.isreg():
            place.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            source = tar.extractfile(member)
            if source is None:
                raise InvalidInput(f"bundle: {member.name!r} has no content")
            with source, place.open("wb") as file:
                shutil.copyfileobj(source, file, BLOCK_BYTES)
            place.chmod(PROGRAM_MODE if member.mode & EXECUTABLE else FILE_MODE)
        else:
            raise InvalidInput(f"bundle: {member.name!r} is a link or a device", remedy="pack plain files only")


def safe_path(name: str) -> PurePosixPath:
    """A member's path inside the target.

    >>> safe_path("./site/a.py")
    PurePosixPath('site/a.py')
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name or len(name) > PATH_LENGTH_MAX:
        raise InvalidInput(f"bundle: the path {name[:80]!r} leads outside", remedy="pack relative paths without '..'")
    return path
