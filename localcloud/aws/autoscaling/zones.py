"""Whether a group's zones are even, and how many instances would have to move. Pure.

After "Rebalancing activities" in the user guide: instances are launched in the zones that have too few before others
are terminated where there are too many.
"""

from collections import Counter
from collections.abc import Sequence

from localcloud.aws.autoscaling.records import Member

UNEVEN_MIN = 2  # a difference of one is as even as it gets


def moves(zones: Sequence[str], capacity: Sequence[Member]) -> int:
    """How many instances must change zone until no two zones differ by more than one; 0: even.

    Zones whose instances are all protected from scale-in have nothing to give.
    """
    counts = Counter(dict.fromkeys(zones, 0))
    counts.update(m.zone for m in capacity if m.zone in counts)
    giving = {m.zone for m in capacity if not m.protected}
    fullest = max((counts[zone] for zone in zones if zone in giving), default=0)
    if not counts or fullest - min(counts.values()) < UNEVEN_MIN:
        return 0
    low, rest = divmod(counts.total(), len(counts))
    over = sum(max(0, n - low - bool(rest)) for n in counts.values())
    under = sum(max(0, low - n) for n in counts.values())
    return max(over, under)


def emptiest(zones: Sequence[str], capacity: Sequence[Member]) -> list[str]:
    """The zones that have the fewest instances.

    >>> emptiest(["a", "b"], [])
    ['a', 'b']
    """
    counts = Counter(m.zone for m in capacity)
    fewest = min(counts[zone] for zone in zones)
    return [zone for zone in zones if counts[zone] == fewest]
