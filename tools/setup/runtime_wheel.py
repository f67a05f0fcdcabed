"""`.tools/wheels`: the wheel of `headrace-runtime`, which environments of users' code are built with."""

import shutil
import tempfile
from pathlib import Path

from tools.setup.python_packages import find_uv
from tools.setup.step import ROOT, STAMP, TOOLS, key_of, run, stamped

SOURCE = ROOT / "dataplane" / "runtime"
WHEELS = TOOLS / "wheels"


class RuntimeWheel:
    """Builds the wheel whenever its sources have changed."""

    name = "headrace-runtime wheel"

    def ready(self) -> bool:
        """Whether the wheel was built from these sources, or there are none."""
        return not (SOURCE / "pyproject.toml").exists() or stamped(WHEELS, _key())

    def make(self) -> None:
        """Build into a directory beside, then put it in place."""
        TOOLS.mkdir(exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=".wheels-", dir=TOOLS))
        building.chmod(0o755)
        try:
            run([find_uv(), "build", "--quiet", "--wheel", "--out-dir", str(building), str(SOURCE)], what="the wheel")
            (building / STAMP).write_text(_key())
            shutil.rmtree(WHEELS, ignore_errors=True)
            building.rename(WHEELS)
        finally:
            shutil.rmtree(building, ignore_errors=True)


def _key() -> str:
    kept = {".py", ".pyi", ".toml", ".proto", ".md"}
    return key_of(*sorted(path for path in SOURCE.rglob("*") if path.suffix in kept and path.is_file()))
