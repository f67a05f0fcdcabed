"""Many events in one request: cut into parts that a server takes, and put together again with a result for each."""

from collections.abc import Iterator, Sequence

EVENTS_MAX = 1_000
BYTES_MAX = 4 * 1024 * 1024


def parts(sizes: Sequence[int], events_max: int = EVENTS_MAX, bytes_max: int = BYTES_MAX) -> Iterator[slice]:
    """Consecutive stretches of at most so many events and bytes; an event that is larger goes alone.

    >>> list(parts([1, 1, 9, 1], events_max=2, bytes_max=5))
    [slice(0, 2, None), slice(2, 3, None), slice(3, 4, None)]
    """
    first = held = 0
    for place, size in enumerate(sizes):
        if place > first and (place - first >= events_max or held + size > bytes_max):
            yield slice(first, place)
            first, held = place, 0
        held += size
    if sizes:
        yield slice(first, len(sizes))
