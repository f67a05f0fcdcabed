"""A group that is refreshed, on a virtual clock: begun, looked at."""

from typing import Any

from tests.localcloud_aws.model_world import ModelWorld

GROUP = {"AutoScalingGroupName": "web"}
NEW = {"LaunchTemplate": {"LaunchTemplateId": "lt-1", "Version": "2"}}


def old_group(desired: int = 4, boot_s: float = 0.0, **parameters: Any) -> ModelWorld:
    """A group of version 1, whose template has a version 2 by now."""
    aws = ModelWorld(boot_s=boot_s)
    template = {"LaunchTemplateId": "lt-1", "Version": "1"}
    base: dict[str, Any] = {"DesiredCapacity": desired, "MaxSize": 20, "LaunchTemplate": template}
    aws.create(**(base | parameters))
    aws.pass_s(boot_s)
    aws.compute.templates["lt-1"] = 2
    return aws


def start(aws: ModelWorld, desired: Any = NEW, **preferences: Any) -> str:
    parameters = {"DesiredConfiguration": desired} if desired else {}
    answer = aws.call("StartInstanceRefresh", **GROUP, **parameters, Preferences=preferences)
    return str(answer["InstanceRefreshId"])


def told(aws: ModelWorld) -> dict[str, Any]:
    found: dict[str, Any] = aws.call("DescribeInstanceRefreshes", **GROUP)["InstanceRefreshes"][0]
    return found


def versions(aws: ModelWorld) -> list[str]:
    return sorted(m.template.version for m in aws.group().capacity)


def serving(aws: ModelWorld) -> int:
    return aws.states().count("InService")
