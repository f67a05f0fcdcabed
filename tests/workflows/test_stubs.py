"""The stubs, the limits and the table of activities say the same."""

from shared.contracts.activities import ACTIVITIES
from workflows.policies import BEAT_S, LEASE_TTL_S, POLICIES
from workflows.stubs import STUBS


def test_there_is_a_stub_for_every_activity_with_its_types() -> None:
    assert {s.name: (s.input, s.output) for s in STUBS} == {n: (r.input, r.output) for n, r in ACTIVITIES.items()}


def test_every_activity_has_limits() -> None:
    assert set(POLICIES) == set(ACTIVITIES)
    for policy in POLICIES.values():
        assert 0 < policy.attempt_s <= policy.total_s
        assert policy.heartbeat_s is None or policy.heartbeat_s <= policy.attempt_s


def test_a_heartbeat_is_tried_again_before_the_lease_lapses() -> None:
    assert BEAT_S + POLICIES["observer.heartbeat"].total_s < LEASE_TTL_S
