"""Replacement within bounds: what the plan promises, whatever it is given. And the life cycle under everything at once."""

import math
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from localcloud.aws.autoscaling import documents
from localcloud.aws.autoscaling.compute import Condition
from localcloud.aws.autoscaling.lifecycle import Lifecycle
from localcloud.aws.autoscaling.plans import TemplateRef
from localcloud.aws.autoscaling.records import Member
from localcloud.aws.autoscaling.replacement import Cohort, plan
from localcloud.aws.errors import AwsError
from tests.localcloud_aws.model_world import ModelWorld, hook

GROUP = {"AutoScalingGroupName": "web"}
REF = TemplateRef("lt-1", "lt-1", "1")
BOUNDS = st.sampled_from([(0, 100), (50, 100), (90, 100), (100, 100), (90, 120), (100, 110), (100, 200)])


def members(ready: list[bool]) -> list[Member]:
    return [Member(f"i-{n}", "a", "s", "t", REF, float(n), 0.0, healthy=one) for n, one in enumerate(ready)]


@given(ready=st.lists(st.booleans(), max_size=12), replaced=st.integers(0, 12), bounds=BOUNDS, data=st.data())
def test_a_plan_keeps_both_bounds(ready: list[bool], replaced: int, bounds: tuple[int, int], data: Any) -> None:
    capacity = members(ready)
    desired = data.draw(st.integers(0, len(capacity)))
    least, most = bounds
    made = plan(desired, capacity, [Cohort(capacity[:replaced], least, most, "c")], lambda m: m.healthy)
    serving = sum(m.healthy for m in capacity)
    going = [m for m, _ in made.leaving]
    lost = sum(m.healthy for m in going)
    floor, ceiling = math.ceil(desired * least / 100), math.ceil(desired * most / 100)
    assert serving - lost >= min(floor, serving) or lost == 1, "only where there is no room at all does one go"
    assert desired <= made.units <= max(desired, ceiling)
    assert len({m.id for m in going}) == len(going)
    assert {m.id for m in going} <= {m.id for m in capacity[:replaced]}


@given(count=st.integers(1, 12), bounds=BOUNDS, replaced=st.integers(1, 12))
def test_everybody_is_replaced_in_the_end(count: int, bounds: tuple[int, int], replaced: int) -> None:
    capacity = members([True] * count)
    old = {m.id for m in capacity[:replaced]}
    for turn in range(4 * count):
        waiting = [m for m in capacity if m.id in old]
        if not waiting:
            break
        made = plan(count, capacity, [Cohort(waiting, *bounds, "c")], lambda m: m.healthy)
        gone = {m.id for m, _ in made.leaving}
        capacity = [m for m in capacity if m.id not in gone]
        missing = max(0, made.units - len(capacity))
        capacity += [Member(f"n-{turn}-{n}", "a", "s", "t", REF, 0.0, 0.0) for n in range(missing)]
    assert not {m.id for m in capacity} & old


CALLS = st.sampled_from(
    ["desired", "refresh", "cancel", "rollback", "pool", "no pool", "impair", "lose", "refuse", "version"]
)
STEPS = st.lists(st.tuples(CALLS, st.integers(0, 7), st.integers(0, 120)), max_size=30)


def act(aws: ModelWorld, what: str, which: int) -> None:  # noqa: C901  one case for each call
    found = aws.members()
    member = found[which % len(found)] if found else None
    match what, member:
        case "desired", _:
            aws.call("SetDesiredCapacity", **GROUP, DesiredCapacity=which)
        case "refresh", _:
            wanted = {"LaunchTemplate": {"LaunchTemplateId": "lt-1", "Version": str(aws.compute.templates["lt-1"])}}
            preferences = {"MinHealthyPercentage": 50 + which * 7, "InstanceWarmup": which * 10, "BakeTime": which}
            aws.call("StartInstanceRefresh", **GROUP, DesiredConfiguration=wanted, Preferences=preferences)
        case "cancel", _:
            aws.call("CancelInstanceRefresh", **GROUP)
        case "rollback", _:
            aws.call("RollbackInstanceRefresh", **GROUP)
        case "pool", _:
            state = ["Stopped", "Running", "Hibernated"][which % 3]
            reuse = {"ReuseOnScaleIn": bool(which % 2)}
            aws.call("PutWarmPool", **GROUP, PoolState=state, MinSize=which % 3, InstanceReusePolicy=reuse)
        case "no pool", _:
            aws.call("DeleteWarmPool", **GROUP, ForceDelete=True)
        case "refuse", _:
            zones = ["us-east-1a", "us-east-1b", "us-east-1c"]
            aws.compute.refusals = dict.fromkeys(zones[: which % 4], "InsufficientInstanceCapacity")
        case "version", _:
            aws.compute.templates["lt-1"] += 1
        case (("impair" | "lose"), Member()):
            if what == "impair":
                aws.compute.conditions[member.id] = Condition.IMPAIRED
            else:
                aws.compute.conditions.pop(member.id, None)
            aws.poke(member)
        case _:
            return


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS, boot_s=st.integers(0, 30))
def test_refreshes_pools_and_failures_lose_no_machine_and_end(steps: list[tuple[str, int, int]], boot_s: int) -> None:
    aws = ModelWorld(boot_s=boot_s)
    hooks = [
        hook("boot", "LAUNCHING", HeartbeatTimeout=60, DefaultResult="CONTINUE"),
        hook("drain", "TERMINATING", HeartbeatTimeout=30, DefaultResult="CONTINUE"),
    ]
    template = {"LaunchTemplateId": "lt-1", "Version": "1"}
    aws.create(MaxSize=7, DesiredCapacity=2, LifecycleHookSpecificationList=hooks, LaunchTemplate=template)
    for what, which, wait_s in steps:
        try:
            act(aws, what, which)
        except AwsError:
            continue
        aws.pass_s(wait_s)
        group = aws.group()
        assert set(aws.world.owners) == set(group.members)
        assert set(aws.compute.conditions) <= set(group.members), "no machine is left behind"
        assert documents.read(documents.write(group)) == group
    aws.compute.refusals = {}
    aws.pass_s(4 * 3600)
    group = aws.group()
    assert group.refresh is None, "a refresh ends"
    assert (len(group.capacity), {m.lifecycle for m in group.capacity} <= {Lifecycle.IN_SERVICE}) == (
        group.desired,
        True,
    )
    assert set(aws.compute.conditions) == set(group.members)
    assert all(m.lifecycle.startswith("Warmed:") for m in group.members.values() if not m.counts)
    assert len(group.warm) == (max(group.warm_pool.min, group.max - group.desired) if group.warm_pool else 0)
    assert not [a for a in group.activities if a.running], "no activity is left running"
