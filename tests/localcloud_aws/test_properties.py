"""Whatever is asked of a group, in any order and at any time, these hold of its life cycle."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from localcloud.aws.autoscaling import documents
from localcloud.aws.autoscaling.compute import Condition
from localcloud.aws.autoscaling.lifecycle import Lifecycle
from localcloud.aws.errors import AwsError
from tests.localcloud_aws.model_world import ModelWorld, hook

MOST = 6
GROUP = {"AutoScalingGroupName": "web"}
CALLS = st.sampled_from(
    [
        "desired",
        "terminate",
        "impair",
        "standby",
        "exit",
        "detach",
        "complete",
        "abandon",
        "suspend",
        "resume",
        "refuse",
    ]
)
STEPS = st.lists(st.tuples(CALLS, st.integers(0, 7), st.integers(0, 90)), max_size=40)


def act(aws: ModelWorld, what: str, which: int) -> None:  # noqa: C901  one case for each call
    members = aws.members()
    member = members[which % len(members)] if members else None
    one: dict[str, Any] = {"InstanceIds": [member.id]} if member else {"InstanceIds": []}
    match what, member:
        case "desired", _:
            aws.call("SetDesiredCapacity", **GROUP, DesiredCapacity=which)
        case "suspend" | "resume", _:
            action = "SuspendProcesses" if what == "suspend" else "ResumeProcesses"
            aws.call(action, **GROUP, ScalingProcesses=[["Launch", "Terminate", "ReplaceUnhealthy"][which % 3]])
        case "refuse", _:
            zones = ["us-east-1a", "us-east-1b", "us-east-1c"]
            aws.compute.refusals = dict.fromkeys(zones[: which % 4], "InsufficientInstanceCapacity")
        case _, None:
            return
        case "terminate", _:
            decrement = bool(which % 2)
            aws.call(
                "TerminateInstanceInAutoScalingGroup", InstanceId=member.id, ShouldDecrementDesiredCapacity=decrement
            )
        case "impair", _:
            aws.compute.conditions[member.id] = Condition.IMPAIRED
            aws.poke(member)
        case "standby", _:
            aws.call("EnterStandby", **GROUP, **one, ShouldDecrementDesiredCapacity=bool(which % 2))
        case "exit", _:
            aws.call("ExitStandby", **GROUP, **one)
        case "detach", _:
            aws.call("DetachInstances", **GROUP, **one, ShouldDecrementDesiredCapacity=True)
        case "complete" | "abandon", _:
            name = "boot" if member.lifecycle is Lifecycle.PENDING_WAIT else "drain"
            result = "CONTINUE" if what == "complete" else "ABANDON"
            aws.call(
                "CompleteLifecycleAction",
                **GROUP,
                LifecycleHookName=name,
                InstanceId=member.id,
                LifecycleActionResult=result,
            )
        case _:
            raise AssertionError(what)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS, boot_s=st.integers(0, 30))
def test_no_instance_is_counted_twice_or_lost_and_the_desired_capacity_is_reached(
    steps: list[tuple[str, int, int]], boot_s: int
) -> None:
    aws = ModelWorld(boot_s=boot_s)
    hooks = [
        hook("boot", "LAUNCHING", HeartbeatTimeout=60, DefaultResult="CONTINUE"),
        hook("drain", "TERMINATING", HeartbeatTimeout=30, DefaultResult="CONTINUE"),
    ]
    aws.create(MaxSize=MOST, DesiredCapacity=2, LifecycleHookSpecificationList=hooks)
    detached: set[str] = set()
    for what, which, wait_s in steps:
        before = set(aws.group().members)
        try:
            act(aws, what, which)
        except AwsError:
            continue
        finally:
            detached |= (before - set(aws.group().members)) if what == "detach" else set()
        aws.pass_s(wait_s)
        group = aws.group()
        assert 0 <= group.desired <= group.max
        ahead = sum(m.balancing for m in group.capacity)
        assert ahead <= 1, "a tenth of the maximum, or one, is launched ahead to even the zones out"
        assert len(group.capacity) - ahead <= max(group.desired, len(before)), "never launched above what is desired"
        assert set(aws.world.owners) == set(group.members)
        assert set(aws.compute.conditions) == set(group.members) | detached, "no machine is lost, none is forgotten"
        assert documents.read(documents.write(group)) == group
    aws.compute.refusals = {}
    aws.call("ResumeProcesses", **GROUP)
    aws.pass_s(3600)
    assert len(aws.group().capacity) == aws.group().desired
    assert {m.lifecycle for m in aws.group().capacity} <= {Lifecycle.IN_SERVICE}
    assert all(m.healthy for m in aws.group().capacity)
    ids = [a.instance_id for a in aws.group().activities if a.running]
    assert not ids, "no activity is left running"
