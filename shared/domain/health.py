"""States of health. Unknown is not healthy: whoever cannot read a state reads UNKNOWN."""

from enum import StrEnum


class VerdictState(StrEnum):
    """The Observer's judgement of a scope."""

    HEALTHY = "HEALTHY"
    IDLE = "IDLE"
    DEGRADED = "DEGRADED"
    UNKNOWN = "UNKNOWN"
    UNHEALTHY = "UNHEALTHY"
    FAILED = "FAILED"

    @classmethod
    def read(cls, text: str) -> "VerdictState":
        """A state from a wire; one we do not know reads UNKNOWN.

        >>> VerdictState.read("SPLENDID")
        <VerdictState.UNKNOWN: 'UNKNOWN'>
        """
        return cls(text) if text in cls.__members__ else cls.UNKNOWN


GOOD = frozenset({VerdictState.HEALTHY, VerdictState.IDLE})
