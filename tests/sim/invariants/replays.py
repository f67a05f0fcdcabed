"""Replays."""

from tests.sim.invariants.played import Played


class Replays:
    """Every history replays to the same commands, at every place where a worker forgot it and once more at the end."""

    def broken(self, played: Played) -> list[str]:
        return [p for p in played.problems if "replay differs" in p]
