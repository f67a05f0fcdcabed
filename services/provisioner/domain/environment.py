"""An environment: requirements locked with hashes, built once, found again by what it holds."""

from dataclasses import dataclass
from hashlib import sha256

from services.provisioner.domain.group import Bundle
from shared.domain.errors import InvalidInput

RUNTIME_PACKAGE = "headrace-runtime"


@dataclass(frozen=True, slots=True)
class EnvironmentIntent:
    """An environment as declared."""

    name: str
    requirements: str
    python: str
    generation: int
    document: str  # JSON of the object


@dataclass(frozen=True, slots=True)
class EnvironmentState:
    """An environment with how far it is."""

    intent: EnvironmentIntent
    phase: str = "PENDING"  # PENDING, BUILDING, READY, ERROR
    detail: str = ""
    digest: str = ""
    bundle: Bundle | None = None
    locked: str = ""


def environment_digest(locked: str, python: str) -> str:
    """The identity of an environment: sha256 over the locked requirements and the Python version.

    Comments and blank lines do not count.
    """
    lines = [line.rstrip() for line in locked.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return sha256("\n".join([f"python {python}", *lines]).encode()).hexdigest()


def locked_packages(locked: str) -> tuple[str, ...]:
    r"""The names of a locked requirements text, normalised.

    >>> locked_packages("NumPy==2.1.0 --hash=sha256:ab\nheadrace_runtime==0.1.0\n    --hash=sha256:cd")
    ('numpy', 'headrace-runtime')
    """
    names = []
    for line in locked.splitlines():
        head = line.partition("==")[0].partition("@")[0].strip()
        if "==" in line and head and not line[0].isspace() and not line.startswith("#"):
            names.append(head.partition("[")[0].lower().replace("_", "-").replace(".", "-"))
    return tuple(names)


def check_runtime(name: str, locked: str) -> None:
    """Users' code is served by the runtime package: without it the environment is refused."""
    if RUNTIME_PACKAGE not in locked_packages(locked):
        raise InvalidInput(
            f"environment {name}: {RUNTIME_PACKAGE} is not among its requirements",
            field="requirements",
            remedy=f"add a line `{RUNTIME_PACKAGE}`: it serves the code on the machines",
        )


def check_python(name: str, python: str, offered: str) -> None:
    """Machines have one Python; an environment for another one would not start."""
    if python != offered:
        raise InvalidInput(
            f"environment {name}: Python {python} is not what machines run ({offered})",
            field="python",
            remedy=f'declare python="{offered}"',
        )
