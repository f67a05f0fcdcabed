"""What goes wrong before or while speaking to the admin API; each carries the exit code that the command ends with.

HeadraceCommandError (1)
├── DeclarationError  (2)  a declared object is wrong: file, line, field, value, remedy
├── WrongUse          (2)  arguments that cannot work
├── ApiRefused        (3)  a rule says no, or somebody changed it first; the reasons are printed
├── ApiNotFound       (4)  the named thing does not exist
├── Unreachable       (5)  no answer
└── StillGoing        (6)  `--timeout` ran out; the work goes on
"""

from collections.abc import Mapping, Sequence
from typing import Any

DONE, FAILED, WRONG_USE, REFUSED, NOT_FOUND, UNREACHABLE, STILL_GOING = 0, 1, 2, 3, 4, 5, 6
CHANGES = 10  # `plan --exit-code`


class HeadraceCommandError(Exception):
    """Root; the text is a sentence, `remedy` says what to do."""

    exit_code = FAILED

    def __init__(  # noqa: PLR0913  an error has this many parts
        self,
        message: str,
        *,
        remedy: str = "",
        field: str = "",
        code: str = "",
        reasons: Sequence[Mapping[str, Any]] = (),
        retry_after_s: float | None = None,
    ) -> None:
        """`reasons` are the server's records, as they came."""
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.field = field
        self.code = code or type(self).__name__
        self.reasons = tuple(reasons)
        self.retry_after_s = retry_after_s


class DeclarationError(HeadraceCommandError):
    """A declared object is wrong."""

    exit_code = WRONG_USE


class WrongUse(HeadraceCommandError):
    """Arguments that cannot work."""

    exit_code = WRONG_USE


class ApiRefused(HeadraceCommandError):
    """A rule says no; `reasons` say why and until when."""

    exit_code = REFUSED


class ApiNotFound(HeadraceCommandError):
    """The named thing does not exist."""

    exit_code = NOT_FOUND


class Unreachable(HeadraceCommandError):
    """The admin API did not answer."""

    exit_code = UNREACHABLE


class StillGoing(HeadraceCommandError):
    """Time ran out; the work goes on."""

    exit_code = STILL_GOING


class Interrupted(StillGoing):
    """Ctrl-C was pressed; the work goes on."""
