"""Local retries: events that failed recoverably wait here, each until its turn, while others pass.

The n-th retry waits `first_s * factor ** (n - 1)`, at most `max_s`, with jitter so that nodes do not come back in step.
Later retries go in smaller batches, so that an event that brings its batch down ends up alone.
"""

import heapq
from dataclasses import dataclass

from dataplane.stages.events import Event
from shared.contracts.objects import RetryPolicy

SMALLER_EACH_TIME = 8
JITTER = 0.2  # of the wait, either way


@dataclass(frozen=True, slots=True)
class Waiting:
    """An event to try again; `attempts` have failed, the first at `failed_first_at`."""

    event: Event
    attempts: int
    failed_first_at: float


def next_try(policy: RetryPolicy, waiting: Waiting, now: float, succeeded_at: float) -> Waiting | None:
    """The event with this recoverable failure counted; None: its local tries are over.

    They end when `policy.attempts` are used up and another event went through since its first failure. While nothing at
    all goes through, the other side is probably down, and the event stays, but for `policy.patience_s` at most: on a
    silent stage there is nobody else who could go through. Times are monotonic seconds.

    >>> from dataplane.stages.events import Event
    >>> event = Waiting(Event("e", 0.0, None, b"", "e", 0, 0), 4, 100.0)
    >>> policy = RetryPolicy(attempts=5, patience_s=60)
    >>> next_try(policy, event, 101.0, succeeded_at=90.0).attempts
    5
    >>> next_try(policy, event, 101.0, succeeded_at=100.5), next_try(policy, event, 160.0, succeeded_at=90.0)
    (None, None)
    """
    first = waiting.failed_first_at or now
    attempts = waiting.attempts + 1
    if attempts >= policy.attempts and (succeeded_at > first or now - first >= policy.patience_s):
        return None
    return Waiting(waiting.event, attempts, first)


def wait_s(policy: RetryPolicy, attempts: int, jitter: float) -> float:
    """How long after `attempts` failures; `jitter` in [-1, 1].

    >>> [wait_s(RetryPolicy(first_s=0.1, factor=2, max_s=0.5), n, 0) for n in (1, 2, 3, 4, 400)]
    [0.1, 0.2, 0.4, 0.5, 0.5]
    """
    growth = float(policy.factor ** min(attempts - 1, 64))
    return min(policy.max_s, policy.first_s * growth) * (1 + JITTER * jitter)


def batch_size(batch_max: int, attempts: int) -> int:
    """How many events of `attempts` failures go together.

    >>> [batch_size(200, n) for n in (1, 2, 3)]
    [25, 3, 1]
    """
    smaller: int = SMALLER_EACH_TIME**attempts
    return max(1, batch_max // smaller)


class RetryQueue:
    """Ordered by due time; used by one thread."""

    def __init__(self) -> None:
        """Empty."""
        self._heap: list[tuple[float, int, Waiting]] = []
        self._count = 0

    def __len__(self) -> int:
        """How many wait."""
        return len(self._heap)

    def push(self, due: float, waiting: Waiting) -> None:
        """Due at a monotonic time."""
        self._count += 1
        heapq.heappush(self._heap, (due, self._count, waiting))

    def due_in(self, now: float) -> float | None:
        """Seconds until the next is due; None when none waits."""
        return max(0.0, self._heap[0][0] - now) if self._heap else None

    def pop_due(self, now: float, batch_max: int) -> list[Waiting]:
        """A batch of what is due; its size follows from the event that has failed most."""
        taken: list[Waiting] = []
        while self._heap and self._heap[0][0] <= now:
            attempts = max([self._heap[0][2].attempts, *(w.attempts for w in taken)])
            if len(taken) >= batch_size(batch_max, attempts):
                break
            taken.append(heapq.heappop(self._heap)[2])
        return taken

    def drop(self, partitions: set[int]) -> None:
        """Those partitions are another member's now."""
        self._heap = [entry for entry in self._heap if entry[2].event.partition not in partitions]
        heapq.heapify(self._heap)

    def oldest_time(self) -> float | None:
        """The earliest event time that waits."""
        return min((w.event.time for _, _, w in self._heap), default=None)
