"""Pure rules of the admin API: plans, roles, the throttle, the chain."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.admin_api.domain.audit_chain import FIRST, digest_of, first_broken
from services.admin_api.domain.comparing import compared
from services.admin_api.domain.planning import DEPLOYED_FIELDS, GROUP_KIND_OF_WORK, plan_declared, plan_deletes
from services.admin_api.domain.records import (
    Action,
    AuditEntry,
    AuditRow,
    ObjectKey,
    ObjectKind,
    Spec,
    StoredObject,
    kind_of_spec,
)
from services.admin_api.domain.roles import NEEDED, Actor, Role, Verb, denied
from services.admin_api.domain.throttle import BAD_MAX, WINDOW_S, BadTokenThrottle
from services.admin_api.operations.explaining import LATELY_SHOWN, telling
from services.admin_api.operations.specs import checked_objects
from services.admin_api.operations.status_of import Seen, unfinished
from shared.contracts.provisioning import GroupModel
from shared.contracts.scaling import DecisionModel
from shared.contracts.works import Work
from shared.domain.errors import InvalidInput
from shared.domain.names import Workspace, checked_new_group
from tests.admin_api.conftest import environment, flights, group, pipeline

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DEFAULT = Workspace("default")


def declared(objects: list[dict[str, Any]]) -> list[tuple[ObjectKey, Spec]]:
    return checked_objects(objects, DEFAULT)


def stored(objects: list[dict[str, Any]], source: str = "flights") -> dict[ObjectKey, StoredObject]:
    return {key: StoredObject(DEFAULT, key, 3, spec, source, NOW, NOW, "me") for key, spec in declared(objects)}


def test_the_plan_of_nothing_new_is_empty() -> None:
    made = plan_declared(declared(flights()), stored(flights()), source="flights", prune=True)
    assert made.changes == ()
    assert made.unchanged == 4
    assert made.blocked == ()


def test_what_was_applied_and_is_not_ready_is_carried_out_again() -> None:
    objects = stored(flights())
    key = next(key for key in objects if key.kind is ObjectKind.SERVER_GROUP)
    made = plan_declared(declared(flights()), objects, source="", prune=False, unfinished={key: "it failed"})
    assert [(c.action, c.key, c.base_generation, c.fields, c.why) for c in made.changes] == [
        (Action.UPDATE, key, 3, (), "it failed")
    ]
    assert made.unchanged == 3


@pytest.mark.parametrize(
    ("phase", "made", "again"),
    [
        (None, {}, "nothing of it exists yet"),
        ("PENDING", {}, "did not become ready"),
        ("ERROR", {"detail": "no room"}, "no room"),
        ("READY", {}, ""),
        ("UPDATING", {}, ""),
        ("READY", {"spec": {"owner": "x"}}, "owner"),
        ("READY", {"fleets": ({"fleet": "f-r1", "asg": "f", "revision": 1},)}, "no traffic goes to it"),
        ("READY", {"fleets": ({"fleet": "f-r1", "asg": "f", "revision": 1, "weight": 100},)}, ""),
        ("READY", {"spec": {"variables": {"A": "1"}}}, ""),  # a deployment brings it, or has taken it back
    ],
)
def test_what_is_unfinished(phase: str | None, made: dict[str, Any], again: str) -> None:
    one = next(o for key, o in stored(flights()).items() if key.kind is ObjectKind.SERVER_GROUP)
    spec = {**one.spec, **made.pop("spec", {})}
    known = {"spec": spec, "generation": 2, "phase": phase, **made}
    groups = {one.key.name: GroupModel.model_validate(known)} if phase else {}
    why = unfinished(one, Seen(groups=groups))
    assert again in why
    assert bool(again) == bool(why)
    assert unfinished(one, Seen()) == "", "nobody can tell"
    assert unfinished(replace(one, deleted=True), Seen(groups=groups)) == ""


@pytest.mark.parametrize(
    ("field", "value", "deploys"),
    [
        ("code", "0" * 64, True),
        ("variables", {"A": "1"}, True),
        ("environment", "env", False),
        ("owner", "x", False),
        ("node_type", "big", False),
    ],
)
def test_only_code_environment_and_variables_need_a_deployment(field: str, value: Any, deploys: bool) -> None:
    objects = flights()
    objects[2][field] = value
    made = plan_declared(declared(objects), stored(flights()), source="", prune=False)
    assert [c.deploys for c in made.changes] == ([deploys] if made.changes else [])
    assert (field in DEPLOYED_FIELDS) or not deploys


def test_a_group_cannot_change_its_kind() -> None:
    objects = flights()[:3]
    objects[1]["kind"] = "stage"
    made = plan_declared(declared(objects), stored(flights()[:3]), source="", prune=False)
    assert [c.action for c in made.changes] == [Action.REPLACE]
    assert [r.code for r in made.blocked] == ["ReplaceNeeded"]


@pytest.mark.parametrize("name", ["delays-r1", "delays-r1x", "delays-r9-late", "r2"])
def test_a_new_group_is_not_named_like_a_fleet_of_another(name: str) -> None:
    objects = [environment(), group(name)]
    with pytest.raises(InvalidInput, match=f"name: '{name}' reads like a fleet") as refused:
        plan_declared(declared(objects), {}, source="flights", prune=False)
    assert "'r' and a digit" in refused.value.remedy
    standing = stored(objects)
    objects[1]["owner"] = "somebody else"
    assert len(plan_declared(declared(objects), standing, source="flights", prune=False).changes) == 1


@pytest.mark.parametrize("name", ["delays-r", "delays-r0", "delays-realtime", "air1", "delays-ar1"])
def test_names_that_begin_alike_are_not_refused(name: str) -> None:
    assert checked_new_group(name) == name


def test_deletes_come_last_and_in_reverse() -> None:
    both = {**stored(flights()), **stored([environment(name="old")])}
    made = plan_declared(declared([environment(name="new")]), both, source="flights", prune=True)
    assert [(c.action.value, c.key.kind.value) for c in made.changes] == [
        ("create", "environment"),
        ("delete", "pipeline"),
        ("delete", "server-group"),
        ("delete", "server-group"),
        ("delete", "environment"),
        ("delete", "environment"),
    ]


def test_what_is_used_is_not_deleted() -> None:
    have = stored(flights())
    key = next(k for k in have if k.name == "delays")
    assert [r.code for r in plan_deletes([key], have).blocked] == ["StillUsed"]
    assert plan_deletes(list(have), have).blocked == (), "all at once stand on nothing that stays"


def callers() -> list[dict[str, Any]]:
    """A pipeline's stage and a feature group that both call `delays`."""
    call = {"group": "delays", "function": "score"}
    serving = {"type": "features", "store": {"url": "redis://store:6379/0", "view": "planes"}, "transform": call}
    stages = [
        {"name": "ingest", "group": "in", "work": {"type": "ingest"}},
        {"name": "score", "group": "calling", "work": {"type": "transform", "group": "delays"}},
    ]
    edges = [{"source": "ingest", "target": "score"}]
    return [
        *flights()[:3],
        group("calling", "stage", environment=None),
        group("planes", "feature", environment=None, serving=serving),
        pipeline(stages=stages, edges=edges),
    ]


