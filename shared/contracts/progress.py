"""Where a running workflow stands: the answer of every workflow's query `progress`."""

from shared.contracts.base import Contract, ReasonModel


class Progress(Contract):
    """`phase`: waiting (for admission), running, holding (asked to, or unsure), paused (by a person), undoing, ended.

    `since` is when this text became true, in seconds since the epoch.
    """

    subject: str
    phase: str = "running"
    step: int = 0
    steps: int = 0
    text: str = ""
    reasons: tuple[ReasonModel, ...] = ()
    since: float = 0.0
