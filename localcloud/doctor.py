"""What the stack needs of this machine, and whether it is there; each finding says what to do."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from localcloud import ports
from localcloud.errors import StackError, ToolMissingError
from localcloud.servers import postgres, prometheus, temporal, valkey
from localcloud.state import ROOT, StackState, require_room
from localcloud.status import read_status

PYTHON_MIN = (3, 11)
JAVA_MIN = 17


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at; `trouble` is a sentence with the remedy, or nothing."""

    name: str
    found: str
    trouble: str = ""


def examine(directory: Path) -> Iterator[Finding]:
    """Look at everything that a start needs."""
    yield python()
    yield java()
    yield _file("kafka's jars", ROOT / ".tools" / "kafka" / "libs")
    yield _file("pulumi", ROOT / ".tools" / "pulumi" / "bin" / "pulumi")
    yield _file("headrace command", Path(sys.executable).with_name("headrace"))
    for name, find in (
        ("postgres", postgres.binaries),
        ("valkey", valkey.binary),
        ("temporal", temporal.binary),
        ("prometheus", prometheus.binary),
    ):
        yield _tool(name, find)
    yield disk(directory)
    yield from listeners(directory)


def required(directory: Path) -> None:
    """Raise StackError with the first thing that would keep the stack from starting."""
    for finding in examine(directory):
        if finding.trouble:
            raise ToolMissingError(finding.trouble)


def python(version: tuple[int, ...] = tuple(sys.version_info[:3])) -> Finding:
    """The interpreter.

    >>> python((3, 9, 2)).trouble
    'Python 3.9.2 is too old: install 3.11 or newer and run `make setup`.'
    """
    said = ".".join(map(str, version))
    if version < PYTHON_MIN:
        return Finding("python", said, f"Python {said} is too old: install 3.11 or newer and run `make setup`.")
    return Finding("python", said)


def java() -> Finding:
    """Java, for Kafka."""
    remedy = f"install Java {JAVA_MIN} or newer (on Debian `apt-get install openjdk-17-jre-headless`)."
    if not shutil.which("java"):
        return Finding("java", "missing", f"Java is missing, and Kafka needs it: {remedy}")
    said = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', said)
    if not found or int(found.group(1)) < JAVA_MIN:
        return Finding("java", "too old", f"Java is older than {JAVA_MIN}: {remedy}")
    return Finding("java", found.group(1))


def disk(directory: Path) -> Finding:
    """Room for the stack's state."""
    try:
        require_room(directory)
    except StackError as error:
        return Finding("disk", "nearly full", str(error))
    return Finding("disk", f"{shutil.disk_usage(directory).free // 1_000_000} MB free")


def listeners(directory: Path) -> Iterator[Finding]:
    """The chosen ports: free, or held by a stack of ours that runs."""
    status = read_status(directory)
    if status and status.supervisor_alive():
        yield Finding("stack", f"{status.phase} (supervisor {status.pid})")
        return
    from localcloud.process import holder_of

    for name, port in StackState.open(directory).ports.items():
        if not ports.is_free(port):
            trouble = (
                f"port {port}, chosen for {name}, is in use by {holder_of(port)}: stop that program, "
                "or remove stack.json in .headrace so that other ports are chosen."
            )
            yield Finding(f"port of {name}", str(port), trouble)


def _tool(name: str, find: Callable[[], Path]) -> Finding:
    try:
        return Finding(name, str(find().name))
    except StackError as error:
        return Finding(name, "missing", str(error))


def _file(name: str, place: Path) -> Finding:
    if place.exists():
        return Finding(name, "there")
    return Finding(name, "missing", f"{name}: not there: run `make setup`, which gets it.")
