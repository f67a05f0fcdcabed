"""Shrinking: a red plan becomes a small one that breaks the same."""

from pathlib import Path

from tests.sim.__main__ import new_file
from tests.sim.plan import Plan
from tests.sim.seeds import plan_of
from tests.sim.shrink import Shrinker


class ByParts(Shrinker):
    """Breaks as long as two certain events are there: no world is needed to see that ddmin finds them."""

    def breaks_it(self, plan: Plan) -> bool:
        return {"crash", "pause"} <= {e["do"] for e in plan.events}


def test_only_what_is_needed_is_left() -> None:
    plan = next(p for p in map(plan_of, range(100)) if {"crash", "pause"} <= {e["do"] for e in p.events})
    shrinker = ByParts("OneHolder")
    small = shrinker.shrink(plan, plan.horizon_s)
    assert sorted(e["do"] for e in small.events) == ["crash", "pause"]
    assert small.breaks == "OneHolder"
    assert shrinker.runs < 200


def test_a_budget_ends_it_and_the_smallest_plan_so_far_was_told() -> None:
    plan = next(p for p in map(plan_of, range(100)) if {"crash", "pause"} <= {e["do"] for e in p.events})
    told: list[Plan] = []
    seconds = iter(range(1000))
    shrinker = ByParts("OneHolder", budget_s=6.0, now=lambda: float(next(seconds)), kept=told.append)
    small = shrinker.shrink(plan, plan.horizon_s)
    assert 1 <= shrinker.runs <= 6
    assert len(told[-1].events) == len(small.events) < len(plan.events)
    assert told[-1].breaks == small.breaks == "OneHolder"


def test_what_comes_after_the_break_goes_first() -> None:
    plan = next(p for p in map(plan_of, range(100)) if {"crash", "pause"} <= {e["do"] for e in p.events})
    broke_at_s = max(next(float(e["at"]) for e in plan.events if e["do"] == do) for do in ("crash", "pause"))
    told: list[Plan] = []
    ByParts("OneHolder", kept=told.append).shrink(plan, broke_at_s)
    assert told[0].horizon_s == min(plan.horizon_s, broke_at_s + 60.0)
    assert max(float(e["at"]) for e in told[0].events) <= broke_at_s


def test_no_plan_that_is_kept_is_overwritten(tmp_path: Path) -> None:
    assert new_file("oneholder-7", tmp_path).name == "oneholder-7.json"
    for name in ("oneholder-7.json", "oneholder-7-2.json"):
        (tmp_path / name).touch()
    assert new_file("oneholder-7", tmp_path).name == "oneholder-7-3.json"
