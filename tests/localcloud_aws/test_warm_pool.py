"""Warm pools on a virtual clock."""

from collections import Counter
from typing import Any

import pytest

from localcloud.aws.autoscaling import documents
from localcloud.aws.autoscaling.compute import Condition
from localcloud.aws.errors import AwsError
from tests.localcloud_aws.model_world import ModelWorld, hook

GROUP = {"AutoScalingGroupName": "web"}


def with_pool(boot_s: float = 30.0, *, hooks: bool = False, desired: int = 2, **pool: Any) -> ModelWorld:
    aws = ModelWorld(boot_s=boot_s)
    specified = [hook("boot", "LAUNCHING", HeartbeatTimeout=60), hook("drain", "TERMINATING", HeartbeatTimeout=60)]
    aws.create(DesiredCapacity=desired, MaxSize=5, LifecycleHookSpecificationList=specified if hooks else [])
    aws.pass_s(boot_s)
    aws.call("PutWarmPool", **GROUP, **pool)
    aws.pass_s(boot_s)
    return aws


def pool(aws: ModelWorld) -> list[str]:
    return [i["LifecycleState"] for i in aws.call("DescribeWarmPool", **GROUP)["Instances"]]


def in_group(aws: ModelWorld) -> list[str]:
    described = aws.call("DescribeAutoScalingGroups")["AutoScalingGroups"][0]
    return [i["LifecycleState"] for i in described["Instances"]]


def answer(aws: ModelWorld, name: str, state: str, result: str = "CONTINUE") -> None:
    for member in [m for m in aws.members() if m.lifecycle == state]:
        aws.call(
            "CompleteLifecycleAction",
            **GROUP,
            LifecycleHookName=name,
            InstanceId=member.id,
            LifecycleActionResult=result,
        )


@pytest.mark.parametrize(
    ("desired", "given", "size"),
    [
        (2, {}, 3),  # the group's maximum less its desired capacity
        (2, {"MaxGroupPreparedCapacity": 4}, 2),
        (2, {"MaxGroupPreparedCapacity": 1}, 0),
        (2, {"MinSize": 4}, 4),
        (5, {"MinSize": 1}, 1),
        (2, {"MaxGroupPreparedCapacity": -1}, 3),
    ],
)
def test_the_size_of_the_pool(desired: int, given: dict[str, Any], size: int) -> None:
    aws = with_pool(desired=desired, **given)
    assert len(pool(aws)) == size
    assert in_group(aws) == ["InService"] * desired
    described = aws.call("DescribeAutoScalingGroups")["AutoScalingGroups"][0]
    assert described["WarmPoolSize"] == size


@pytest.mark.parametrize("state", ["Stopped", "Running", "Hibernated"])
def test_instances_wait_in_the_state_of_the_pool(state: str) -> None:
    aws = with_pool(PoolState=state)
    assert pool(aws) == [f"Warmed:{state}"] * 3
    assert len(aws.compute.stopped) == (0 if state == "Running" else 3)


def test_the_group_takes_from_the_pool_first_and_the_pool_fills_up_no_further_than_its_size() -> None:
    aws = with_pool()
    warm = {m.id for m in aws.members() if m.warm}
    launched = len(aws.compute.orders)
    aws.call("SetDesiredCapacity", **GROUP, DesiredCapacity=4)
    assert Counter(in_group(aws)) == {"InService": 2, "Pending": 2}
    aws.pass_s(30)
    assert in_group(aws) == ["InService"] * 4
    assert len(warm & {m.id for m in aws.group().capacity}) == 2
    assert (len(pool(aws)), len(aws.compute.orders)) == (1, launched)
    assert any("from warm pool" in a["Description"] for a in aws.activities())


def test_launching_hooks_run_on_the_way_into_the_pool_and_again_out_of_it() -> None:
    aws = with_pool(hooks=True, desired=0, MaxGroupPreparedCapacity=1)
    assert pool(aws) == ["Warmed:Pending:Wait"]
    answer(aws, "boot", "Warmed:Pending:Wait")
    assert pool(aws) == ["Warmed:Stopped"]
    aws.call("SetDesiredCapacity", **GROUP, DesiredCapacity=1)
    aws.pass_s(30)
    assert in_group(aws) == ["Pending:Wait"]
    answer(aws, "boot", "Pending:Wait")
    assert in_group(aws) == ["InService"]


def test_one_that_is_abandoned_on_its_way_into_the_pool_is_replaced() -> None:
    aws = with_pool(hooks=True, desired=0, MaxGroupPreparedCapacity=1)
    first = aws.members()[0].id
    answer(aws, "boot", "Warmed:Pending:Wait", "ABANDON")
    aws.pass_s(30)
    assert [m.id for m in aws.members()] != [first]
    assert pool(aws) == ["Warmed:Pending:Wait"]


@pytest.mark.parametrize("reuse", [True, False])
def test_scale_in_gives_back_to_the_pool_when_instances_are_used_again(reuse: bool) -> None:
    aws = with_pool(MinSize=1, MaxGroupPreparedCapacity=3, InstanceReusePolicy={"ReuseOnScaleIn": reuse})
    before = {m.id for m in aws.members()}
    aws.call("SetDesiredCapacity", **GROUP, DesiredCapacity=1)
    aws.pass_s(60)
    assert (in_group(aws), pool(aws)) == (["InService"], ["Warmed:Stopped"] * 2)
    assert ({m.id for m in aws.members()} == before) == reuse
    aws.call("SetDesiredCapacity", **GROUP, DesiredCapacity=3)
    aws.pass_s(60)
    assert in_group(aws) == ["InService"] * 3


