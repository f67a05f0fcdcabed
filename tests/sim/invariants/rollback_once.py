"""RollbackOnce."""

from tests.sim.invariants.played import Played


class RollbackOnce:
    """A deployment is rolled back at most once, and one that says it was rolled back was."""

    def broken(self, played: Played) -> list[str]:
        rollbacks = [r for r in played.play.runs if r.kind == "RollBack"]
        deployments = [r for r in played.play.runs if r.kind == "DeployGroup"]
        wrong = []
        if len(rollbacks) > len(deployments):
            wrong.append(f"{len(rollbacks)} rollbacks of {len(deployments)} deployments")
        if played.outcome == "rolled_back" and not rollbacks:
            wrong.append("rolled back without a rollback")
        return wrong
