"""Every workflow that changes the world, every step of it failed, answered twice and cancelled; seeds with several troubles;
planted bugs. `SIM_WORKFLOW_SEEDS=1000 .venv/bin/pytest tests/sim/temporal/test_trials.py` plays more seeds."""

import os

import pytest

from tests.sim.temporal.mutants import PLANTS
from tests.sim.temporal.trials import SCENES, Plan, calls_of, drawn, sweep, tried_and_judged

SEEDS = int(os.environ.get("SIM_WORKFLOW_SEEDS", "15"))
MUTANT_SEEDS_MAX = 125  # of each scene: 1,000 trials


@pytest.mark.parametrize("kind", SCENES)
def test_every_step_fails_once_or_is_cancelled_and_no_invariant_breaks(kind: str) -> None:
    wrong = {str(plan): broken for plan in sweep(kind) if (broken := tried_and_judged(plan)[1])}
    assert wrong == {}


@pytest.mark.parametrize("kind", SCENES)
def test_seeds_with_several_troubles_break_no_invariant(kind: str) -> None:
    calls = calls_of(kind)
    plans = [drawn(kind, seed, calls) for seed in range(SEEDS)]
    wrong = {str(plan): broken for plan in plans if (broken := tried_and_judged(plan)[1])}
    assert wrong == {}


@pytest.mark.parametrize("name", PLANTS)
def test_planted_bugs_are_found(name: str) -> None:
    calls = {kind: calls_of(kind) for kind in SCENES}
    plans = (drawn(kind, seed, calls[kind]) for seed in range(MUTANT_SEEDS_MAX) for kind in SCENES)
    with PLANTS[name]():
        assert any(tried_and_judged(plan)[1] for plan in plans), f"{name} was not found"


REGRESSIONS = (
    # Cancelled between its registration and its ramp: the pipeline was left without one, and the workflow said nothing.
    *(Plan("pipeline", 116, cancels_at=at / 1000, evict=0.1) for at in range(20, 130, 3)),
)


@pytest.mark.parametrize("kind", sorted({p.kind for p in REGRESSIONS}))
def test_plans_that_once_broke_an_invariant(kind: str) -> None:
    wrong = {str(p): broken for p in REGRESSIONS if p.kind == kind and (broken := tried_and_judged(p)[1])}
    assert wrong == {}
