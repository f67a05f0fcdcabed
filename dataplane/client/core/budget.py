"""The retry budget: retries are paid from what first attempts have earned, so that failing servers are not buried.

A token bucket that is filled by calls instead of time: each call earns `EARNED_PER_CALL`, each retry costs one. Over any
stretch of `n` calls there are at most `n * (1 + EARNED_PER_CALL) + TOKENS_MAX` attempts; from a cold start
`TOKENS_FIRST` stands in the place of `TOKENS_MAX`. The store of tokens is what lets every call in flight on a killed
server be tried again at once.
"""

EARNED_PER_CALL = 0.1
TOKENS_FIRST, TOKENS_MAX = 20.0, 100.0


class RetryBudget:
    """Of one client."""

    def __init__(self) -> None:
        """Some retries are there from the start."""
        self._tokens = TOKENS_FIRST

    @property
    def tokens(self) -> float:
        """What is left."""
        return self._tokens

    def earn(self) -> None:
        """A call begins."""
        self._tokens = min(TOKENS_MAX, self._tokens + EARNED_PER_CALL)

    def has_one(self) -> bool:
        """Whether a retry could be paid."""
        return self._tokens >= 1.0

    def spend(self) -> bool:
        """Pay a retry; False: it must not be made."""
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True
