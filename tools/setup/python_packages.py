"""The virtual environment `.venv`, exactly as `requirements.lock` says, with this repository installed editable.

The interpreter must be one that other users of the machine can read when root sets up: PostgreSQL and users' code run
as an unprivileged user from this environment.
"""

import os
import shutil
import stat
import sys
from pathlib import Path

from tools.setup.step import ROOT, STAMP, Cached, SetupError, key_of, run, stamped

UV_VERSION = "0.13.8"
LOCK = ROOT / "requirements.lock"
PROJECT = ROOT / "pyproject.toml"
VENV = ROOT / ".venv"


class PythonPackages:
    """Makes `.venv`."""

    name = "Python packages"

    def __init__(self) -> None:
        self._python = interpreter()
        self._key = key_of(LOCK, PROJECT, self._python)

    def ready(self) -> bool:
        """Whether `.venv` was made from this lock, this project file and this interpreter."""
        return stamped(VENV, self._key)

    def make(self) -> None:
        """Create or bring up to date; packages already there are kept."""
        uv = find_uv()
        if not (VENV / "bin" / "python").exists():
            run([uv, "venv", "--quiet", "--python", self._python, str(VENV)], what="making .venv")
        (VENV / STAMP).unlink(missing_ok=True)
        python = ["--python", str(VENV / "bin" / "python")]
        run([uv, "pip", "sync", "--quiet", *python, "--require-hashes", str(LOCK)], what="installing Python packages")
        editable = ["--no-deps", "--editable", str(ROOT)]
        run([uv, "pip", "install", "--quiet", *python, *editable], what="installing this repository")
        (VENV / STAMP).write_text(self._key)


def find_uv() -> str:
    """Path of `uv`: of `.venv`, of the PATH, or one that pip puts in the cache."""
    known = VENV / "bin" / "uv"
    if known.exists():
        return str(known)
    on_path = shutil.which("uv")
    if on_path:
        return on_path
    cached = Cached("uv", UV_VERSION)

    def build(directory: Path) -> None:
        run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(directory), f"uv=={UV_VERSION}"],
            what="getting uv (install it yourself, or make `python3 -m pip` work)",
        )

    return str(cached.make(key_of("uv", UV_VERSION), build) / "bin" / "uv")


def interpreter() -> str:
    """The interpreter for `.venv`: the running one, unless we are root and other users cannot read it."""
    running = str(Path(sys.executable).resolve())
    if os.geteuid() != 0 or readable_by_others(Path(running)):
        return running
    for minor in range(14, 10, -1):
        other = Path(f"/usr/bin/python3.{minor}")
        if other.exists():
            return str(other)
    raise SetupError(
        f"{running} cannot be read by other users, and PostgreSQL and users' code run as one: "
        "install the system's python3.11 or newer (on Debian `apt-get install python3`)."
    )


def readable_by_others(path: Path) -> bool:
    """Whether any user can reach and execute `path`: every folder above it is open."""
    return all(place.stat().st_mode & stat.S_IXOTH for place in (path, *path.parents))
