"""Names, scopes and states: what they accept, and that what is unknown reads UNKNOWN."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.errors import InvalidInput
from shared.domain.health import GOOD, VerdictState
from shared.domain.names import NAME_LENGTH_MAX, GroupName, RevisionNumber, checked_name, fleet_id
from shared.domain.scope import Scope, ScopeKind, group_scope

GOOD_NAME = st.from_regex(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True)


@given(GOOD_NAME)
def test_a_name_is_given_back(name: str) -> None:
    assert checked_name(name, "x") == name


@pytest.mark.parametrize(
    "name", ["", "A", "1a", "-a", "a-", "a_b", "a b", "a" * (NAME_LENGTH_MAX + 1), "a\n", "ä", "a/b"]
)
def test_what_is_no_name_is_refused_with_field_value_and_remedy(name: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        checked_name(name, "group.name")
    assert caught.value.field == "group.name"
    assert repr(name) in str(caught.value)
    assert "1-63" in caught.value.remedy


@given(st.lists(GOOD_NAME, min_size=2, max_size=2))
def test_a_scope_reads_back(names: list[str]) -> None:
    for scope in (
        Scope(ScopeKind.SYSTEM),
        Scope(ScopeKind.PIPELINE, (names[0],)),
        Scope(ScopeKind.STAGE, (names[0], names[1])),
        group_scope(GroupName(names[0])),
    ):
        assert Scope.parse(str(scope)) == scope


@pytest.mark.parametrize("text", ["", "group", "group/", "group/a/b", "system/a", "stage/a", "node/a", "group/A"])
def test_what_is_no_scope_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        Scope.parse(text)


@given(st.text())
def test_an_unknown_state_is_never_good(text: str) -> None:
    state = VerdictState.read(text)
    assert state in GOOD if text in {"HEALTHY", "IDLE"} else state not in GOOD


def test_a_fleet_is_named_after_group_and_revision() -> None:
    assert fleet_id(GroupName("delays"), RevisionNumber(2)) == "delays-r2"