def test_a_transform_group_that_is_called_is_not_deleted_and_its_callers_are_named() -> None:
    have = stored(callers())
    key = next(k for k in have if k.name == "delays")
    (reason,) = plan_deletes([key], have).blocked
    assert reason.code == "StillUsed"
    assert "server-group/planes" in reason.text
    assert "pipeline/departures (stage score)" in reason.text
    assert plan_deletes(list(have), have).blocked == ()


def test_every_work_that_can_be_declared_has_a_kind_of_group() -> None:
    works = {get_args(model.model_fields["type"].annotation)[0] for model in get_args(get_args(Work)[0])}
    assert set(GROUP_KIND_OF_WORK) == works


def test_a_transform_stage_that_calls_a_group_runs_on_stage_nodes() -> None:
    assert plan_declared(declared(callers()), {}, source="flights", prune=False).blocked == ()
    objects = callers()
    objects[3]["kind"] = "transform"
    objects[3]["environment"] = "env"
    with pytest.raises(InvalidInput, match="stage 'score' does transform, but server group 'calling'"):
        plan_declared(declared(objects), {}, source="flights", prune=False)


@pytest.mark.parametrize(
    ("called", "said"), [("nobody", "'nobody', which does not exist"), ("in", "'in', which is of kind 'ingest'")]
)
def test_who_is_called_must_be_a_transform_group(called: str, said: str) -> None:
    objects = callers()
    objects[4]["serving"]["transform"]["group"] = called
    with pytest.raises(InvalidInput, match=said) as caught:
        plan_declared(declared(objects), {}, source="flights", prune=False)
    assert caught.value.field == "serving.transform.group"


NAMES = st.sampled_from(["a", "b", "c", "d"])
ENVIRONMENTS = st.dictionaries(NAMES, st.sampled_from(["x", "y"]), max_size=4)


