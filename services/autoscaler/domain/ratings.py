"""Ratings: what one node of a group was found to sustain within its SLO, and how that changed from revision to revision.

Intervals say what a difference is worth: as long as two of them overlap nothing is claimed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.domain.names import GroupName, RevisionNumber

KEPT_MAX = 100  # of one group
PERCENT = 100


@dataclass(frozen=True, slots=True)
class Rating:
    """Rates are messages/s; `document` is the JSON of what travels, never read here; `bound` says what is wrong with it."""

    id: str
    group: GroupName
    revision: RevisionNumber
    node_type: str
    rated_at_s: float  # since the epoch
    rate: float
    low: float
    high: float
    bound: str
    document: str


def before(rating: Rating, known: Sequence[Rating]) -> Rating | None:
    """The one that a rating is compared with: the newest earlier one of another revision, on the same type of node."""
    others = [
        r
        for r in known
        if r.revision != rating.revision
        and r.node_type == rating.node_type
        and r.id != rating.id
        and r.rated_at_s <= rating.rated_at_s
    ]
    return max(others, key=lambda r: (r.rated_at_s, r.id), default=None)


def change(rating: Rating, earlier: Rating | None) -> str:
    """In words; empty when there is nothing to compare with.

    >>> def rated(revision: int, rate: float) -> Rating:
    ...     return Rating("x", GroupName("g"), RevisionNumber(revision), "t", 0, rate, rate - 5, rate + 5, "", "")
    >>> change(rated(2, 150), rated(1, 100))
    '50 % more than revision 1: 100 [95, 105] -> 150 [145, 155] messages/s'
    >>> change(rated(2, 103), rated(1, 100))
    'no change since revision 1 that the intervals show: 100 [95, 105] -> 103 [98, 108] messages/s'
    """
    if earlier is None:
        return ""
    spans = f"{_span(earlier)} -> {_span(rating)} messages/s"
    if earlier.low <= rating.high and rating.low <= earlier.high:
        return f"no change since revision {earlier.revision} that the intervals show: {spans}"
    word = "more" if rating.rate > earlier.rate else "less"
    share = f"{abs(rating.rate / earlier.rate - 1) * PERCENT:.0f} % " if earlier.rate > 0 else ""
    return f"{share}{word} than revision {earlier.revision}: {spans}"


def priors(newest: Sequence[Rating]) -> Mapping[tuple[GroupName, str], float]:
    """What sizing may start from, by group and type of node; one that found nothing to hold says nothing."""
    return {(r.group, r.node_type): r.rate for r in newest if r.rate > 0}


def _span(rating: Rating) -> str:
    return f"{rating.rate:.0f} [{rating.low:.0f}, {rating.high:.0f}]"
