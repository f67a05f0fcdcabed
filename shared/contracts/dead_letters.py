"""Dead letters: events that a stage gave up, as people read them and send them on their way again."""

from typing import Literal

from pydantic import Field

from shared.contracts.base import Contract, Declared, Name

RATE_MAX = 5_000.0
OFFSETS_MAX = 10_000
REASON_LENGTH_MAX = 500


class DeadLetter(Contract):
    """One event as it came, with why it was given up; `offset` names it within its stage. Times: seconds, the epoch."""

    pipeline: str
    stage: str
    offset: int
    id: str
    event_time: float
    died_at: float
    reason: str
    kind: Literal["recoverable", "non_recoverable"]
    message: str = ""
    attempts: int = 0
    tries: int = 0  # stays with the global retrier
    key: str = ""
    value: str = ""  # of a single one, its first 256 KiB; bytes that are no UTF-8 are replaced
    value_bytes: int = 0
    redriven: bool = False


class DeadLetters(Contract):
    """Newest first; `complete` False: there are more than were looked through."""

    items: tuple[DeadLetter, ...] = ()
    waiting: int = 0  # not redriven, whatever was asked for
    complete: bool = True


class RedriveRequest(Declared):
    """Which dead letters of a stage go to it again: these offsets, or all of a reason, or all; `rate` events/s at most."""

    offsets: tuple[int, ...] = Field(default=(), max_length=OFFSETS_MAX)
    reason: str = Field(default="", max_length=REASON_LENGTH_MAX)
    rate: float = Field(default=100.0, gt=0, le=RATE_MAX)


class RedriveInput(Contract):
    """Workflow `RedriveDeadLetters` and `provisioner.redrive_dead_letters`."""

    pipeline: Name
    stage: Name
    request: RedriveRequest
    request_id: str


class RedriveReport(Contract):
    """How many went; `already` had gone before."""

    redriven: int = 0
    already: int = 0
