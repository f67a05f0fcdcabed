"""The Pulumi command: of the PATH when it is new enough, else built from its Go modules (minutes; kept in the cache).

The SDK of `requirements.lock` and the command move together: the command may be newer within major version 3, never
older. `pulumi/go.mod` and `go.sum` pin every module of the build.
"""

import re
import shutil
import subprocess
from pathlib import Path

from tools.setup.step import TOOLS, Cached, SetupError, key_of, link, run, stamped

VERSION = "3.259.0"
GO_MIN = (1, 26)
MODULE = Path(__file__).parent / "pulumi"
PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
VERSION_VARIABLE = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"


class PulumiCli:
    """Finds or builds the command; `.tools/pulumi` is a directory with `bin/pulumi`."""

    name = "Pulumi CLI"

    def __init__(self) -> None:
        self._cached = Cached("pulumi", VERSION)
        self._key = key_of(VERSION, MODULE / "go.mod", MODULE / "go.sum")

    def ready(self) -> bool:
        """Whether a command that is new enough is linked."""
        linked = TOOLS / "pulumi" / "bin" / "pulumi"
        return linked.exists() and (
            stamped(linked.resolve().parents[1], self._key) or new_enough(version_of(str(linked)))
        )

    def make(self) -> None:
        """Link the PATH's, or build."""
        on_path = shutil.which("pulumi")
        if on_path and new_enough(version_of(on_path)) and Path(on_path).resolve().parent.name == "bin":
            root = Path(on_path).resolve().parents[1]
        else:
            root = self._cached.make(self._key, _build)
        link("pulumi", root)
        link("bin/pulumi", root / "bin" / "pulumi")


def new_enough(version: tuple[int, ...]) -> bool:
    """Whether a command of this version can serve the pinned SDK.

    >>> new_enough((3, 259, 0)), new_enough((3, 301, 2)), new_enough((3, 99, 0)), new_enough((4, 0, 0)), new_enough(())
    (True, True, False, False, False)
    """
    wanted = tuple(int(part) for part in VERSION.split("."))
    return version >= wanted and version[0] == wanted[0]


def version_of(command: str) -> tuple[int, ...]:
    """The version a command says it has; empty when it does not say."""
    done = subprocess.run(
        [command, "version"],
        capture_output=True,
        text=True,
        check=False,
        env={"PULUMI_SKIP_UPDATE_CHECK": "true", "PATH": "/usr/bin:/bin", "HOME": "/nonexistent"},
    )
    found = re.search(r"v?(\d+)\.(\d+)\.(\d+)", done.stdout)
    return tuple(int(part) for part in found.groups()) if found else ()


def _build(directory: Path) -> None:
    require_go()
    source = directory / "src"
    shutil.copytree(MODULE, source)
    flags = f"-s -w -X {VERSION_VARIABLE}=v{VERSION}"
    run(
        ["go", "build", "-trimpath", "-tags", "osusergo", "-ldflags", flags, "-o", "../bin/pulumi", PACKAGE],
        what="building the Pulumi command",
        cwd=source,
        env={"CGO_ENABLED": "0"},
    )
    shutil.rmtree(source)


def require_go() -> None:
    """Raise SetupError unless a Go that can build the modules is on the PATH."""
    remedy = f"install Go {GO_MIN[0]}.{GO_MIN[1]} or newer, or put Pulumi {VERSION} or newer (3.x) on the PATH."
    if not shutil.which("go"):
        raise SetupError(f"Pulumi CLI: neither Pulumi nor Go is on the PATH: {remedy}")
    said = run(["go", "version"], what="asking Go for its version")
    found = re.search(r"go(\d+)\.(\d+)", said)
    if not found or (int(found.group(1)), int(found.group(2))) < GO_MIN:
        raise SetupError(f"Pulumi CLI: Go is too old ({said.strip()}): {remedy}")
