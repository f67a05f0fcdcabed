"""What is wrong with a machine that is a process: a wrong clock, a slow disk; told to `machine_shim.c` by a file of the machine's folder.

The shim is compiled once for each folder of machines, because it must fit the C library of this computer. Without a compiler machines run
without it, and these two faults are refused.
"""

import hashlib
import logging
import shutil
import struct
import subprocess
from pathlib import Path

from localcloud.aws.errors import AwsError
from localcloud.aws.machines import Ailment

log = logging.getLogger(__name__)
SOURCE = Path(__file__).with_name("machine_shim.c")
COMPILE_S_MAX = 120.0
FILE, VARIABLE = "ailments", "LOCALCLOUD_AILMENTS"
NS_PER_S = 1_000_000_000
NUMBERS = struct.Struct("=4q")  # clock's offset and end, disk's delay and end; ns


def build(directory: Path) -> Path | None:
    """The shim, compiled if it is not there yet; None when it can not be."""
    content = SOURCE.read_bytes()
    built = directory / f"machine-shim-{hashlib.sha256(content).hexdigest()[:16]}.so"
    if built.exists():
        return built
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        log.warning(
            "no C compiler: machines can have no wrong clock and no slow disk (on Debian `apt-get install gcc libc6-dev`)"
        )
        return None
    fresh = built.with_suffix(".fresh")
    command = [compiler, "-O2", "-shared", "-fPIC", "-o", str(fresh), str(SOURCE), "-ldl"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=COMPILE_S_MAX, check=False)
    if done.returncode:
        log.warning("machines can have no wrong clock and no slow disk: %s said %s", compiler, done.stderr[-1000:])
        return None
    fresh.chmod(0o755)
    fresh.replace(built)
    return built


def environment(folder: Path, shim: Path | None) -> dict[str, str]:
    """What a machine's processes need, to be made ill; its folder exists."""
    if shim is None:
        return {}
    if not (folder / FILE).exists():
        write(folder, Ailment())
    return {"LD_PRELOAD": str(shim), VARIABLE: str(folder / FILE)}


def write(folder: Path, ailment: Ailment) -> None:
    """Make it so, at once; the processes have the file mapped, so it is overwritten in its place."""
    file = folder / FILE
    file.touch(mode=0o644)
    content = NUMBERS.pack(
        round(ailment.clock_offset_s * NS_PER_S),
        round(ailment.clock_until * NS_PER_S),
        round(ailment.disk_delay_s * NS_PER_S),
        round(ailment.disk_until * NS_PER_S),
    )
    with file.open("r+b") as numbers:
        numbers.write(content)


def impossible() -> AwsError:
    """Why a machine can not be made ill."""
    return AwsError(
        "UnsupportedOperation",
        "This machine's clock and disk can not be made wrong: there was no C compiler when it booted. Install one (on Debian "
        "`apt-get install gcc libc6-dev`) and launch another machine.",
    )
