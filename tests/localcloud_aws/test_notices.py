"""Notifications of launches and terminations, and the messages of lifecycle hooks: what is said, and where it arrives."""

import json
from typing import Any

import pytest

from localcloud.aws.errors import AwsError
from tests.localcloud_aws.front import FrontProcess, make_group, make_template, until
from tests.localcloud_aws.model_world import ModelWorld, hook

GROUP = {"AutoScalingGroupName": "web"}
TOPIC = "arn:aws:sns:us-east-1:123456789012:launches"
QUEUE = "arn:aws:sqs:us-east-1:123456789012:hooks"
EVENTS = [
    "autoscaling:EC2_INSTANCE_LAUNCH",
    "autoscaling:EC2_INSTANCE_TERMINATE",
    "autoscaling:EC2_INSTANCE_LAUNCH_ERROR",
]


def notify(aws: ModelWorld, *types: str, topic: str = TOPIC) -> None:
    aws.call("PutNotificationConfiguration", **GROUP, TopicARN=topic, NotificationTypes=list(types))


def told(aws: ModelWorld) -> list[dict[str, Any]]:
    found = [json.loads(one.text) for one in aws.world.messages.sent]  # type: ignore[attr-defined]
    aws.world.messages.sent.clear()  # type: ignore[attr-defined]
    return found


def test_launches_terminations_and_failed_launches_are_told_to_those_who_asked() -> None:
    aws = ModelWorld()
    aws.create()
    notify(aws, *EVENTS)
    aws.call("SetDesiredCapacity", **GROUP, DesiredCapacity=1)
    (launched,) = told(aws)
    (one,) = aws.members()
    assert (launched["Event"], launched["EC2InstanceId"], launched["StatusCode"]) == (EVENTS[0], one.id, "Successful")
    assert launched["Details"] == {"Subnet ID": one.subnet, "Availability Zone": one.zone}
    assert launched["Cause"] == aws.activities()[0]["Cause"]
    aws.call("SetDesiredCapacity", **GROUP, DesiredCapacity=0)
    assert [(m["Event"], m["EC2InstanceId"]) for m in told(aws)] == [(EVENTS[1], one.id)]
    aws.compute.refusals = dict.fromkeys(["us-east-1a", "us-east-1b", "us-east-1c"], "InsufficientInstanceCapacity")
    aws.call("SetDesiredCapacity", **GROUP, DesiredCapacity=1)
    (failed,) = told(aws)
    assert (failed["Event"], failed["StatusCode"]) == (EVENTS[2], "Failed")
    aws.compute.refusals = {}
    aws.call("DeleteNotificationConfiguration", **GROUP, TopicARN=TOPIC)
    aws.pass_s(600)
    assert (len(aws.members()), told(aws)) == (1, [])


def test_standby_is_no_launch() -> None:
    aws = ModelWorld()
    aws.create(DesiredCapacity=1)
    notify(aws, *EVENTS)
    (one,) = aws.members()
    aws.call("EnterStandby", **GROUP, InstanceIds=[one.id], ShouldDecrementDesiredCapacity=True)
    aws.call("ExitStandby", **GROUP, InstanceIds=[one.id])
    assert told(aws) == []


def test_a_hook_tells_its_target_the_token_that_ends_it() -> None:
    aws = ModelWorld()
    ready = hook("ready", "LAUNCHING", NotificationTargetARN=QUEUE, NotificationMetadata="about me")
    aws.create(DesiredCapacity=1, LifecycleHookSpecificationList=[ready])
    (message,) = told(aws)
    (one,) = aws.members()
    assert (message["EC2InstanceId"], message["NotificationMetadata"]) == (one.id, "about me")
    aws.call(
        "CompleteLifecycleAction",
        **GROUP,
        LifecycleHookName=message["LifecycleHookName"],
        LifecycleActionToken=message["LifecycleActionToken"],
        LifecycleActionResult="CONTINUE",
    )
    assert aws.states() == ["InService"]


def test_configurations_are_described_and_checked() -> None:
    aws = ModelWorld()
    aws.create()
    notify(aws, *EVENTS[:2])
    notify(aws, "autoscaling:TEST_NOTIFICATION", topic=TOPIC + "2")
    assert [m["Event"] for m in told(aws)] == ["autoscaling:TEST_NOTIFICATION"]
    found = aws.call("DescribeNotificationConfigurations")["NotificationConfigurations"]
    assert [(one["TopicARN"], one["NotificationType"]) for one in found] == [
        (TOPIC, EVENTS[0]),
        (TOPIC, EVENTS[1]),
        (TOPIC + "2", "autoscaling:TEST_NOTIFICATION"),
    ]
    for topic, kind in ((TOPIC, "autoscaling:EC2_INSTANCE_MOOD"), ("launches", EVENTS[0])):
        with pytest.raises(AwsError):
            notify(aws, kind, topic=topic)
    for number in range(3, 11):
        notify(aws, EVENTS[0], topic=f"{TOPIC}{number}")
    with pytest.raises(AwsError, match="At most 10"):
        notify(aws, EVENTS[0], topic=f"{TOPIC}11")


def test_notifications_arrive_in_a_queue_that_is_subscribed(localcloud_aws: FrontProcess, unique_name: str) -> None:
    scaling, sns, sqs = (localcloud_aws.client(one) for one in ("autoscaling", "sns", "sqs"))
    topic = sns.create_topic(Name=unique_name)["TopicArn"]
    queue = sqs.create_queue(QueueName=unique_name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
    make_group(localcloud_aws, unique_name, make_template(localcloud_aws, unique_name), DesiredCapacity=0)
    named = {"AutoScalingGroupName": unique_name}
    scaling.put_notification_configuration(**named, TopicARN=topic, NotificationTypes=EVENTS)
    scaling.put_lifecycle_hook(
        **named,
        LifecycleHookName="ready",
        LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING",
        NotificationTargetARN=arn,
        DefaultResult="CONTINUE",
    )
    scaling.set_desired_capacity(**named, DesiredCapacity=1)
    said: list[dict[str, Any]] = []

    def receive(wanted: str) -> dict[str, Any] | None:
        answer = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
        said.extend(json.loads(one["Body"]) for one in answer.get("Messages", []))
        return next((one for one in said if wanted in one), None)

    waiting = until(lambda: receive("LifecycleActionToken"), "the hook's message")
    scaling.complete_lifecycle_action(
        **named,
        LifecycleHookName="ready",
        LifecycleActionToken=waiting["LifecycleActionToken"],
        LifecycleActionResult="CONTINUE",
    )
    launched = until(lambda: receive("Event"), "the notification")
    assert (launched["Event"], launched["EC2InstanceId"]) == (EVENTS[0], waiting["EC2InstanceId"])
    pages = scaling.get_paginator("describe_notification_configurations").paginate(AutoScalingGroupNames=[unique_name])
    assert len(pages.build_full_result()["NotificationConfigurations"]) == len(EVENTS)
