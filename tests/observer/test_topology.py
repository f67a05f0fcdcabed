"""Topologies: what meets what, and that the rows read and the locks taken cover it."""

from hypothesis import given
from hypothesis import strategies as st

from services.observer.domain.topology import Topology
from shared.domain.scope import SYSTEM, Scope, ScopeKind

GROUPS = ("a", "b", "c", "d")
TOPOLOGIES = st.dictionaries(
    st.sampled_from(["p", "q", "r"]),
    st.dictionaries(st.sampled_from(["s", "t"]), st.sampled_from(GROUPS), min_size=1),
).map(lambda pipelines: Topology(frozenset(GROUPS), pipelines))
SCOPES = st.sampled_from(
    [SYSTEM]
    + [Scope.parse(f"group/{g}") for g in GROUPS]
    + [Scope.parse(f"pipeline/{p}") for p in "pqr"]
    + [Scope.parse(f"stage/{p}/{s}") for p in "pqr" for s in "st"]
)


@given(TOPOLOGIES, SCOPES, SCOPES)
def test_meeting_is_mutual(topology: Topology, one: Scope, other: Scope) -> None:
    assert topology.meet(one, other) == topology.meet(other, one)
    assert topology.share_pipeline(one, other) == topology.share_pipeline(other, one)


@given(TOPOLOGIES, SCOPES, SCOPES)
def test_what_matters_is_read(topology: Topology, one: Scope, other: Scope) -> None:
    near = topology.near(one)
    if topology.meet(one, other) or topology.share_pipeline(one, other):
        carrier = f"pipeline/{other.names[0]}" if other.kind is ScopeKind.STAGE else str(other)
        assert near is None or str(other) in near or carrier in near


@given(TOPOLOGIES, SCOPES, SCOPES)
def test_what_matters_is_locked(topology: Topology, one: Scope, other: Scope) -> None:
    """The system is locked by its own lock: exclusively for itself, shared for everything else."""
    if SYSTEM in (one, other):
        return
    growth = [set(topology.lock_keys(s, changes_pipeline=False)) for s in (one, other)]
    change = [set(topology.lock_keys(s, changes_pipeline=True)) for s in (one, other)]
    if topology.meet(one, other):
        assert growth[0] & growth[1]
        assert growth[0] & change[1]
    if topology.share_pipeline(one, other):
        assert change[0] & change[1]
