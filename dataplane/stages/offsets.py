"""Which offsets may be committed: everything below the oldest event that is not done.

Events are done out of order, because one that is tried again waits while others pass it. A partition's committable
offset is that of its oldest waiting event, or one past the newest seen when none waits.

>>> tracker = OffsetTracker()
>>> tracker.seen(0, 5); tracker.seen(0, 6); tracker.wait(0, 5)
>>> tracker.committable()
{0: 5}
>>> tracker.done(0, 5)
>>> tracker.committable()
{0: 7}
"""


class OffsetTracker:
    """Of one consumer; used by one thread."""

    def __init__(self) -> None:
        """Knows no partition."""
        self._newest: dict[int, int] = {}
        self._waiting: dict[int, set[int]] = {}

    def seen(self, partition: int, offset: int) -> None:
        """An event was read; it is done unless `wait` says otherwise."""
        self._newest[partition] = max(offset, self._newest.get(partition, -1))

    def wait(self, partition: int, offset: int) -> None:
        """An event is not done yet: nothing at or above it is committed."""
        self._waiting.setdefault(partition, set()).add(offset)

    def done(self, partition: int, offset: int) -> None:
        """A waiting event is done."""
        self._waiting.get(partition, set()).discard(offset)

    def forget(self, partition: int) -> None:
        """The partition is another member's now."""
        self._newest.pop(partition, None)
        self._waiting.pop(partition, None)

    def committable(self) -> dict[int, int]:
        """The next offset to read, by partition."""
        return {
            partition: min(waiting) if (waiting := self._waiting.get(partition)) else newest + 1
            for partition, newest in self._newest.items()
        }
