"""A group's stack is a pure plan: readable, bounded, and the same for the same facts."""

import json
from dataclasses import replace
from decimal import Decimal
from fnmatch import fnmatchcase

import pytest

from services.provisioner.domain.declared import changes_between, declared_fields
from services.provisioner.domain.group_stack import node_policy, plan_stack
from services.provisioner.domain.names import fitted, token_parameter
from services.provisioner.domain.resources import StackPlan
from services.provisioner.domain.warnings import NodePrice, cost_warning, quota_warnings
from shared.domain.errors import InvalidInput
from shared.domain.names import FleetId, Workspace
from tests.provisioner.examples import SITE, fleet, group

DATA = {FleetId(f"delays-r{r}"): "{}" for r in (1, 2)}


def plan(*revisions: int) -> StackPlan:
    return plan_stack(group(*revisions), SITE, DATA)


def test_the_first_plan_reads_like_a_list_of_what_is_made() -> None:
    assert changes_between({}, declared_fields(plan(1))) == (
        "create autoscaling group default-delays-r1",
        "create instance profile headrace-default-delays",
        "create launch template headrace-default-delays-r1",
        "create role headrace-default-delays",
        "create security group headrace-default-delays",
    )


def test_a_second_fleet_frees_the_first_from_its_lower_bound() -> None:
    assert changes_between(declared_fields(plan(1)), declared_fields(plan(1, 2))) == (
        "create autoscaling group default-delays-r2",
        "create launch template headrace-default-delays-r2",
        "update autoscaling group default-delays-r1: MinSize 1 -> 0",
    )


def test_the_last_fleet_gets_the_groups_bounds_back() -> None:
    assert "update autoscaling group default-delays-r2: MinSize 0 -> 1" in changes_between(
        declared_fields(plan(1, 2)), declared_fields(plan(2))
    )


def test_desired_capacity_is_never_a_change_because_it_is_the_autoscalers() -> None:
    big = replace(group(1), fleets=(fleet(desired=3),))
    small = plan_stack(replace(big, fleets=(fleet(desired=1),)), SITE, DATA)
    assert changes_between(declared_fields(small), declared_fields(plan_stack(big, SITE, DATA))) == ()


def test_a_leaving_fleet_is_not_in_the_plan() -> None:
    left = replace(group(1, 2), fleets=(fleet(revision=1, leaving=True), fleet(revision=2)))
    assert [f.fleet for f in plan_stack(left, SITE, DATA).fleets] == ["delays-r2"]


def test_initial_size_is_held_within_the_bounds() -> None:
    eager = replace(group(1), fleets=(fleet(desired=9),))
    assert plan_stack(eager, SITE, DATA).fleets[0].desired_initial == 4
    idle = replace(group(1), fleets=(fleet(desired=0),))
    assert plan_stack(idle, SITE, DATA).fleets[0].desired_initial == 1


def test_no_egress_unless_it_is_declared() -> None:
    assert declared_fields(plan(1))["security group headrace-default-delays"]["Egress"] == ""
    opened = plan_stack(group(1), replace(SITE, egress_cidrs=("10.0.0.0/16",)), DATA)
    assert "10.0.0.0/16" in declared_fields(opened)["security group headrace-default-delays"]["Egress"]


def test_a_machine_may_not_grow() -> None:
    statements = json.loads(json.dumps(node_policy(group(1), SITE)))["Statement"]
    denied = next(s for s in statements if s["Effect"] == "Deny")
    assert {"iam:*", "ec2:*", "autoscaling:Set*"} <= set(denied["Action"])
    allowed = {a for s in statements if s["Effect"] == "Allow" for a in s["Action"]}
    assert allowed == {
        "s3:GetObject",
        "ssm:GetParameter",
        "autoscaling:CompleteLifecycleAction",
        "autoscaling:RecordLifecycleActionHeartbeat",
    }


@pytest.mark.parametrize(("fleet", "own"), [("delays-r1", True), ("delays-r27", True), ("delays-realtime-r1", False)])
def test_a_machine_reads_the_tokens_of_its_own_group_only(fleet: str, own: bool) -> None:
    statements = json.loads(json.dumps(node_policy(group(1), SITE)))["Statement"]
    token = f"arn:aws:ssm:eu-central-1:123456789012:parameter{token_parameter(SITE.stack, Workspace('default'), FleetId(fleet))}"
    scaled = f"arn:aws:autoscaling:eu-central-1:123456789012:autoScalingGroup:u:autoScalingGroupName/default-{fleet}"
    for arn, service in ((token, "ssm:"), (scaled, "autoscaling:")):
        resources = next(s["Resource"] for s in statements if s["Action"][0].startswith(service))
        assert any(fnmatchcase(arn, pattern) for pattern in resources) is own


def test_user_data_has_a_limit() -> None:
    with pytest.raises(InvalidInput, match="16384"):
        plan_stack(group(1), SITE, {FleetId("delays-r1"): "x" * 16_385})


def test_every_resource_carries_the_tags_that_the_inventory_reads() -> None:
    tags = dict(plan(1).fleets[0].tags)
    assert tags["headrace:managed"] == "true"
    assert (tags["headrace:group"], tags["headrace:fleet"], tags["headrace:revision"]) == ("delays", "delays-r1", "1")


def test_long_names_never_meet() -> None:
    names = {fitted("headrace-" + "a" * 100 + str(i), 64) for i in range(50)}
    assert len(names) == 50
    assert all(len(n) == 64 for n in names)


def test_quotas_and_cost_are_told_before_anything_is_made() -> None:
    small, large = NodePrice(2, Decimal("0.0864")), NodePrice(64, Decimal("2.7648"))
    assert quota_warnings(3, "m6a.large", 4, small) == ()
    assert "Auto Scaling Groups" in quota_warnings(400, "m6a.large", 4, None)[0]
    assert "1280 vCPU" in quota_warnings(3, "m6a.16xlarge", 20, large)[0]
    assert cost_warning("m6a.16xlarge", 2, 2, large) == "about $4037 a month for 2 machines of m6a.16xlarge, on demand"
