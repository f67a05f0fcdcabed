"""ProgressOfWorkflows."""

from tests.sim.invariants.played import Played


class ProgressOfWorkflows:
    """Once nothing fails any more every workflow ends, and none is stuck on a workflow task that fails."""

    def broken(self, played: Played) -> list[str]:
        return [p for p in played.problems if "has not ended" in p or "workflow task failed" in p]
