"""UndoneOrDone."""

from tests.sim.invariants.played import Played

# Who failed for good to begin or to end knows no better: the lease lapses by itself.
ENDS = frozenset({"observer.begin", "observer.end", "deployer.close_deployment", "autoscaler.release"})
OUTCOMES = frozenset({"done", "refused", "failed", "cancelled", "rolled_back", "superseded"})


class UndoneOrDone:
    """A workflow that ended has either done all of its work or left the world as it was, and holds nothing.

    While it runs the group serves what it needs; the world checks that after each call.
    """

    def broken(self, played: Played) -> list[str]:
        wrong = list(played.world.problems)
        if played.outcome not in OUTCOMES:
            wrong.append(f"it ended as {played.outcome}: {played.text}")
        held = [h.request for h in played.world.held.values() if h.outcome is None]
        again = {
            h.request.request_id.partition("/again-")[0]
            for h in played.world.held.values()
            if "/again-" in h.request.request_id
        }
        left = [r.kind for r in held if "/again-" in r.request_id or r.request_id not in again]  # the others had lapsed
        if left and not played.excused & ENDS:
            wrong.append(f"still held: {left}")
        match played.kind:
            case "deploy":
                wrong += self._deploy(played)
            case "create":
                wrong += self._create(played)
            case "pipeline":
                if played.world.pipelines and played.outcome != "done" and not played.undo_failed:
                    wrong.append(f"{played.outcome}, and the pipeline is left")
            case "rate" | "clear":
                gone = played.kind == "rate" or played.outcome == "done"
                if gone and (played.world.copy or played.world.behind) and not played.undo_failed:
                    wrong.append(f"{played.outcome}, and the copy, or what it called, is left")
            case _:
                pass
        return wrong

    def _deploy(self, played: Played) -> list[str]:
        serves = played.with_traffic
        if played.undo_failed:  # tried once, kept as it is, and somebody is woken
            return [] if serves else ["nothing serves"]
        if len(serves) != 1:
            return [f"traffic on {serves}"]
        if played.outcome == "done" and serves != ["delays-r2"]:
            return [f"done, and {serves} serves"]
        if played.outcome in {"cancelled", "rolled_back", "refused"} and serves != ["delays-r1"]:
            return [f"{played.outcome}, and {serves} serves"]
        clean = played.outcome in {"done", "cancelled", "rolled_back", "refused"}
        return (
            [f"{played.outcome}, and fleets are left: {played.world.serving}"]
            if clean and len(played.world.fleets) != 1
            else []
        )

    def _create(self, played: Played) -> list[str]:
        if played.outcome == "done":
            return [] if played.with_traffic else ["done, and nothing serves"]
        if played.world.fleets and not played.undo_failed:
            return [f"{played.outcome}, and fleets are left: {played.world.serving}"]
        return []
