"""The join of what the Provisioner declares with what AWS has, and the settings of the profiles."""

from typing import Any

import pytest

from services.autoscaler.adapters.inventory import policy_of, snapshot_of
from services.autoscaler.domain.policy import Limits, MetricAim, Policy, cores_of
from services.autoscaler.settings import DEMO, AutoscalerSettings
from shared.aws.groups import AsgState, InstanceState
from shared.contracts.objects import Autoscaling, CpuTarget, LagTarget, MetricTarget, ProvisionedScaling, ServerGroup
from shared.contracts.provisioning import FleetModel, GroupModel

SPEC = ServerGroup(
    name="delays",
    kind="transform",
    node_type="m6a.xlarge",
    scaling=Autoscaling(min_nodes=1, max_nodes=8, targets=(LagTarget(seconds=3), CpuTarget(percent=60))),
)


def instance(number: int, lifecycle: str = "InService", health: str = "Healthy") -> InstanceState:
    return InstanceState(f"i-{number}", lifecycle, health, "127.1.0.1", "a", protected=False)


def asg(revision: int, *members: InstanceState, group: str = "delays", desired: int = 4) -> AsgState:
    return AsgState(
        name=f"default-{group}-r{revision}",
        workspace="default",
        group=group,
        fleet=f"{group}-r{revision}",
        revision=revision,
        min=0,
        max=8,
        desired=desired,
        instances=members,
        suspended=("AZRebalance",),
        tags={},
    )


def model(**changes: Any) -> GroupModel:
    fleets = (FleetModel(fleet="delays-r1", asg="default-delays-r1", revision=1, weight=100),)
    return GroupModel.model_validate(
        {"spec": SPEC, "generation": 1, "phase": "READY", "fleets": fleets, "topic_in": "t", "partitions": 12} | changes
    )


def test_aws_tells_sizes_and_the_provisioner_weights() -> None:
    states = (
        asg(1, instance(1), instance(2, "Pending:Wait"), instance(3, health="Unhealthy"), instance(4, "Terminating")),
        asg(2, instance(5), desired=1),
        asg(1, instance(6), group="other"),
    )
    seen = snapshot_of(model(), states)
    assert [(f.fleet, f.weight, f.desired, f.in_service, f.asg) for f in seen.fleets] == [
        ("delays-r1", 100, 4, 1, "default-delays-r1"),
        ("delays-r2", 0, 1, 1, "default-delays-r2"),
    ]
    assert (seen.stream, seen.partitions, seen.cores, seen.changing) == (True, 12, 4.0, False)
    assert seen.fleets[0].suspended == frozenset({"AZRebalance"})


def test_a_group_without_topic_is_no_stream() -> None:
    seen = snapshot_of(model(topic_in="", phase="UPDATING"), ())
    assert (seen.stream, seen.partitions, seen.changing, seen.fleets) == (False, 0, True, ())


def test_policies() -> None:
    assert policy_of(ProvisionedScaling(desired_nodes=3)) == Policy(3, 3, fixed_nodes=3)
    several = Autoscaling(
        min_nodes=1,
        max_nodes=2,
        node_rate=50,
        targets=(CpuTarget(percent=80), CpuTarget(percent=60), MetricTarget(metric="queue", value=5)),
    )
    found = policy_of(several)
    assert (found.cpu_percent, found.lag_s, found.metrics) == (60, None, (MetricAim("queue", 5),))
    assert (found.node_rate, found.utilization) == (50, 0.8)


@pytest.mark.parametrize(
    ("node_type", "cores"),
    [("m6a.large", 2), ("c7g.medium", 1), ("t3.micro", 2), ("m5.xlarge", 4), ("m5.24xlarge", 96), ("", 1)],
)
def test_cores(node_type: str, cores: float) -> None:
    assert cores_of(node_type) == cores


def test_the_profiles() -> None:
    assert AutoscalerSettings().limits() == Limits()
    assert AutoscalerSettings(profile="demo").limits() == DEMO
    assert AutoscalerSettings(profile="demo", catch_up_s=30).limits().catch_up_s == 30
