"""Shrinking: a red plan becomes a small one that breaks the same."""

from tests.sim.plan import Plan
from tests.sim.seeds import plan_of
from tests.sim.shrink import Shrinker


class ByParts(Shrinker):
    """Breaks as long as two certain events are there: no world is needed to see that ddmin finds them."""

    def still(self, plan: Plan) -> bool:
        self.runs += 1
        return {"crash", "pause"} <= {e["do"] for e in plan.events}


def test_only_what_is_needed_is_left() -> None:
    plan = next(p for p in map(plan_of, range(100)) if {"crash", "pause"} <= {e["do"] for e in p.events})
    shrinker = ByParts("OneHolder")
    small = shrinker.shrink(plan)
    assert sorted(e["do"] for e in small.events) == ["crash", "pause"]
    assert small.breaks == "OneHolder"
    assert shrinker.runs < 200
