"""Environments with uv: lock with hashes, install wheels only, pack so that the same lock gives the same bytes.

Nothing of users runs here: only wheels are taken (no build scripts), and uv's processes get an environment without any
secret of ours, a deadline and a session of their own.
"""

import asyncio
import gzip
import os
import re
import shutil
import signal
import stat
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from shared.domain.errors import InvalidInput, Unavailable

LOCK_S_MAX = 120.0
INSTALL_S_MAX = 600.0
UNPACKED_BYTES_MAX = 4 * 1024**3
BUILDS_CONCURRENT_MAX = 1
OUTPUT_BYTES_MAX = 256 * 1024
REASON_LENGTH_MAX = 1200
INTERRUPT_S = 5.0
PASSED_ON = (
    "PATH",
    "HOME",
    "LANG",
    "TMPDIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "UV_DEFAULT_INDEX",
    "UV_INDEX_URL",
    "UV_INDEX",
    "UV_NO_INDEX",
)
PROXIES = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")
LEFT_OUT = frozenset({".lock", "bin", "__pycache__"})  # scripts name the builder's interpreter: nodes run modules
_URL = re.compile(r"\b(https?|file)://\S+")
_NETWORK = ("failed to fetch", "error sending request", "connection", "timed out", "dns error")


@dataclass(frozen=True, slots=True)
class UvSite:
    """Where uv is, where our own wheels lie, and a directory for caches and builds."""

    uv: str
    wheels: Path
    directory: Path
    python: str = f"{sys.version_info.major}.{sys.version_info.minor}"


class UvBuilds:
    """`EnvironmentBuilds`."""

    def __init__(self, site: UvSite) -> None:
        """One build at a time: uv uses every core by itself."""
        self._site = site
        self._turn = asyncio.Semaphore(BUILDS_CONCURRENT_MAX)

    @property
    def python(self) -> str:
        """What machines run: the image is built with this process' Python."""
        return self._site.python

    async def lock(self, name: str, requirements: str) -> str:
        """`uv pip compile`."""
        with tempfile.TemporaryDirectory(prefix="lock-", dir=self._folder("builds")) as folder:
            source, target = Path(folder) / "requirements.in", Path(folder) / "requirements.txt"
            source.write_text(requirements, encoding="utf-8")
            args = ["pip", "compile", source.name, "-o", target.name, "--generate-hashes", "--no-header"]
            args += ["--no-annotate", "--no-emit-index-url", "--quiet", *self._sources()]
            code, text = await self._run(args, Path(folder), LOCK_S_MAX)
            if code != 0:
                raise _refused(name, requirements, text)
            return target.read_text(encoding="utf-8")

    async def build(self, name: str, locked: str) -> Path:
        """`uv pip install --require-hashes --target site`, then a tar.gz."""
        async with self._turn:
            folder = Path(tempfile.mkdtemp(prefix="build-", dir=self._folder("builds")))
            try:
                path = await self._build_in(folder, name, locked)
            except BaseException:
                await asyncio.to_thread(shutil.rmtree, folder, True)
                raise
            await asyncio.to_thread(shutil.rmtree, folder / "site", True)
            return path

    async def _build_in(self, folder: Path, name: str, locked: str) -> Path:
        (folder / "requirements.txt").write_text(locked, encoding="utf-8")
        args = ["pip", "install", "-r", "requirements.txt", "--require-hashes", "--no-deps", "--target", "site"]
        args += ["--link-mode", "copy", "--quiet", *self._sources()]
        code, text = await self._run(args, folder, INSTALL_S_MAX)
        if code != 0:
            raise _refused(name, locked, text)
        path = folder / "environment.tar.gz"
        await asyncio.to_thread(_pack, name, folder / "site", path)
        return path

    async def discard(self, path: Path) -> None:
        """The build's folder."""
        await asyncio.to_thread(shutil.rmtree, path.parent, True)

    def _sources(self) -> list[str]:
        flags = ["--python", sys.executable, "--only-binary", ":all:"]
        return [*flags, "--find-links", str(self._site.wheels)] if self._site.wheels.is_dir() else flags

    def _folder(self, name: str) -> Path:
        folder = self._site.directory / name
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder

    async def _run(self, args: list[str], cwd: Path, deadline_s: float) -> tuple[int, str]:
        environment = {k: v for k, v in os.environ.items() if k in PASSED_ON or k.lower() in PROXIES}
        environment |= {
            "UV_CACHE_DIR": str(self._folder("uv-cache")),
            "UV_PYTHON_DOWNLOADS": "never",
            "UV_NO_PROGRESS": "1",
            "NO_COLOR": "1",
        }
        process = await asyncio.create_subprocess_exec(
            self._site.uv,
            *args,
            cwd=cwd,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            limit=OUTPUT_BYTES_MAX,
        )
        try:
            async with asyncio.timeout(deadline_s):
                _, err = await process.communicate()
        except TimeoutError as e:
            raise Unavailable(f"uv: no answer within {deadline_s:g} s", retry_after_s=10.0) from e
        finally:
            if process.returncode is None:
                await _end(process)
        return process.returncode or 0, err.decode(errors="replace")[:OUTPUT_BYTES_MAX]


async def _end(process: asyncio.subprocess.Process) -> None:
    for sig in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sig)
            async with asyncio.timeout(INTERRUPT_S):
                await process.wait()
                return
        except TimeoutError:
            continue
        except ProcessLookupError:
            return


def _refused(name: str, requirements: str, text: str) -> InvalidInput | Unavailable:
    """Name the requirement that the resolver speaks of; addresses and credentials of indexes are left out."""
    said = " ".join(_URL.sub("(address)", text).replace("╰─▶", "").replace("×", "").split())[:REASON_LENGTH_MAX]
    if any(word in said.lower() for word in _NETWORK):
        return Unavailable(f"environment {name}: the package index did not answer: {said}", retry_after_s=10.0)
    lines = [line.strip() for line in requirements.splitlines() if line.strip() and not line.strip().startswith("#")]
    named = [
        line for line in lines if _package(line) and re.search(rf"\b{re.escape(_package(line))}\b", said, re.IGNORECASE)
    ]
    which = f"requirement {named[0]!r}" if named else "requirements"
    return InvalidInput(
        f"environment {name}: {which} cannot be resolved: {said}",
        field="requirements",
        remedy="correct the line, or pin a version that has wheels for this Python",
    )


def _package(line: str) -> str:
    return re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0]


def _pack(name: str, site: Path, target: Path) -> None:
    """Sorted, without times, owners or byte code: the same files give the same archive."""
    site.mkdir(exist_ok=True)
    total = 0
    with (
        target.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0, compresslevel=6) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        root = tarfile.TarInfo("site")
        root.type, root.mode = tarfile.DIRTYPE, 0o755
        archive.addfile(root)
        for path in sorted(site.rglob("*")):
            parts = path.relative_to(site).parts
            if parts[0] in LEFT_OUT or "__pycache__" in parts or path.is_symlink():
                continue
            info = tarfile.TarInfo("/".join(("site", *parts)))
            if path.is_dir():
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(info)
                continue
            status = path.stat()
            total += status.st_size
            if total > UNPACKED_BYTES_MAX:
                raise InvalidInput(
                    f"environment {name}: it unpacks to more than {UNPACKED_BYTES_MAX // 1024**3} GiB",
                    field="requirements",
                    remedy="leave out what the code does not import",
                )
            info.size = status.st_size
            info.mode = 0o755 if status.st_mode & stat.S_IXUSR else 0o644
            with path.open("rb") as file:
                archive.addfile(info, file)
