"""Which members are kept out because they fail while others do not.

A member is ejected after `CONSECUTIVE_MAX` failures in a row, or when half of its calls in the last seconds failed. It
stays out for `FIRST_S`, doubled at each ejection that follows soon, then one call at a time tries it: an answer brings it
back, a failure ejects it again. Bounded: never more than half of the members, and nobody while the others fail as well,
because then it is not the member that is at fault and fewer servers would make it worse.

    IN --failures--> OUT --time--> TRYING --answer--> IN
                      ^------------failure-'
"""

from enum import Enum

CONSECUTIVE_MAX = 3
WINDOW_S = 10.0
CALLS_MIN = 20  # in the window, before its share of failures says anything
FAILED_SHARE = 0.5
EJECTED_SHARE_MAX = 0.5
FIRST_S, S_MAX = 1.0, 30.0
CALM_S = 60.0  # after so long in traffic the next ejection is a first one


class Standing(Enum):
    """Where a member stands."""

    IN = "in"
    OUT = "out"
    TRYING = "trying"


class Record:
    """Of one member."""

    __slots__ = (
        "_began",
        "_calls",
        "_calls_before",
        "_failed",
        "_failed_before",
        "_in_a_row",
        "_out_end",
        "_times",
        "_trying",
    )

    def __init__(self) -> None:
        """A new member is in."""
        self._in_a_row = self._times = 0
        self._calls = self._failed = self._calls_before = self._failed_before = 0
        self._began = 0.0
        self._out_end = float("-inf")  # of the last time out
        self._trying = False  # nothing has come of the last time out yet

    def standing(self, now: float) -> Standing:
        """Just now."""
        if now < self._out_end:
            return Standing.OUT
        return Standing.TRYING if self._trying else Standing.IN

    def answered(self, now: float) -> None:
        """It answered: whatever it was tried for is over."""
        self._turn(now)
        self._calls += 1
        self._in_a_row = 0
        if self.standing(now) is Standing.TRYING:
            self._trying = False

    def failed(self, now: float) -> bool:
        """It failed; True: it should be ejected, if that is allowed."""
        self._turn(now)
        self._calls += 1
        self._failed += 1
        self._in_a_row += 1
        if self.standing(now) is not Standing.IN:
            return self.standing(now) is Standing.TRYING
        calls, failed = self.counts(now)
        return self._in_a_row >= CONSECUTIVE_MAX or (calls >= CALLS_MIN and failed >= FAILED_SHARE * calls)

    def eject(self, now: float) -> None:
        """Keep it out for a while, longer each time."""
        if now - self._out_end > CALM_S:
            self._times = 0
        self._out_end = now + min(S_MAX, FIRST_S * 2.0 ** min(self._times, 10))
        self._trying = True
        self._times += 1
        self._in_a_row = 0
        self._calls = self._failed = self._calls_before = self._failed_before = 0

    def counts(self, now: float) -> tuple[int, int]:
        """Calls and failures of the last half to whole window."""
        self._turn(now)
        return self._calls + self._calls_before, self._failed + self._failed_before

    def _turn(self, now: float) -> None:
        halves = int((now - self._began) / (WINDOW_S / 2))
        if halves <= 0:
            return
        self._calls_before, self._failed_before = (self._calls, self._failed) if halves == 1 else (0, 0)
        self._calls = self._failed = 0
        self._began = now


def may_eject(out: int, members: int, calls_of_others: int, failed_of_others: int) -> bool:
    """Whether one more member may be ejected; the counts are of the other members that are in.

    >>> may_eject(0, 3, 100, 1), may_eject(1, 3, 50, 0), may_eject(0, 1, 0, 0), may_eject(0, 4, 100, 70)
    (True, False, False, False)
    """
    if out + 1 > EJECTED_SHARE_MAX * members:
        return False
    return failed_of_others < FAILED_SHARE * calls_of_others or calls_of_others == 0
