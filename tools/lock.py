"""Resolves the dependencies of pyproject.toml and writes requirements.lock: hashes, and no address of any registry."""

import sys
from pathlib import Path

from tools.setup.python_packages import LOCK, PROJECT, find_uv
from tools.setup.step import SetupError, run

OPTIONS = ["--group", "dev", "--universal", "--generate-hashes", "--no-emit-index-url", "--no-header", "--no-annotate"]


def resolve(out: Path) -> None:
    """Write the resolution to `out`; versions that stand there already are kept where they still fit."""
    run([find_uv(), "pip", "compile", str(PROJECT), *OPTIONS, "--quiet", "-o", str(out)], what="resolving")
    if "://" in out.read_text():
        raise SetupError("requirements.lock would name an address: depend on released packages only.")


def main() -> int:
    """Write the lock; returns the exit code."""
    fresh = Path(f"{LOCK}.new")
    try:
        if LOCK.exists():
            fresh.write_bytes(LOCK.read_bytes())
        resolve(fresh)
        fresh.replace(LOCK)
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        fresh.unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
