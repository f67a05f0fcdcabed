"""The error tree. Each error says what failed, on what, and what to do; expected outcomes are return values instead.

    HeadraceError
    ├── InvalidInput          the caller sent something that can never work          INVALID_ARGUMENT     422
    ├── NotFound              the named thing does not exist                         NOT_FOUND            404
    ├── AlreadyExists         a thing of that name exists already                    ALREADY_EXISTS       409
    ├── Conflict              stale generation, or another holder                    ABORTED              409
    ├── StaleLease            the fencing token or lease is no longer good           FAILED_PRECONDITION  412
    ├── Refused               a rule says no; carries reasons and retry_after_s      FAILED_PRECONDITION  409
    ├── Denied                not allowed for this identity                          PERMISSION_DENIED    403
    ├── Unauthenticated       no or bad credentials                                  UNAUTHENTICATED      401
    ├── Throttled             ask again later (provider throttling, a full queue)    RESOURCE_EXHAUSTED   429
    ├── CapacityUnavailable   the cloud has no machine to give                       RESOURCE_EXHAUSTED   503
    ├── Unavailable           a dependency is down or did not answer in time         UNAVAILABLE          503
    └── Defect                our own bug; the text is not shown to users            INTERNAL             500

The tables that map it to gRPC, HTTP and Temporal are `shared.grpc.errors`, `shared.http_errors` and
`shared.temporal.errors`.
"""

from shared.domain.reason import Reason


class HeadraceError(Exception):
    """Root of the tree; `code` is the class name and is what crosses every wire."""

    retryable = False

    def __init__(
        self,
        message: str,
        *,
        field: str = "",
        remedy: str = "",
        reasons: tuple[Reason, ...] = (),
        retry_after_s: float | None = None,
    ) -> None:
        """`message` names the thing and the value; `field` is a dotted path; `remedy` says what to do."""
        super().__init__(message)
        self.message = message
        self.field = field
        self.remedy = remedy
        self.reasons = reasons
        self.retry_after_s = retry_after_s

    @property
    def code(self) -> str:
        """The class name."""
        return type(self).__name__

    def __str__(self) -> str:
        """The message, with the remedy where there is one."""
        return f"{self.message} ({self.remedy})" if self.remedy else self.message


class InvalidInput(HeadraceError):
    """The caller sent something that can never work."""


class NotFound(HeadraceError):
    """The named thing does not exist."""


class AlreadyExists(HeadraceError):
    """A thing of that name exists already."""


class Conflict(HeadraceError):
    """Somebody else changed it first, or holds it."""


class StaleLease(HeadraceError):
    """The lease has lapsed or its token was superseded: touch nothing more."""


class Refused(HeadraceError):
    """A rule says no; the reasons say why and until when."""


class Denied(HeadraceError):
    """Not allowed for this identity."""


class Unauthenticated(HeadraceError):
    """No or bad credentials."""


class Throttled(HeadraceError):
    """Ask again later."""

    retryable = True


class CapacityUnavailable(HeadraceError):
    """The cloud has no machine to give."""

    retryable = True


class Unavailable(HeadraceError):
    """A dependency is down or did not answer in time."""

    retryable = True


class Defect(HeadraceError):
    """Our own bug."""


TREE: dict[str, type[HeadraceError]] = {
    cls.__name__: cls
    for cls in (
        InvalidInput,
        NotFound,
        AlreadyExists,
        Conflict,
        StaleLease,
        Refused,
        Denied,
        Unauthenticated,
        Throttled,
        CapacityUnavailable,
        Unavailable,
        Defect,
    )
}
