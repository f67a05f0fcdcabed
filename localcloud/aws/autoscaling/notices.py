"""What Auto Scaling tells others: its notifications of launches and terminations, and the messages of lifecycle hooks.

After "Amazon SNS notification options for Amazon EC2 Auto Scaling" and "Tutorial: lifecycle actions". A notification goes to a topic, a
hook's message to the topic or queue that the hook names. Telling never fails a launch: what can not be delivered is lost.
"""

import json
from collections.abc import Sequence

from localcloud.aws.autoscaling.activities import stamp
from localcloud.aws.autoscaling.lifecycle import target_of
from localcloud.aws.autoscaling.records import Activity, Group, Hook, HookAction, Member
from localcloud.aws.autoscaling.world import World
from localcloud.aws.errors import AwsError, ValidationError

LAUNCH, LAUNCH_ERROR = "autoscaling:EC2_INSTANCE_LAUNCH", "autoscaling:EC2_INSTANCE_LAUNCH_ERROR"
TERMINATE, TERMINATE_ERROR = "autoscaling:EC2_INSTANCE_TERMINATE", "autoscaling:EC2_INSTANCE_TERMINATE_ERROR"
TEST = "autoscaling:TEST_NOTIFICATION"
TYPES = (LAUNCH, LAUNCH_ERROR, TERMINATE, TERMINATE_ERROR, TEST)
SUBJECTS = {
    LAUNCH: "launch",
    LAUNCH_ERROR: "failed launch",
    TERMINATE: "termination",
    TERMINATE_ERROR: "failed termination",
    TEST: "test notification",
}
TOPICS_PER_GROUP_MAX = 10
TOPIC_PREFIX = "arn:aws:sns:"
SERVICE = "AWS Auto Scaling"


def put(world: World, name: str, topic: str, types: Sequence[str]) -> None:
    """Notify a topic of these events from now on; ValidationError, LimitExceeded."""
    group = world.group(name)
    for one in types:
        if one not in TYPES:
            raise ValidationError(f"Invalid notification type: {one}. Valid: {', '.join(TYPES)}")
    if not topic.startswith(TOPIC_PREFIX):
        raise ValidationError(f"TopicARN must be the ARN of a topic of SNS: {topic}")
    if topic not in group.notifications and len(group.notifications) >= TOPICS_PER_GROUP_MAX:
        raise AwsError("LimitExceeded", f"At most {TOPICS_PER_GROUP_MAX} topics are allowed on {name}")
    group.notifications[topic] = list(dict.fromkeys(types))
    if TEST in types:
        told = {"Service": SERVICE, "Time": stamp(world.clock.now()), "Event": TEST, "AccountId": world.account}
        told |= {"AutoScalingGroupName": group.name, "AutoScalingGroupARN": group.arn, "RequestId": world.new_id()}
        world.messages.send(topic, _subject(group, TEST), json.dumps(told))
    world.touch(group)


def delete(world: World, name: str, topic: str) -> None:
    """Notify a topic no more; also when it was not notified."""
    group = world.group(name)
    group.notifications.pop(topic, None)
    world.touch(group)


def tell(world: World, group: Group, event: str, activity: Activity | None) -> None:
    """Notify the topics that want to hear of such an event; an activity that is forgotten is not told of."""
    topics = [topic for topic, types in group.notifications.items() if event in types]
    if not topics or activity is None:
        return
    message = {
        "Service": SERVICE,
        "Time": stamp(world.clock.now()),
        "Event": event,
        "AccountId": world.account,
        "AutoScalingGroupName": group.name,
        "AutoScalingGroupARN": group.arn,
        "RequestId": activity.id,
        "ActivityId": activity.id,
        "Description": activity.description,
        "Cause": activity.cause,
        "StartTime": stamp(activity.started_at),
        "EndTime": stamp(activity.ended_at or world.clock.now()),
        "StatusCode": activity.status,
        "StatusMessage": activity.message,
        "Progress": activity.progress,
        "EC2InstanceId": activity.instance_id,
        "Details": {"Subnet ID": activity.subnet, "Availability Zone": activity.zone},
    }
    for topic in topics:
        world.messages.send(topic, _subject(group, event), json.dumps(message))


def tell_hook(world: World, group: Group, member: Member, hook: Hook, action: HookAction) -> None:
    """Tell a hook's target that the hook holds an instance now, with the token that ends it."""
    if not hook.target:
        return
    message = {
        "Service": SERVICE,
        "Time": stamp(world.clock.now()),
        "RequestId": action.token,
        "AccountId": world.account,
        "LifecycleActionToken": action.token,
        "AutoScalingGroupName": group.name,
        "LifecycleHookName": hook.name,
        "EC2InstanceId": member.id,
        "LifecycleTransition": hook.transition,
        "NotificationMetadata": hook.metadata,
        "Destination": "WarmPool" if target_of(member.lifecycle).startswith("Warmed") else "AutoScalingGroup",
    }
    subject = f"Auto Scaling:  Lifecycle action '{hook.transition.rpartition('_')[2]}' for instance {member.id}"
    world.messages.send(hook.target, subject, json.dumps(message))


def _subject(group: Group, event: str) -> str:
    return f'Auto Scaling: {SUBJECTS[event]} for group "{group.name}"'