@given(before=ENVIRONMENTS, after=ENVIRONMENTS)
def test_applying_a_plan_makes_what_was_declared(before: dict[str, str], after: dict[str, str]) -> None:
    """PlanConverges: carrying the plan out over what is stored gives what is declared, and then there is nothing to do."""
    have = stored([environment(name=n, requirements=r) for n, r in before.items()])
    wanted = declared([environment(name=n, requirements=r) for n, r in after.items()])
    made = plan_declared(wanted, have, source="flights", prune=True)
    result = {k: o.spec for k, o in have.items()}
    for change in made.changes:
        if change.action is Action.DELETE:
            del result[change.key]
        else:
            assert change.spec is not None
            result[change.key] = change.spec
    assert result == dict(wanted)


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=3), JSON, max_size=3), st.dictionaries(st.text(max_size=3), JSON, max_size=3))
def test_no_difference_goes_unnamed(old: dict[str, Any], new: dict[str, Any]) -> None:
    """NothingHidden: specs that differ have a changed field, equal ones have none; but an absent field reads as None."""
    found = compared(old, new)
    if old == new:
        assert found == ()
    elif not found:
        assert _without_none(old) == _without_none(new)


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_none(v) for k, v in value.items() if v is not None}
    return [_without_none(v) for v in value] if isinstance(value, list) else value


def test_stages_are_compared_by_name() -> None:
    old = {"stages": [{"name": "a", "group": "x"}, {"name": "b", "group": "y"}]}
    new = {"stages": [{"name": "b", "group": "z"}, {"name": "a", "group": "x"}]}
    assert [(f.field, f.old, f.new) for f in compared(old, new)] == [
        ("stages[b].group", "y", "z"),
        ("stages", ["a", "b"], ["b", "a"]),
    ]


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("verb", list(Verb))
def test_each_role_may_what_weaker_ones_may(role: Role, verb: Verb) -> None:
    ranks = list(Role)
    allowed = denied(Actor("a", "t", role, "default"), verb, "default") is None
    assert allowed == (ranks.index(role) >= ranks.index(NEEDED[verb]))
    assert denied(Actor("a", "t", role, "other"), verb, "default") is not None


def test_the_throttle_counts_failures_within_its_window() -> None:
    throttle = BadTokenThrottle()
    for i in range(BAD_MAX):
        assert throttle.wait_s("1.2.3.4", float(i)) == 0
        throttle.failed("1.2.3.4", float(i))
    assert throttle.wait_s("1.2.3.4", BAD_MAX) == WINDOW_S - BAD_MAX
    assert throttle.wait_s("5.6.7.8", BAD_MAX) == 0
    assert throttle.wait_s("1.2.3.4", WINDOW_S) == 0


@given(st.integers(0, 4), st.sampled_from(["actor", "outcome", "subject"]))
def test_a_changed_row_breaks_the_chain(at: int, field: str) -> None:
    rows, previous = [], FIRST
    for i in range(5):
        entry = AuditEntry(NOW, f"a{i}", "owner", "cli", "apply", "plan", "done", "", "r", {})
        rows.append(AuditRow(i + 1, entry, previous, digest_of(entry, previous)))
        previous = rows[-1].digest
    assert first_broken(rows) is None
    parts = {n: getattr(rows[at].entry, n) for n in AuditEntry.__slots__} | {field: "forged"}
    forged = [*rows[:at], AuditRow(at + 1, AuditEntry(**parts), rows[at].previous, rows[at].digest), *rows[at + 1 :]]
    assert first_broken(forged) == at + 1
    if at:
        assert first_broken([*rows[: at - 1], *rows[at:]]) == at + 1, "a removed row is seen too"


def test_kinds() -> None:
    assert kind_of_spec({"kind": "ingest"}).value == "server-group"


def test_an_explanation_tells_the_newest_decision_and_those_that_changed_a_size() -> None:
    actions = ["hold", "hold", "in", *["hold"] * 30, "out", *["out", "hold"] * 30]
    made = [_decision(number, action) for number, action in enumerate(actions)]
    shown = telling(made)
    assert [d.action for d in shown[:3]] == ["hold", "in", "out"]
    assert (shown[0], len(shown)) == (made[0], LATELY_SHOWN)
    assert telling([]) == ()


def _decision(number: int, action: str) -> DecisionModel:
    facts = {"id": str(number), "group": "delays", "at": 0.0, "action": action, "current": 2, "wanted": 2}
    return DecisionModel.model_validate(facts)
