"""Whether a deployment may be planned, and the states of one."""

import pytest

from services.deployer.domain.lifecycle import FINAL, STEP_PHASE, TRANSITIONS, Phase, follow, follow_step
from services.deployer.domain.opening import Fleet, Opening, Wish, missing_artifacts, open_reasons
from services.deployer.domain.revision import RevisionRecord, marked_bad, next_number
from shared.domain.errors import Conflict
from shared.domain.names import DeploymentId, FleetId, RevisionNumber
from tests.deployer.plans import GROUP, artifact, revision


def fleet(number: int = 1, weight: int = 100, nodes: int = 2) -> Fleet:
    return Fleet(FleetId(f"delays-r{number}"), RevisionNumber(number), weight, nodes, nodes)


RUNNING = RevisionRecord(revision(1, code="code-1"), made_at=1.0)
NEW_CODE = Wish(code=artifact("code-2"))


def codes(found: object) -> list[str]:
    assert isinstance(found, tuple), found
    return [r.code for r in found]


def test_what_is_not_named_stays_as_it_runs() -> None:
    found = open_reasons(GROUP, NEW_CODE, [fleet()], [RUNNING])
    assert isinstance(found, Opening)
    assert found.wanted.number == 2
    assert found.wanted.environment == RUNNING.revision.environment
    assert found.wanted.code == artifact("code-2")
    assert (found.old.fleet, found.nodes) == ("delays-r1", 2)


@pytest.mark.parametrize(
    ("why", "wish", "fleets", "known", "expected"),
    [
        ("no fleet", NEW_CODE, [], [RUNNING], ["NoFleet"]),
        ("two fleets serve", NEW_CODE, [fleet(1, 50), fleet(2, 50)], [RUNNING], ["TwoFleetsServe"]),
        ("what serves is unknown", NEW_CODE, [fleet(7)], [RUNNING], ["NoWayBack"]),
        ("it runs already", Wish(code=artifact("code-1")), [fleet()], [RUNNING], ["NothingToDeploy"]),
        (
            "it was bad",
            NEW_CODE,
            [fleet()],
            [RUNNING, RevisionRecord(revision(2), 2.0, bad=True, bad_reason="a tenth failed")],
            ["RevisionMarkedBad"],
        ),
    ],
)
def test_refusals(why: str, wish: Wish, fleets: list[Fleet], known: list[RevisionRecord], expected: list[str]) -> None:
    assert codes(open_reasons(GROUP, wish, fleets, known)) == expected


def test_a_bad_version_is_deployed_by_somebody_who_says_so_under_a_new_number() -> None:
    known = [RUNNING, RevisionRecord(revision(2), 2.0, bad=True)]
    found = open_reasons(GROUP, Wish(code=artifact("code-2"), override_bad=True), [fleet()], known)
    assert isinstance(found, Opening)
    assert found.wanted.number == 3


def test_a_fleet_without_traffic_is_left_over() -> None:
    found = open_reasons(GROUP, NEW_CODE, [fleet(1), fleet(2, weight=0)], [RUNNING])
    assert isinstance(found, Opening)
    assert found.leftovers == ("delays-r2",)


def test_artifacts_of_both_revisions_are_asked_for() -> None:
    opening = open_reasons(GROUP, NEW_CODE, [fleet()], [RUNNING])
    assert isinstance(opening, Opening)
    there = {a.url: True for a in (*opening.running.artifacts, *opening.wanted.artifacts)}
    assert missing_artifacts(opening, there) == ()
    assert codes(missing_artifacts(opening, there | {artifact("code-1").url: False})) == ["NoWayBack"]
    assert codes(missing_artifacts(opening, there | {artifact("code-2").url: False})) == ["ArtifactMissing"]


def test_numbers_are_never_used_twice_and_content_decides_what_is_the_same() -> None:
    known = [RUNNING, RevisionRecord(revision(5), 2.0, bad=True)]
    assert next_number(known) == 6
    assert marked_bad(revision(9), known) == known[1]
    assert marked_bad(revision(9, level="2"), known) is None


def test_every_state_has_a_way_out_unless_it_is_final() -> None:
    assert set(TRANSITIONS) == set(Phase)
    for phase, after in TRANSITIONS.items():
        assert bool(after) == (phase not in FINAL)
        assert phase in FINAL or after & FINAL


@pytest.mark.parametrize("now", Phase)
@pytest.mark.parametrize("after", Phase)
def test_each_transition_is_listed_or_refused(now: Phase, after: Phase) -> None:
    if after is now or after in TRANSITIONS[now]:
        assert follow(DeploymentId("d"), now, after) is after
    else:
        with pytest.raises(Conflict, match="cannot become"):
            follow(DeploymentId("d"), now, after)


@pytest.mark.parametrize("state", STEP_PHASE)
def test_a_late_record_of_a_step_does_not_take_an_end_back(state: str) -> None:
    for final in FINAL:
        assert follow_step(final, state) is final
    assert follow_step(Phase.ROLLING_BACK, "started") is Phase.ROLLING_BACK
