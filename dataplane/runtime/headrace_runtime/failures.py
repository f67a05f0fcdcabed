"""How one event fails: raise `Recoverable` or `NonRecoverable`, or return a `Failure` (in batches).

What else is raised is classed by `failure_of`: a connection or a deadline may work next time; anything else is a defect
of the code or of the event, and trying again would only repeat it.
"""

from dataclasses import dataclass

MESSAGE_LENGTH_MAX = 500
REASON_LENGTH_MAX = 60


class Recoverable(Exception):
    """Trying this event again can help: the node does so, with back-off. `reason` is a short name for metrics."""

    def __init__(self, message: str = "", *, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class NonRecoverable(Exception):
    """Trying this event again is of no use: it goes to dead letters. `reason` is a short name for metrics."""

    def __init__(self, message: str = "", *, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed event as a value: what a batch function returns in the event's place."""

    recoverable: bool
    reason: str
    message: str = ""


def failure_of(error: BaseException) -> Failure:
    """The class of an exception of users' code.

    >>> failure_of(KeyError("carrier"))
    Failure(recoverable=False, reason='KeyError', message="'carrier'")
    >>> failure_of(ConnectionResetError("store")).recoverable
    True
    """
    recoverable = isinstance(error, Recoverable | ConnectionError | TimeoutError)
    reason = getattr(error, "reason", "") if isinstance(error, Recoverable | NonRecoverable) else ""
    try:
        message = str(error)
    except Exception:  # users' own __str__
        message = "(its message cannot be shown)"
    return Failure(recoverable, (reason or type(error).__name__)[:REASON_LENGTH_MAX], message[:MESSAGE_LENGTH_MAX])
