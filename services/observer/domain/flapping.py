"""Flapping after Nagios: weighted share of state changes among the last 21 states.

The weight of change x (1..20, oldest first) is 0.75 + (x - 1) * 0.5 / 19: alternating always is 100 %, only the
newest change 6.25 %. Flapping starts at 30 % and stops at 20 %. It collapses notifications into one; it never hides a
bad verdict.
"""

from collections.abc import Sequence
from itertools import pairwise

from shared.domain.health import VerdictState

HISTORY = 21
START_PERCENT = 30.0
STOP_PERCENT = 20.0


def change_percent(states: Sequence[VerdictState]) -> float:
    """Weighted share of changes in percent, over the last 21 states.

    >>> round(change_percent([VerdictState.HEALTHY] * 20 + [VerdictState.UNHEALTHY]), 2)
    6.25
    """
    last = list(states)[-HISTORY:]
    if not last or last.count(last[0]) == len(last):
        return 0.0  # as nearly always
    padded = [last[0]] * (HISTORY - len(last)) + last
    return 100.0 * sum(0.75 + x * 0.5 / 19 for x, (a, b) in enumerate(pairwise(padded)) if a != b) / (HISTORY - 1)


def is_flapping(states: Sequence[VerdictState], *, before: bool) -> bool:
    """With hysteresis between the two bounds."""
    percent = change_percent(states)
    return percent >= START_PERCENT or (before and percent > STOP_PERCENT)
