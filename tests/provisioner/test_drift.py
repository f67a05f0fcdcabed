"""What is drift, whose it is, and how bad."""

import pytest

from services.provisioner.domain.declared import declared_fields
from services.provisioner.domain.drift import Finding, compare, covered, merged, repairable
from services.provisioner.domain.group_stack import plan_stack
from shared.domain.names import FleetId, GroupName
from tests.provisioner.examples import NOW, SITE, group

DECLARED = declared_fields(plan_stack(group(1), SITE, {FleetId("delays-r1"): "{}"}))
ASG = "autoscaling group default-delays-r1"
SECURITY = "security group headrace-default-delays"
TEMPLATE = "launch template headrace-default-delays-r1"
NAME = GroupName("delays")


def live(resource: str, **changes: str) -> dict[str, dict[str, str]]:
    return {**DECLARED, resource: {**DECLARED[resource], **changes}}


def test_as_declared_is_no_drift() -> None:
    assert compare(NAME, DECLARED, DECLARED, NOW) == ()


@pytest.mark.parametrize(
    ("resource", "field", "value", "drift_class", "owner"),
    [
        (ASG, "MaxSize", "8", "capacity", "provisioner"),
        (ASG, "MinSize", "0", "capacity", "provisioner"),
        (ASG, "DesiredCapacity", "9", "capacity", "autoscaler"),
        (ASG, "SuspendedProcesses", "", "capacity", "provisioner"),
        (ASG, "Tags", "{}", "benign", "provisioner"),
        (SECURITY, "Egress", "-1 0 0.0.0.0/0", "security", "provisioner"),
        (SECURITY, "Ingress", "tcp 22 0.0.0.0/0", "security", "provisioner"),
        (TEMPLATE, "HttpTokens", "optional", "security", "provisioner"),
        (TEMPLATE, "UserData", "abc", "security", "provisioner"),
        (TEMPLATE, "InstanceType", "m6a.4xlarge", "capacity", "provisioner"),
    ],
)
def test_classes(resource: str, field: str, value: str, drift_class: str, owner: str) -> None:
    (found,) = compare(NAME, DECLARED, live(resource, **{field: value}), NOW)
    assert (found.resource, found.field, found.drift_class, found.owner) == (resource, field, drift_class, owner)
    assert found.live == value
    assert repairable(found) == (owner == "provisioner")


def test_a_resource_that_is_gone_is_destructive_and_comes_first() -> None:
    found = compare(NAME, DECLARED, {**live(ASG, MaxSize="9"), SECURITY: None}, NOW)
    assert [(f.drift_class, f.resource) for f in found] == [("destructive", SECURITY), ("capacity", ASG)]


def test_what_was_not_looked_at_says_nothing() -> None:
    assert compare(NAME, DECLARED, {ASG: {"MinSize": "1"}}, NOW) == ()


def test_a_known_finding_keeps_its_id_and_one_that_is_gone_is_repaired() -> None:
    (first,) = compare(NAME, DECLARED, live(ASG, MaxSize="8"), NOW)
    known = Finding(**{**{k: getattr(first, k) for k in Finding.__slots__}, "id": "drift-1"})
    (again,) = compare(NAME, DECLARED, live(ASG, MaxSize="9"), NOW)
    looked_at = covered(DECLARED, DECLARED)
    seen, gone = merged((known,), (again,), looked_at)
    assert (seen[0].id, seen[0].live, gone) == ("drift-1", "9", ())
    seen, gone = merged((known,), (), looked_at)
    assert (seen, [g.state for g in gone]) == ((), ["repaired"])


def test_a_look_that_could_not_see_a_field_repairs_nothing_by_not_seeing_it() -> None:
    policy = Finding(
        NAME, "role headrace-default-delays", "Policy", "a", "b", "security", "provisioner", NOW, "drift-2"
    )
    only_asg = {ASG: DECLARED[ASG]}
    assert merged((policy,), (), covered(DECLARED, only_asg)) == ((), ())
