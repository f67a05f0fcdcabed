"""Which fleet a call goes to: smooth weighted round robin, so that shares hold over every stretch of calls.

Each choice adds its weight to every fleet's credit; the fleet with the most credit is chosen and pays the sum of all
weights (nginx's algorithm). With constant weights the calls of a fleet never differ from `calls * weight / sum` by more
than the number of fleets less one; drawing lots would be off by the square root of the calls.

>>> shares = Shares()
>>> "".join(shares.choose({"a": 5, "b": 1}) for _ in range(12))
'aaabaaaaabaa'
"""

from collections.abc import Mapping


class Shares:
    """Of one group and one set of weights: new weights, new shares."""

    def __init__(self) -> None:
        """Nobody has credit."""
        self._credit: dict[str, int] = {}

    def choose(self, weights: Mapping[str, int]) -> str:
        """The fleet of the next call; `weights` is not empty, and all are above 0. A fleet left out keeps its credit."""
        credit = self._credit
        for fleet, weight in weights.items():
            credit[fleet] = credit.get(fleet, 0) + weight
        chosen = max(weights, key=credit.__getitem__)
        credit[chosen] -= sum(weights.values())
        return chosen
