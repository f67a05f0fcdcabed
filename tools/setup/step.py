"""What a step of the set-up is, and how its result is kept.

A step makes one thing. Its `key` is everything the result depends on; a stamp beside the result holds the key of the
build that made it, and a step whose stamp matches is done. A result is built in a temporary directory beside its place
and renamed into it, so that an interrupted build leaves nothing that looks finished. Results that are large and the
same for every checkout live in a cache of the machine, one directory per name and version.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / ".tools"
STAMP = ".headrace-stamp"
COMMAND_S_MAX = 1800.0  # the longest is the build of the Pulumi command: minutes alone, many on a busy machine
OUTPUT_LINES_SHOWN = 15


class SetupError(Exception):
    """Something is missing or failed; the text is a sentence that names it and says what to do."""


class Step(Protocol):
    """One thing that the set-up makes."""

    name: str

    def ready(self) -> bool:
        """Whether the thing is there already, made from the same key."""
        ...

    def make(self) -> None:
        """Make it; raises SetupError."""
        ...


def cache_directory() -> Path:
    """Where large results are kept: of the machine when root (other users can read it), else of the user.

    `HEADRACE_CACHE` overrides it.
    """
    named = os.environ.get("HEADRACE_CACHE")
    if named:
        return Path(named)
    return Path("/var/cache/headrace") if os.geteuid() == 0 else Path.home() / ".cache" / "headrace"


def key_of(*parts: str | bytes | Path) -> str:
    """A digest of texts and of files' contents."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.read_bytes() if isinstance(part, Path) else part if isinstance(part, bytes) else part.encode()
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()


def stamped(directory: Path, key: str) -> bool:
    """Whether `directory` was made from `key`."""
    try:
        return (directory / STAMP).read_text() == key
    except OSError:
        return False


@dataclass(frozen=True, slots=True)
class Cached:
    """A directory of the cache, made once per name and version."""

    name: str
    version: str

    @property
    def path(self) -> Path:
        """Where it is, or will be."""
        return cache_directory() / f"{self.name}-{self.version}"

    def make(self, key: str, build: Callable[[Path], None]) -> Path:
        """Return the directory; `build` fills a temporary one first unless the stamp matches `key`."""
        if stamped(self.path, key):
            return self.path
        self.path.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=f".{self.name}-", dir=self.path.parent))
        try:
            building.chmod(0o755)
            build(building)
            (building / STAMP).write_text(key)
            if self.path.exists():
                shutil.rmtree(self.path)
            building.rename(self.path)
        finally:
            shutil.rmtree(building, ignore_errors=True)
        return self.path


def link(name: str, target: Path) -> None:
    """Point `.tools/<name>` at `target`, atomically."""
    place = TOOLS / name
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.is_symlink() and place.readlink() == target:
        return
    fresh = place.with_name(f".{place.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(place)


def run(command: list[str], *, what: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
    """Run a command to its end and return what it printed; its last lines are in the error when it fails."""
    try:
        done = subprocess.run(
            command,
            cwd=cwd or ROOT,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=COMMAND_S_MAX,
            check=False,
        )
    except FileNotFoundError as error:
        raise SetupError(f"{what}: {command[0]} is not installed.") from error
    except subprocess.TimeoutExpired as error:
        raise SetupError(f"{what}: {command[0]} did not end within {COMMAND_S_MAX:.0f} s.") from error
    if done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-OUTPUT_LINES_SHOWN:])
        raise SetupError(f"{what}: `{' '.join(command[:4])} ...` ended with {done.returncode}:\n{tail}")
    return done.stdout
