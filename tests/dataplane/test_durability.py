"""Nothing that was acknowledged is lost, whoever is killed; counted by id at the far end. `make test-durability` is the long form."""

import pytest

from tests.dataplane.durability.faults import WEIGHTS, plan_of
from tests.dataplane.durability.running import durability_run

EVENTS, SEED = 20_000, 20131
FAULTS = len(WEIGHTS)  # one of each


def test_a_plan_has_every_action_and_follows_from_its_seed() -> None:
    plan = plan_of(SEED, FAULTS, 1.0)
    assert {f.action for f in plan} == set(WEIGHTS)
    assert plan == plan_of(SEED, FAULTS, 1.0)
    assert plan != plan_of(SEED + 1, FAULTS, 1.0)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_no_acknowledged_event_is_lost_while_everything_is_killed_in_midstream() -> None:
    found = durability_run(EVENTS, SEED, nodes_each=2, faults=(FAULTS, FAULTS), gap_s=1.0)
    assert (found.acknowledged, found.lost, found.dead_unexpected) == (EVENTS, [], [])
    assert found.arrived + found.dead == EVENTS
    assert len(found.faults) == FAULTS
