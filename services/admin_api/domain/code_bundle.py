"""A code bundle is a gzipped tar of plain files and folders below one root; anything else is refused by name."""

import gzip
import io
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import PurePosixPath

from shared.domain.errors import InvalidInput

UPLOAD_BYTES_MAX = 50 * 1024 * 1024
UNPACKED_BYTES_MAX = 200 * 1024 * 1024
MEMBERS_MAX = 20_000


@dataclass(frozen=True, slots=True)
class Contents:
    """What a checked bundle holds."""

    files: int
    unpacked: int  # bytes


def checked_bundle(content: bytes) -> Contents:
    """Read every header without unpacking; InvalidInput names the member that may not be there."""
    if len(content) > UPLOAD_BYTES_MAX:
        raise InvalidInput(
            f"code: {len(content)} bytes are above {UPLOAD_BYTES_MAX}",
            field="body",
            remedy="leave data and dependencies out of the code folder; dependencies belong into the environment",
        )
    files = unpacked = members = 0
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r|gz") as tar:
            for member in tar:
                members += 1
                _check_member(member)
                files += member.isfile()
                unpacked += member.size
                if unpacked > UNPACKED_BYTES_MAX or members > MEMBERS_MAX:
                    raise InvalidInput(
                        f"code: more than {UNPACKED_BYTES_MAX} bytes or {MEMBERS_MAX} members when unpacked",
                        field="body",
                        remedy="leave data out of the code folder",
                    )
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, OSError) as e:
        raise InvalidInput(
            f"code: it is no gzipped tar: {e}", field="body", remedy="send what `tar czf` makes of the code folder"
        ) from e
    if not files:
        raise InvalidInput("code: there is no file in it", field="body", remedy="name the folder that holds the code")
    return Contents(files, unpacked)


def _check_member(member: tarfile.TarInfo) -> None:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or "\x00" in member.name or not member.name:
        raise InvalidInput(
            f"code: member {member.name!r} lies outside of the bundle",
            field="body",
            remedy="pack the folder with relative paths, without '..'",
        )
    if not (member.isfile() or member.isdir()):
        raise InvalidInput(
            f"code: member {member.name!r} is a link or a device",
            field="body",
            remedy="pack plain files and folders only",
        )
    if member.mode & 0o6000:
        raise InvalidInput(
            f"code: member {member.name!r} has a set-user or set-group bit", field="body", remedy="remove the bit"
        )
