"""Packs a code folder: a gzipped tar of plain files, the same bytes for the same content wherever it is packed."""

import gzip
import io
import tarfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from headrace.errors import DeclarationError

FILES_MAX = 20_000
UNPACKED_BYTES_MAX = 200 * 1024 * 1024
PACKED_BYTES_MAX = 50 * 1024 * 1024
LEFT_OUT = frozenset({"__pycache__", ".git", ".venv", ".mypy_cache", ".ruff_cache", ".pytest_cache", "node_modules"})


@dataclass(frozen=True, slots=True)
class Packed:
    """What is uploaded."""

    content: bytes
    sha256: str
    files: int


def pack(folder: Path, where: str = "") -> Packed:
    """DeclarationError when there is nothing to pack, or too much; `where` is the declaration's file:line."""
    place = f"{where}: " if where else ""
    if not folder.is_dir():
        raise DeclarationError(
            f"{place}code: {str(folder)!r} is no folder", field="code", remedy="name the folder that holds the code"
        )
    files = sorted(f for f in folder.rglob("*") if f.is_file() and not _left_out(f.relative_to(folder)))
    size = sum(f.stat().st_size for f in files)
    if not files or len(files) > FILES_MAX or size > UNPACKED_BYTES_MAX:
        raise DeclarationError(
            f"{place}code: {str(folder)!r} has {len(files)} files and {size} bytes; between 1 and {FILES_MAX} files and"
            f" at most {UNPACKED_BYTES_MAX} bytes can be packed",
            field="code",
            remedy="leave data and dependencies out; dependencies belong into the environment",
        )
    out = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=out, mode="wb", mtime=0, filename="") as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for file in files:
            tar.addfile(*_member(file, folder, place))
    content = out.getvalue()
    if len(content) > PACKED_BYTES_MAX:
        raise DeclarationError(
            f"{place}code: {str(folder)!r} packs to {len(content)} bytes, above {PACKED_BYTES_MAX}",
            field="code",
            remedy="leave data out of the code folder",
        )
    return Packed(content, sha256(content).hexdigest(), len(files))


def _left_out(path: Path) -> bool:
    return bool(LEFT_OUT & set(path.parts)) or path.suffix == ".pyc"


def _member(file: Path, folder: Path, place: str) -> tuple[tarfile.TarInfo, io.BytesIO]:
    if file.is_symlink() and folder.resolve() not in file.resolve().parents:
        raise DeclarationError(
            f"{place}code: {str(file)!r} links to a file outside of the folder",
            field="code",
            remedy="copy the file into the folder",
        )
    content = file.read_bytes()
    info = tarfile.TarInfo(file.relative_to(folder).as_posix())
    info.size, info.mtime, info.mode = len(content), 0, 0o755 if file.stat().st_mode & 0o100 else 0o644
    return info, io.BytesIO(content)
