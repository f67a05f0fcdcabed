"""Notifications of groups: put, delete, describe."""

from localcloud.aws.actions.parameters import Action, Answer, Parameters
from localcloud.aws.autoscaling import describe, notices
from localcloud.aws.autoscaling.world import World


def put(world: World, p: Parameters) -> Answer:
    """PutNotificationConfiguration."""
    notices.put(world, p["AutoScalingGroupName"], p["TopicARN"], p["NotificationTypes"])
    return {}


def delete(world: World, p: Parameters) -> Answer:
    """DeleteNotificationConfiguration."""
    notices.delete(world, p["AutoScalingGroupName"], p["TopicARN"])
    return {}


def describe_configurations(world: World, p: Parameters) -> Answer:
    """DescribeNotificationConfigurations."""
    names = p.get("AutoScalingGroupNames")
    found = [
        {"AutoScalingGroupName": group.name, "TopicARN": topic, "NotificationType": kind}
        for group in world.groups.values()
        if not names or group.name in names
        for topic, kinds in group.notifications.items()
        for kind in kinds
    ]
    page = describe.page(found, p.get("NextToken"), p.get("MaxRecords"), default=50, most=100)
    return {"NotificationConfigurations": page["items"], "NextToken": page["NextToken"]}


def types(_world: World, _p: Parameters) -> Answer:
    """DescribeAutoScalingNotificationTypes."""
    return {"AutoScalingNotificationTypes": list(notices.TYPES)}


READS: dict[str, Action] = {
    "DescribeAutoScalingNotificationTypes": types,
    "DescribeNotificationConfigurations": describe_configurations,
}
WRITES: dict[str, Action] = {"DeleteNotificationConfiguration": delete, "PutNotificationConfiguration": put}
