"""A clock that tests move by hand, as the memory ledger's and as PostgreSQL's."""

from datetime import UTC, datetime

from services.observer.domain.ports import Ledger, Verdicts
from services.observer.operations.admit import Admission
from tests.observer.requests import LIMITS


class HandClock:
    """Seconds since the epoch; `now` is moved by tests."""

    def __init__(self, at: float = 1_000_000.0) -> None:
        self.at = at

    def seconds(self) -> float:
        return self.at

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.at, UTC)

    def monotonic(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds


class CountedIds:
    """act-1, act-2, ..."""

    def __init__(self) -> None:
        self._count = 0

    def new(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}-{self._count}"


def admission_over(ledger: Ledger, verdicts: Verdicts, ids: CountedIds | None = None) -> Admission:
    return Admission(ledger, verdicts, ids or CountedIds(), LIMITS)
