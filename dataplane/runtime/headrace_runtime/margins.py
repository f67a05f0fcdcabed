"""Time that is kept back from a deadline, so that what was done by then still reaches the caller.

A constant is too much of a short deadline and too little on a machine that has other work: each step keeps `SHARE` of what
it was given, at least what it names, at most `S_MAX`.
"""

SHARE = 0.05
S_MAX = 2.0


def kept_back_s(given_s: float, least_s: float) -> float:
    """Seconds to keep back of `given_s`.

    >>> [kept_back_s(given_s, 0.2) for given_s in (0.5, 20.0, 60.0)]
    [0.2, 1.0, 2.0]
    """
    return min(S_MAX, max(least_s, SHARE * given_s))
