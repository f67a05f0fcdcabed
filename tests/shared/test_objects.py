"""The user's objects: bad input names the field, the value and the remedy."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.contracts.base import invalid_input
from shared.contracts.objects import Environment, Pipeline, ServerGroup, find_cycle


def group(**changes: Any) -> dict[str, Any]:
    return {"name": "g", "kind": "stage", "scaling": {"type": "provisioned", "desired_nodes": 1}} | changes


def pipeline(*edges: tuple[str, str]) -> dict[str, Any]:
    names = sorted({n for e in edges for n in e} | {"a"})
    return {
        "name": "p",
        "stages": [{"name": n, "group": "g", "work": {"type": "normalize"}} for n in names],
        "edges": [{"source": s, "target": t} for s, t in edges],
    }


@pytest.mark.parametrize(
    ("model", "value", "words"),
    [
        (ServerGroup, group(name="Bad"), ["name", "'Bad'", "a-z"]),
        (
            ServerGroup,
            group(scaling={"type": "autoscaling", "min_nodes": 3, "max_nodes": 2}),
            ["min_nodes 3", "max_nodes 2", "lower"],
        ),
        (
            ServerGroup,
            group(scaling={"type": "provisioned", "desired_nodes": 501}),
            ["scaling.provisioned.desired_nodes", "501", "500"],
        ),
        (ServerGroup, group(nodes=3), ["nodes", "not permitted"]),
        (ServerGroup, group(code="0" * 64), ["environment", "code"]),
        (ServerGroup, group(slo={"availability": 100}), ["slo.availability", "100"]),
        (ServerGroup, group(rollout={"type": "rolling", "percents": [50, 25, 100]}), ["percents", "grow"]),
        (Pipeline, pipeline(("a", "b"), ("b", "a")), ["a -> b -> a", "cycle", "remove"]),
        (Pipeline, pipeline() | {"edges": [{"source": "a", "target": "zz"}]}, ["'zz'", "no stage"]),
        (Environment, {"name": "e"}, ["requirements", "required"]),
    ],
)
def test_bad_objects_are_refused_in_words(model: Any, value: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(value)
    text = str(invalid_input(caught.value))
    for word in words:
        assert word in text, text


NODES = "abcdef"


@given(st.dictionaries(st.sampled_from(NODES), st.lists(st.sampled_from(NODES), max_size=3)))
def test_a_found_cycle_is_one_and_none_found_means_sortable(edges: dict[str, list[str]]) -> None:
    graph = {n: edges.get(n, []) for n in NODES}
    cycle = find_cycle(graph)
    if cycle:
        assert cycle[0] == cycle[-1]
        assert all(b in graph[a] for a, b in itertools.pairwise(cycle))
        return
    left = dict(graph)
    while left:
        ends = [n for n, after in left.items() if not any(a in left for a in after)]
        assert ends, "no cycle was found, so something must have no successor"
        for n in ends:
            del left[n]
