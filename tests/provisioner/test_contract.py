"""The activities are those of the table, with its types."""

import inspect
from typing import Any, get_type_hints

from temporalio import activity

from services.provisioner.activities import ProvisionerActivities
from services.provisioner.domain import group_stack, pipeline, traffic
from shared.contracts import node, queues
from shared.contracts.activities import ACTIVITIES


def test_every_row_of_the_table_is_an_activity_with_its_types() -> None:
    rows = {n: r for n, r in ACTIVITIES.items() if r.queue == queues.PROVISIONER}
    made: dict[str, Any] = {}
    for _, function in inspect.getmembers(ProvisionerActivities, inspect.isfunction):
        definition = activity._Definition.from_callable(function)
        if definition and definition.name:
            made[definition.name] = function
    assert made.keys() == rows.keys()
    for name, function in made.items():
        hints = get_type_hints(function)
        assert (hints["request"], hints["return"]) == (rows[name].input, rows[name].output), name
    instance = object.__new__(ProvisionerActivities)
    assert {f.__func__ for f in instance.all()} == set(made.values())  # type: ignore[attr-defined]  # bound methods


def test_the_domain_says_the_same_as_the_contracts() -> None:
    assert (group_stack.PORT_SERVE, group_stack.PORT_HEALTH) == (node.PORT_SERVE, node.PORT_HEALTH)
    assert group_stack.USER_DATA_BYTES_MAX == node.USER_DATA_BYTES_MAX
    assert traffic.BUCKETS == node.RAMP_BUCKETS
    assert pipeline.topic_of("p", "s") == node.topic_in("p", "s")
    assert f"{pipeline.topic_of('p', 's')}.dead" == node.topic_dead("p", "s")