def test_terminating_hooks_hold_what_goes_back_to_the_pool() -> None:
    aws = with_pool(hooks=True, desired=1, MaxGroupPreparedCapacity=1, InstanceReusePolicy={"ReuseOnScaleIn": True})
    answer(aws, "boot", "Pending:Wait")
    first = aws.members()[0].id
    aws.call("SetDesiredCapacity", **GROUP, DesiredCapacity=0)
    assert aws.states() == ["Terminating:Wait"]
    answer(aws, "drain", "Terminating:Wait")
    assert (pool(aws), [m.id for m in aws.members()]) == (["Warmed:Stopped"], [first])


def test_a_prepared_machine_that_is_gone_is_replaced() -> None:
    aws = with_pool()
    lost = next(m for m in aws.members() if m.warm)
    del aws.compute.conditions[lost.id]
    aws.poke(lost)
    aws.pass_s(30)
    assert lost.id not in aws.group().members
    assert pool(aws) == ["Warmed:Stopped"] * 3


def test_a_prepared_instance_is_terminated_by_a_call_once() -> None:
    aws = with_pool(hooks=True, desired=0, MaxGroupPreparedCapacity=1)
    answer(aws, "boot", "Warmed:Pending:Wait")
    one = aws.members()[0].id
    for _ in range(2):
        told = aws.call("TerminateInstanceInAutoScalingGroup", InstanceId=one, ShouldDecrementDesiredCapacity=True)
        assert "from warm pool" in told["Activity"]["Description"]
    assert (aws.group().desired, aws.group().members[one].lifecycle) == (0, "Warmed:Terminating:Wait")
    answer(aws, "drain", "Warmed:Terminating:Wait")
    aws.pass_s(30)
    assert (one in aws.group().members, pool(aws)) == (False, ["Warmed:Pending:Wait"])


def test_a_refresh_renews_the_pool_too() -> None:
    aws = with_pool()
    aws.compute.templates["lt-1"] = 2
    aws.call("StartInstanceRefresh", **GROUP, Preferences={"InstanceWarmup": 0})
    told = aws.call("DescribeInstanceRefreshes", **GROUP)["InstanceRefreshes"][0]
    assert told["ProgressDetails"]["WarmPoolProgress"] == {"PercentageComplete": 0, "InstancesToUpdate": 3}
    aws.pass_s(600)
    told = aws.call("DescribeInstanceRefreshes", **GROUP)["InstanceRefreshes"][0]
    assert (told["Status"], told["ProgressDetails"]["WarmPoolProgress"]["PercentageComplete"]) == ("Successful", 100)
    assert {m.template.version for m in aws.members()} == {"2"}
    assert pool(aws) == ["Warmed:Stopped"] * 3


def test_a_pool_is_deleted_by_force_or_when_it_is_empty() -> None:
    aws = with_pool()
    with pytest.raises(AwsError) as refusal:
        aws.call("DeleteWarmPool", **GROUP)
    assert refusal.value.code == "ResourceInUse"
    aws.call("DeleteWarmPool", **GROUP, ForceDelete=True)
    assert aws.call("DescribeWarmPool", **GROUP)["WarmPoolConfiguration"] is None
    assert len(aws.members()) == 2
    aws.call("PutWarmPool", **GROUP, MaxGroupPreparedCapacity=0)
    aws.call("DeleteWarmPool", **GROUP)
    with pytest.raises(AwsError, match="no warm pool"):
        aws.call("DeleteWarmPool", **GROUP)


@pytest.mark.parametrize(
    "given",
    [
        {"PoolState": "Asleep"},
        {"MinSize": -1},
        {"MaxGroupPreparedCapacity": -2},
        {"MinSize": 3, "MaxGroupPreparedCapacity": 2},
    ],
)
def test_what_a_pool_may_not_be(given: dict[str, Any]) -> None:
    aws = ModelWorld()
    aws.create()
    with pytest.raises(AwsError) as refusal:
        aws.call("PutWarmPool", **GROUP, **given)
    assert refusal.value.code == "ValidationError"


def test_spot_and_weights_exclude_a_pool() -> None:
    spec = {"LaunchTemplateSpecification": {"LaunchTemplateId": "lt-1", "Version": "1"}}
    spot = {"LaunchTemplate": spec, "InstancesDistribution": {"OnDemandPercentageAboveBaseCapacity": 50}}
    aws = ModelWorld()
    aws.create(LaunchTemplate=None, MixedInstancesPolicy=spot)
    with pytest.raises(AwsError, match="Spot"):
        aws.call("PutWarmPool", **GROUP)


def test_a_pool_survives_a_restart_and_a_group_with_one_is_deleted_only_by_force() -> None:
    aws = with_pool()
    aws.world.groups["web"] = documents.read(documents.write(aws.group()))
    aws.world.wake("web", aws.clock.now())
    aws.pass_s(60)
    assert pool(aws) == ["Warmed:Stopped"] * 3
    aws.call("UpdateAutoScalingGroup", **GROUP, MinSize=0, DesiredCapacity=0)
    with pytest.raises(AwsError) as refusal:
        aws.call("DeleteAutoScalingGroup", **GROUP)
    assert refusal.value.code in {"ResourceInUse", "ScalingActivityInProgress"}
    aws.call("DeleteAutoScalingGroup", **GROUP, ForceDelete=True)
    assert not aws.world.groups
    assert aws.compute.condition("i-00000000000000001") is Condition.GONE
