"""What every driver of load is: it looks whether the node takes the sample at all, and drives one rate for a while."""

from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from headrace_runtime.rating import Promise, Step

WARM_SHARE = 0.2  # of a step, not counted
LATE_FACTOR = 4.0  # of the promised latency: after that a message is given up
FIRST_S_MAX = 60.0  # for the first answer: it pays for what users' code, connections and memberships put off
DETAIL_LENGTH_MAX = 300


@dataclass(frozen=True, slots=True)
class Sample:
    """What is sent, for how long, and what must hold."""

    events: tuple[bytes, ...]
    step_s: float
    promise: Promise

    @property
    def give_up_s(self) -> float:
        """Nothing is waited for longer."""
        return self.promise.latency_s * LATE_FACTOR


class Driver(Protocol):
    """Of one way; errors are HeadraceError: the node, or what it needs, does not answer."""

    def __enter__(self) -> Self:
        """Connect."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        """Let go."""
        ...

    def refusal(self) -> str:
        """What the node says when it takes nothing of the sample; empty when it takes some."""
        ...

    def step(self, rate: float) -> Step:
        """Messages/s for the step's time, open loop: a slow answer delays nothing."""
        ...


def brief(text: object) -> str:
    """On one line, bounded."""
    return " ".join(str(text).split())[:DETAIL_LENGTH_MAX]
