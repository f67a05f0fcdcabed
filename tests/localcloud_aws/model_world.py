"""A world on a virtual clock, driven by the same actions that boto3 calls."""

import itertools
from typing import Any

from localcloud.aws import actions
from localcloud.aws.autoscaling import reconcile
from localcloud.aws.autoscaling.alarms import VirtualAlarms
from localcloud.aws.autoscaling.clock import VirtualClock
from localcloud.aws.autoscaling.records import Group, Member
from localcloud.aws.autoscaling.virtual_compute import VirtualCompute
from localcloud.aws.autoscaling.world import World


class ModelWorld:
    """`call` makes an API call; `pass_s` lets time pass."""

    def __init__(self, boot_s: float = 0.0) -> None:
        self.clock = VirtualClock()
        self.compute = VirtualCompute(self.clock, boot_s=lambda: boot_s)
        ids = itertools.count(1)
        self.alarms = VirtualAlarms()
        self.world = World(self.clock, self.compute, lambda: f"id-{next(ids)}", alarms=self.alarms)

    def call(self, action: str, **parameters: Any) -> dict[str, Any]:
        answer = actions.find(action, known=True)(self.world, parameters)
        reconcile.run_due(self.world)
        return answer

    def create(self, name: str = "web", **parameters: Any) -> None:
        base: dict[str, Any] = {
            "AutoScalingGroupName": name,
            "MinSize": 0,
            "MaxSize": 10,
            "LaunchTemplate": {"LaunchTemplateId": "lt-1", "Version": "$Latest"},
            "VPCZoneIdentifier": "subnet-a,subnet-b,subnet-c",
        }
        self.call("CreateAutoScalingGroup", **(base | parameters))

    def pass_s(self, seconds: float) -> None:
        reconcile.run_until(self.world, self.clock, self.clock.now() + seconds)

    def poke(self, member: Member) -> None:
        self.world.machine_changed(member.id)
        reconcile.run_due(self.world)

    def group(self, name: str = "web") -> Group:
        return self.world.groups[name]

    def members(self, name: str = "web") -> list[Member]:
        return list(self.group(name).members.values())

    def states(self, name: str = "web") -> list[str]:
        return [m.lifecycle.value for m in self.members(name)]

    def activities(self, name: str = "web") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.call("DescribeScalingActivities", AutoScalingGroupName=name)["Activities"]
        return found


def hook(name: str, transition: str, **more: Any) -> dict[str, Any]:
    return {"LifecycleHookName": name, "LifecycleTransition": f"autoscaling:EC2_INSTANCE_{transition}", **more}


LAUNCH_HOOK = hook("boot", "LAUNCHING", HeartbeatTimeout=60)
END_HOOK = hook("drain", "TERMINATING", HeartbeatTimeout=60, DefaultResult="CONTINUE")


def mixed(overrides: list[tuple[str, int | None]], **distribution: Any) -> dict[str, Any]:
    """Of a request: a group of these types (with weights) in place of its launch template."""
    return {
        "LaunchTemplate": None,
        "MixedInstancesPolicy": {
            "LaunchTemplate": {
                "LaunchTemplateSpecification": {"LaunchTemplateId": "lt-1", "Version": "1"},
                "Overrides": [
                    {"InstanceType": name} | ({"WeightedCapacity": str(weight)} if weight else {})
                    for name, weight in overrides
                ],
            },
            "InstancesDistribution": distribution,
        },
    }
