"""The Prometheus server: of Debian's package (unpacked, not installed), else of the PATH, else built from Go."""

import os
import shutil
from pathlib import Path

from tools.setup.pulumi_cli import require_go
from tools.setup.step import TOOLS, Cached, SetupError, key_of, link, run, stamped

GO_VERSION = "v0.315.0"
RECIPE = "2"  # raise it when the way it is made changes
PACKAGE = "github.com/prometheus/prometheus/cmd/prometheus"


class PrometheusServer:
    """Makes `.tools/bin/prometheus`."""

    name = "Prometheus"

    def __init__(self) -> None:
        self._cached = Cached("prometheus", RECIPE)
        self._key = key_of(RECIPE, GO_VERSION)

    def ready(self) -> bool:
        """Whether a server is linked that runs."""
        linked = TOOLS / "bin" / "prometheus"
        return linked.exists() and (stamped(self._cached.path, self._key) or shutil.which("prometheus") is not None)

    def make(self) -> None:
        """Unpack, find or build; the first way that works."""
        on_path = shutil.which("prometheus")
        if on_path and not shutil.which("apt-get"):
            link("bin/prometheus", Path(on_path))
            return
        link("bin/prometheus", self._cached.make(self._key, _fetch) / "bin" / "prometheus")


def _fetch(directory: Path) -> None:
    (directory / "bin").mkdir()
    place = directory / "bin" / "prometheus"
    tried = []
    for way in (_from_debian, _from_path, _from_go):
        try:
            way(directory, place)
        except SetupError as error:
            tried.append(str(error))
        else:
            return
    raise SetupError("Prometheus could not be had in any way:\n  " + "\n  ".join(tried))


def _from_debian(directory: Path, place: Path) -> None:
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise SetupError("this is not Debian (no apt-get, no dpkg).")
    scratch = directory / "deb"
    scratch.mkdir(mode=0o755)
    download = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", "prometheus"]
    try:
        run(download, what="fetching Debian's prometheus", cwd=scratch)
    except SetupError:
        if os.geteuid() != 0:
            raise
        run(["apt-get", "-qq", "update"], what="reading Debian's package lists")
        run(download, what="fetching Debian's prometheus", cwd=scratch)
    package = next(scratch.glob("*.deb"))
    run(["dpkg", "-x", str(package), str(scratch / "out")], what="unpacking Debian's prometheus")
    (scratch / "out" / "usr" / "bin" / "prometheus").rename(place)
    shutil.rmtree(scratch)


def _from_path(_directory: Path, place: Path) -> None:
    on_path = shutil.which("prometheus")
    if not on_path:
        raise SetupError("there is no prometheus on the PATH.")
    shutil.copy2(on_path, place)


def _from_go(directory: Path, place: Path) -> None:
    require_go()
    source = directory / "src"
    source.mkdir()
    run(["go", "mod", "init", "headrace.invalid/tools/prometheus"], what="building Prometheus", cwd=source)
    run(["go", "get", "-tool", f"{PACKAGE}@{GO_VERSION}"], what="fetching Prometheus' modules", cwd=source)
    run(["go", "build", "-trimpath", "-o", str(place), PACKAGE], what="building Prometheus", cwd=source)
    shutil.rmtree(source)
